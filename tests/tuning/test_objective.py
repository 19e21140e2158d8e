"""The objective: real trainings, the same for the same seeds, and the score of several."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from cogorch_dagster.agents.training.joint import JointTraining
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.tuning import normalised
from cogorch_dagster.tuning.budget import FULL, QUICK, Budget
from cogorch_dagster.tuning.objective import (
    FLEETS_PER_SEED,
    Interrupted,
    Measured,
    configuration_of,
    lower_bound,
    measure,
    score,
)
from cogorch_dagster.tuning.seeds import evaluation_seeds, seed_of
from tests.tuning.tiny import BUDGET, PPO, fleet


def without_time(found: Measured) -> Measured:
    assert found.inference_ms > 0
    return dataclasses.replace(found, inference_ms=0.0)


def test_a_training_is_the_same_every_time_and_another_with_another_seed() -> None:
    first, again, other = (measure(fleet(), "ethical", PPO, seed, BUDGET) for seed in (1, 1, 2))
    assert without_time(first) == without_time(again)
    assert first.reward != other.reward
    assert first.steps == 2 * 10 * 2
    assert sum(first.by_seed) / 2 == pytest.approx(first.normalised)
    floor = normalised.floor(fleet(), "ethical", evaluation_seeds(0, BUDGET), FLEETS_PER_SEED)
    assert first.normalised == pytest.approx((first.reward - floor) / (normalised.ceiling() - floor))


def test_hyperparameters_make_a_difference() -> None:
    rewards = {
        rate: measure(fleet(), "ethical", {**PPO, "learningRate": rate}, 1, BUDGET).reward for rate in (1e-5, 1e-2)
    }
    assert rewards[1e-5] != rewards[1e-2]


def test_the_training_is_the_agents_alone_with_its_hyperparameters() -> None:
    configuration = configuration_of("resource", {"actorRate": 2e-4, "hidden": [8]}, 5, QUICK)
    assert configuration.learning == ("resource",)
    assert (configuration.steps, configuration.fleets, configuration.seed) == (2400, QUICK.fleets, 5)
    assert configuration.warm_up == 640
    settings = configuration.settings_of("resource")
    assert settings["actor_rate"] == 2e-4 and settings["actor_hidden"] == [8]
    assert configuration_of("policy", {}, 5, FULL, horizon=10).steps == 500
    assert configuration_of("policy", {}, 5, FULL).warm_up == 0


def test_a_training_that_diverges_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = JointTraining._reward
    # The square of such a reward is beyond what a number can hold.
    monkeypatch.setattr(JointTraining, "_reward", lambda *given: whole(*given) * np.float32(1e25))
    with pytest.raises(Refused, match="ethical agent's figures are no longer finite") as refused:
        measure(fleet(), "ethical", PPO, 1, BUDGET)
    assert refused.value.reason == "training_diverged"


def test_a_training_stops_between_steps_when_it_is_asked_to() -> None:
    asked = []
    with pytest.raises(Interrupted):
        measure(fleet(), "ethical", PPO, 1, BUDGET, stop=lambda: asked.append(1) is None and len(asked) == 5)
    assert len(asked) == 5


def test_the_score_is_a_lower_bound() -> None:
    # t of 90 %, one-sided, with 2 degrees of freedom is 1.885618.
    assert lower_bound([0.1, 0.2, 0.3]) == pytest.approx(0.2 - 1.885618 * 0.1 / math.sqrt(3), abs=1e-6)
    assert lower_bound([0.4]) == 0.4
    found = [Measured(1.0, value, 0.2, 0.1, 100, (value, value)) for value in (0.1, 0.2, 0.3)]
    summed = score(found)
    assert summed.value == lower_bound([0.1, 0.2, 0.3]) and summed.mean == pytest.approx(0.2)
    assert (summed.conflicts, summed.steps) == (pytest.approx(0.2), 300)
    # Of a single training the spread over its evaluation seeds counts.
    assert score([Measured(1.0, 0.2, 0, 0.1, 1, (0.1, 0.2, 0.3))]).value == lower_bound([0.1, 0.2, 0.3])
    with pytest.raises(InvalidInput, match="at least one training"):
        score([])


def test_seeds_of_different_purposes_have_nothing_in_common() -> None:
    seeds = {seed_of(0, purpose, number) for purpose in ("training", "confirmation") for number in range(100)}
    assert len(seeds | set(evaluation_seeds(0, FULL)) | {seed_of(1, "training", 0)}) == 211
    assert evaluation_seeds(0, FULL)[:5] == evaluation_seeds(0, QUICK)


@pytest.mark.parametrize("changes", [{"episodes": 0}, {"seeds": 101}, {"fleets": 1.5}, {"evaluation_episodes": True}])
def test_impossible_budgets(changes: Any) -> None:
    with pytest.raises(InvalidInput, match=f"{next(iter(changes))} of a budget must be a whole number from 1 to"):
        Budget(**{**dataclasses.asdict(QUICK), **changes})


def test_an_unknown_agent() -> None:
    with pytest.raises(InvalidInput, match="agent 'cook' is unknown; the agents are policy"):
        measure(fleet(), "cook", {}, 0, BUDGET)  # type: ignore[arg-type]
