"""The baseline of independent training: each agent alone, for its own utility, with its share of the budget."""

from dataclasses import replace

import numpy as np
import pytest

from cogorch_dagster.agents.baselines.static import passive
from cogorch_dagster.agents.training.independent import shares, train_independently
from cogorch_dagster.agents.training.joint import JointTraining
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.signals import AGENTS
from tests.agents.joint_resuming import SMALL, small_fleet


def test_the_budget_is_shared_out_and_seeds_differ() -> None:
    found = shares(SMALL)
    assert list(found) == list(AGENTS)
    assert sum(share.steps for share in found.values()) == SMALL.steps
    assert all(share.learning == (agent,) and share.aim == "own" for agent, share in found.items())
    # Only an agent that tries levels needs time for it when there are no others.
    assert [share.warm_up for share in found.values()] == [0, 0, 0, SMALL.warm_up // 4]
    assert len({share.seed for share in found.values()}) == 4
    with pytest.raises(InvalidInput, match="3 steps cannot be shared by 4 agents"):
        shares(replace(SMALL, steps=3))


def test_the_others_stand_at_their_defaults_and_the_own_utility_is_learned_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    training = JointTraining(small_fleet(), shares(SMALL)["ethical"])
    steps, learned = [], []
    step, learn = training.environment.step, training.learners["ethical"].learn
    monkeypatch.setattr(
        training.environment, "step", lambda actions: steps.append((actions, step(actions))) or steps[-1][1]
    )
    monkeypatch.setattr(training.learners["ethical"], "learn", lambda given: learned.append(given) or learn(given))
    training.advance()
    ((actions, outcome),) = steps
    still = passive(SMALL.fleets)
    for agent in ("policy", "consensus", "resource"):
        np.testing.assert_array_equal(actions[agent], still[agent])
    expected = (outcome.utilities["ethical"] - SMALL.reward_center) * SMALL.reward_scale
    np.testing.assert_allclose(learned[0].rewards.numpy(), expected, rtol=1e-5)
    assert not np.allclose(expected, (outcome.rewards - SMALL.reward_center) * SMALL.reward_scale)


def test_together_they_steer_one_fleet() -> None:
    told = []
    controller, trainings = train_independently(
        small_fleet(), SMALL, progress=lambda agent, now: told.append((agent, now.steps))
    )
    assert told == [(agent, 18) for agent in AGENTS]
    assert controller.name == "independent" and list(trainings) == list(AGENTS)
    environment = FleetEnvironment(small_fleet(), 6, seed=1)
    actions = controller.act(environment.states)
    for agent, training in trainings.items():
        alone = training.controller().act(environment.states)[agent]
        np.testing.assert_array_equal(actions[agent], alone)
    environment.step(actions)
