"""Pausing costs nothing: an agent that was left as bytes at every rung is the one that was trained through."""

from typing import Any

import numpy as np
import pytest

from cogorch_dagster.agents import checkpoints
from cogorch_dagster.agents.hyperparameters import first_defaults
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS
from cogorch_dagster.tuning import normalised
from cogorch_dagster.tuning.budget import Budget
from cogorch_dagster.tuning.halving.fleet_training import FleetTraining, FleetTrials
from cogorch_dagster.tuning.halving.rungs import ladder
from cogorch_dagster.tuning.objective import FLEETS_PER_SEED
from cogorch_dagster.tuning.seeds import evaluation_seeds

PARAMETERS = default_parameters().model_copy(update={"horizon": 9})
BUDGET = Budget(episodes=6, evaluation_episodes=2, fleets=4, seeds=2)
# Small enough that updates happen between the rungs, and off the rungs too.
SMALL: dict[str, dict[str, Any]] = {
    "policy": {"batchSize": 8, "hidden": [8]},
    "consensus": {"rolloutSteps": 5, "hidden": [8]},
    "ethical": {"rolloutSteps": 5, "minibatch": 16, "epochs": 2, "hidden": [8, 8], "dropout": 0.1},
    "resource": {"batchSize": 8, "hidden": [8], "dropout": 0.1},
}


def trials(agent: Any, budget: Budget = BUDGET) -> FleetTrials:
    return FleetTrials(PARAMETERS, agent, budget, 7, lambda values: first_defaults(AGENT_KINDS[agent]) | values)


def same(first: Any, second: Any) -> bool:
    one, other = checkpoints.nested.encode(first), checkpoints.nested.encode(second)
    return one == other


@pytest.mark.parametrize("agent", AGENT_KINDS)
def test_paused_and_promoted_is_trained_through(agent: str) -> None:
    of, values = trials(agent), SMALL[agent]
    steps = ladder(of.full, eta=3, rungs=3, unit=of.unit)
    assert steps.levels == (6 * 8, 18 * 8, 54 * 8)
    through = of.start(values)
    paused = of.start(values)
    for rung, level in enumerate(steps.levels):
        if rung:
            paused = of.resume(values, paused.checkpoint())
        reached, straight = paused.reach(level, bool), through.reach(level, bool)
        assert reached is not None
        assert straight is not None
        assert (reached.score, reached.figures["mean"]) == (straight.score, straight.figures["mean"])
    assert all(same(one.parts(), other.parts()) for one, other in zip(paused.trainings, through.trainings, strict=True))
    # The two seeds are two trainings, and the whole training has been done.
    assert not same(paused.trainings[0].parts(), paused.trainings[1].parts())
    assert [training.steps for training in paused.trainings] == [54, 54]


def test_below_the_top_a_policy_that_explores_itself_is_judged_by_what_it_earns() -> None:
    """The mean reward of the later half of the steps since the last rung, over all training seeds; on one scale."""
    of, other = trials("ethical"), trials("ethical")
    training, beside = of.start(SMALL["ethical"]), other.start(SMALL["ethical"])
    for level, steps in ((6 * 8, 6), (18 * 8, 12)):
        reached = training.reach(level, bool)
        earned = [[each.advance() for _ in range(steps)][steps // 2 :] for each in beside.trainings]
        floor = normalised.floor(PARAMETERS, "ethical", evaluation_seeds(7, BUDGET), FLEETS_PER_SEED)
        assert reached is not None
        assert reached.score == pytest.approx((np.mean(earned) - floor) / (normalised.ceiling() - floor))
    top = training.reach(of.full, bool)
    assert top is not None
    assert top.figures.keys() == {"mean", "inference_ms"}


def test_schedules_have_the_length_of_the_whole_training() -> None:
    """Else a low rung would judge a short training, and going on from it would be another one."""
    training = trials("policy").start(SMALL["policy"]).trainings[0]
    assert training.configuration.steps == 54
    assert training.configuration.settings_of("policy")["epsilon_steps"] == 54 * 4 // 2


def test_a_stopped_training_has_reached_nothing() -> None:
    of = trials("ethical")
    training = of.start(SMALL["ethical"])
    asked: list[int] = []
    assert training.reach(of.full, lambda: len(asked) > 20 or bool(asked.append(1))) is None
    assert sum(each.steps for each in training.trainings) == 21


def test_what_is_not_its_state_is_refused() -> None:
    of = trials("ethical")
    content = _at(of, SMALL["ethical"], 48).checkpoint()
    with pytest.raises(Refused, match="embedding"):
        of.resume(SMALL["ethical"] | {"hidden": [9, 8]}, content)
    with pytest.raises(InvalidInput, match="damaged"):
        of.resume(SMALL["ethical"], content[:-1] + b"x")
    three = trials("ethical", Budget(6, 2, 4, 3))
    with pytest.raises(InvalidInput, match="has no part '2'"):
        three.resume(SMALL["ethical"], content)


def _at(of: FleetTrials, values: dict[str, Any], level: int) -> FleetTraining:
    found = of.start(values)
    assert found.reach(level, bool) is not None
    return found
