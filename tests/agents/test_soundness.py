"""What a stored agent must be fit for: every number is looked at, and the time of a decision is that of the agent."""

import time
from typing import Any

import numpy as np
import pytest
import torch

from cogorch_dagster.agents import algorithms
from cogorch_dagster.agents.checkpoints import Checkpoint
from cogorch_dagster.agents.inference import Policy
from cogorch_dagster.agents.soundness import finiteness, latency
from cogorch_dagster.errors import InvalidInput
from tests.agents.saved import with_parts


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_one_number_that_is_not_finite_is_found_wherever_it_is(bad: float) -> None:
    parts = {
        "actor": {"0.weight": torch.ones(3, 4), "steps": 7},
        "replay": [np.zeros((5, 2), np.float32), (torch.zeros(2, dtype=torch.float64), torch.arange(3))],
    }
    found = finiteness(with_parts(parts))
    assert (found.numbers, found.wrong) == (3 * 4 + 5 * 2 + 2, ())
    parts["actor"]["0.weight"][2, 3] = bad  # type: ignore[call-overload, index]
    parts["replay"][1][0][1] = bad  # type: ignore[index]
    assert finiteness(with_parts(parts)).wrong == ("actor.0.weight", "replay.1.0")


def test_the_time_of_a_decision_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = algorithms.learner("ppo", {}, states=24, actions=8, seed=0)
    policy = Policy.of(
        Checkpoint(
            agent="ethical",
            algorithm="ppo",
            configuration=algorithms.complete("ppo", {}),
            calibration="none",
            states=24,
            actions=8,
            steps=0,
            seed=0,
            metrics={},
            parts=learner.parts(),
        )
    )
    act = Policy.act

    def slow(self: Policy, states: Any) -> Any:
        time.sleep(0.003)
        return act(self, states)

    monkeypatch.setattr(Policy, "act", slow)
    found = latency(policy, repeats=10)
    assert found.repeats == 10 and 3 <= found.median_ms <= found.p99_ms
    with pytest.raises(InvalidInput, match="repeats"):
        latency(policy, repeats=0)
