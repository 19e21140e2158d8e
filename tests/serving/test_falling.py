"""An agent that earns less without a change of its own is found, in training and as it runs; chance is no fall."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.platform.tables import agent_checkpoints
from cogorch_dagster.serving import falling
from cogorch_dagster.serving.falling import Fall
from cogorch_dagster.serving.returns import Earned
from cogorch_dagster.settings import Settings
from tests.serving.hyperparameters import MOMENT, into_force, plant
from tests.serving.test_watching import earn

SETTINGS = {"learning_rate": 1e-3}


def trained(
    settings: Settings,
    rewards: Mapping[int, float | None],
    *,
    agent: str = "ethical",
    calibration: str = "fleet",
    configuration: Mapping[str, Any] = SETTINGS,
) -> None:
    """Rows of trainings with their rewards, by the minute in which each was stored."""
    with transaction(settings) as connection:
        for minute, reward in rewards.items():
            connection.execute(
                sa.insert(agent_checkpoints).values(
                    digest=f"sha256:{agent}{minute}",
                    agent=agent,
                    algorithm="ppo",
                    created_at=MOMENT + timedelta(minutes=minute),
                    calibration=calibration,
                    steps=240,
                    path="nowhere",
                    bytes=1,
                    metrics={} if reward is None else {"reward": reward},
                    configuration=dict(configuration),
                )
            )


def found(settings: Settings) -> list[Fall]:
    with transaction(settings) as connection:
        return falling.falls(connection)


def test_a_training_that_reached_less_than_the_one_before_it_is_a_fall(settings: Settings) -> None:
    trained(settings, {0: 0.5, 1: 0.9})
    assert found(settings) == []
    trained(settings, {2: 0.88})
    assert found(settings) == []  # within what seeds do
    trained(settings, {3: 0.84})
    (fall,) = found(settings)
    assert (fall.agent, fall.seen_at) == ("ethical", MOMENT + timedelta(minutes=3))
    assert "0.8400" in fall.reason and "0.8800" in fall.reason


@pytest.mark.parametrize(
    ("reward", "change"),
    [
        (0.2, {"calibration": "another fleet"}),
        (0.2, {"configuration": {"learning_rate": 2e-3}}),
        (None, {}),
    ],
)
def test_trainings_that_cannot_be_compared_are_not(settings: Settings, reward: float | None, change: Any) -> None:
    trained(settings, {0: 0.9})
    trained(settings, {1: reward}, **change)
    assert found(settings) == []


def test_a_fall_while_running_is_one_under_the_same_versions(settings: Settings) -> None:
    plant(settings)
    earn(settings, 0.9, 30, seconds=-60)
    assert found(settings) == []
    earn(settings, 0.8, 12, seconds=-50)
    falls = found(settings)
    # All four share the reward.
    assert [each.agent for each in falls] == ["policy", "consensus", "ethical", "resource"]
    assert "last 12 windows" in falls[0].reason and "30 before" in falls[0].reason
    assert datetime.now(UTC) - falls[0].seen_at < timedelta(minutes=2)
    # Under another version of any agent it is a change that `watching` judges.
    into_force(settings, "policy", learningRate=6e-4)
    earn(settings, 0.7, 20, seconds=1)
    assert found(settings) == []


def test_a_process_that_ended_long_ago_is_no_reason(settings: Settings) -> None:
    plant(settings)
    earn(settings, 0.9, 30, seconds=-2 * 3600)
    earn(settings, 0.5, 12, seconds=-2 * 3600 + 10)
    assert found(settings) == []
    earn(settings, 0.9, 30, process="y", seconds=-60)
    assert found(settings) == []
    earn(settings, 0.5, 12, process="y", seconds=-50)
    assert len(found(settings)) == 4


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_chance_is_no_fall_however_often_it_is_looked_at(correlation: float) -> None:
    fell = 0
    for seed in range(10):
        draws = np.random.default_rng(seed).normal(0.0, 0.03, 300)
        level, windows = 0.0, []
        for at, draw in enumerate(draws):
            level = correlation * level + (1 - correlation**2) ** 0.5 * float(draw)
            windows.append(Earned(0.8 + level, {"agent-policy": "1.0.0"}, at, MOMENT))
        for end in range(24, 300, 6):
            halves = falling._halves(windows[:end])
            assert halves is not None
            fell += falling.judge([halves]).worse
    assert fell == 0
    # What it is to find, it finds in the same noise.
    lower = [Earned(each.value - 0.15, each.versions, each.steps, MOMENT) for each in windows[:12]]
    halves = falling._halves([*windows, *lower])
    assert halves is not None and falling.judge([halves]).worse
