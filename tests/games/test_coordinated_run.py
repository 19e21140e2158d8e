"""A run: three controllers on the same fleets, every step on record."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from cogorch_dagster.agents.comparison.comparison import Comparison
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.games import agent_process
from cogorch_dagster.games.agent_process import AgentSource
from cogorch_dagster.games.coordinated_run import CoordinatedRun, run
from cogorch_dagster.games.coordinator import CoordinationSettings
from tests.games.coordination import LIGHT, sources

QUICK = CoordinationSettings(limit_s=60, intentions_s=20, scenarios=2, horizon=3)
STEPS, FLEETS = 3, 2


def light_command(source: AgentSource) -> list[str]:
    """Every agent does the worst that one can: tighten, halve the timeout, audit."""
    manner = {"policy": "8", "consensus": "1", "ethical": "7"}.get(source.agent, "well")
    return [sys.executable, "-S", "-c", LIGHT, source.agent, manner]


@pytest.fixture(scope="module")
def found() -> CoordinatedRun:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agent_process.AgentSource, "command", light_command)
        return run(default_parameters(), sources(), steps=STEPS, seed=2, fleets=FLEETS, settings=QUICK)


def test_every_step_of_every_fleet_is_on_record_and_verified(found: CoordinatedRun) -> None:
    assert len(found.results) == STEPS * FLEETS
    assert len({each.seed for each in found.results}) == STEPS * FLEETS
    assert all(each.equilibrium is not None and each.equilibrium.verified for each in found.results)
    assert {each.intended["policy"] for each in found.results} == {"tighten"}


def test_all_controllers_met_the_same_fleets_and_are_compared(found: CoordinatedRun) -> None:
    assert set(found.scores) == {"coordinated", "intentions", "static"}
    assert len({(each.seeds, each.steps, each.parameters) for each in found.scores.values()}) == 1
    assert set(found.comparisons) == {"intentions", "static"}
    rewards = {name: scores.values["reward"] for name, scores in found.scores.items()}
    for name, comparison in found.comparisons.items():
        reward = comparison["reward"]
        assert isinstance(reward, Comparison)
        assert reward.difference.value == pytest.approx(np.mean(rewards["coordinated"] - rewards[name]), abs=1e-9)
    # Agents that only do harm are not followed.
    assert (rewards["coordinated"] > rewards["intentions"] + 0.02).all()


def test_the_summary_counts_what_was_decided(found: CoordinatedRun) -> None:
    summary = json.loads(json.dumps(found.summary()))
    assert summary["steps"] == summary["verified"] == STEPS * FLEETS
    assert sum(summary["decided"].values()) == sum(summary["concepts"].values()) == STEPS * FLEETS
    assert summary["degraded"] == 0 and summary["largest_relative_nash_conv"] <= 1e-5
    assert summary["conflicts_among_intentions"] > 0
    assert {"intentions", "payoffs", "equilibrium", "settlement", "total"} <= set(summary["seconds"])


def test_agents_that_do_not_start_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        agent_process.AgentSource, "command", lambda source: [sys.executable, "-S", "-c", LIGHT, source.agent, "exits"]
    )
    with pytest.raises(InvalidInput, match=r"agents are not ready after 30 s: .*exit code 7"):
        run(default_parameters(), sources(tmp_path), steps=1, seed=0, start_s=30)
