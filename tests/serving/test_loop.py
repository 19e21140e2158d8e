"""What the loop does with a version that arrives in the middle of a step."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.serving.beginning import Beginning
from cogorch_dagster.serving.following import Following
from cogorch_dagster.serving.kept import Keeper
from cogorch_dagster.serving.loop import Loop
from cogorch_dagster.serving.reload import Reload
from cogorch_dagster.serving.reports import Reports
from cogorch_dagster.settings import Settings
from tests.serving.hyperparameters import document, small_training


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_with_a_new_version_learns_next_and_takes_it_over_then(agent: AgentName, tmp_path: Path) -> None:
    training = small_training(fleets=2)
    following = Following("http://127.0.0.1:1", "none", AGENTS, tmp_path)
    rows: list[dict[str, int]] = []

    def learned() -> dict[str, int]:
        learners: Any = training.learners
        return {name: each.replay.seen if hasattr(each, "replay") else each.seen for name, each in learners.items()}

    def told(found: Reload) -> None:
        assert found.accepted, found.reason
        rows.append(learned())

    with Keeper(f"{tmp_path}/kept", 600, {}, 0) as keeper:
        beginning = Beginning(training, {}, {}, {}, 0)
        reports = Reports(Settings(home=tmp_path), "test")
        loop = Loop(beginning, following, reports, keeper, told, lambda *_: nullcontext())
        loop.step()
        before, step = learned(), training.environment.step

        def arrives(actions: Any) -> Any:
            following._note(agent, document(agent))  # as a thread of the follower does, at any moment
            return step(actions)

        training.environment.step = arrives  # type: ignore[method-assign]
        loop.step()
    # Told once, when its own agent alone had learned from the step.
    assert rows == [{**before, agent: before[agent] + 2}]
    assert learned() == {name: seen + 2 for name, seen in before.items()}
    assert loop.versions == {f"agent-{agent}": "1.0.1"}
