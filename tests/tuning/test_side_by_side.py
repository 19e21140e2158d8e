"""Old versions measured again: bit for bit where they were measured, and side by side on fresh fleets."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cogorch_dagster.agents import store
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.features.reward_registry import register_reward_model
from cogorch_dagster.registry import store as registry
from cogorch_dagster.registry.records import Lineage
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.registration import register_agents
from cogorch_dagster.tuning.side_by_side import reproduce, side_by_side
from tests.tuning.registered_training import short_fleet, trained


def test_an_old_version_reproduces_its_metrics_and_stands_beside_a_new_one(mlflow_database: Settings) -> None:
    settings, fleet = mlflow_database, short_fleet()
    olds, news = trained(settings), trained(settings, 1)
    old = register_agents(settings, olds.agents, fleet)
    new = register_agents(settings, news.agents, fleet)
    # Whatever the trainings keep elsewhere may be gone by then.
    for each in (*olds.agents.values(), *news.agents.values()):
        store.remove(settings, each.digest)
    assert store.prune(settings, 1).files == 8
    for agent in ("policy", "resource"):
        again = reproduce(settings, registry.get(settings, f"agent-{agent}", 1))
        assert again.same
        assert {name: value.hex() for name, value in again.found.items()} == {
            name: float(value).hex() for name, value in olds.agents[agent].metrics.items()
        }
    wrong = replace(
        old["policy"], metrics={**old["policy"].metrics, "reward": np.nextafter(old["policy"].metrics["reward"], 1)}
    )
    assert not reproduce(settings, wrong).same

    found = side_by_side(settings, old["policy"], new["policy"], seeds=range(4), fleets_per_seed=1)
    assert found.comparisons["reward"].seeds == 4
    difference = found.comparisons["reward"].difference
    assert difference.low <= difference.value <= difference.high
    assert {each.part for each in found.differences} >= {"params", "metrics", "files"}
    assert found.picture().startswith(b"\x89PNG") and found.document()["first"] == "agent-policy@1"
    same = side_by_side(settings, old["policy"], old["policy"], seeds=range(4), fleets_per_seed=1)
    assert same.differences == [] and np.array_equal(same.scores[0].values["reward"], found.scores[0].values["reward"])
    assert same.comparisons["reward"].difference.value == 0

    with pytest.raises(InvalidInput, match="are not versions of one agent"):
        side_by_side(settings, old["policy"], new["ethical"])
    model = register_reward_model(settings, "router", {}, params={}, metrics={}, lineage=Lineage("0.1.0"))
    with pytest.raises(InvalidInput, match=r"holds model.json, not an agent"):
        reproduce(settings, model)
    # Damaged company is as bad as a damaged agent.
    Path(settings.lake_root, old["resource"].folder, "checkpoint.safetensors").write_bytes(b"")
    with pytest.raises(Refused, match="agent-resource@1 is not loaded"):
        reproduce(settings, old["policy"])


def test_an_agent_that_learned_alone_needs_no_company_and_one_of_four_does(mlflow_database: Settings) -> None:
    settings, fleet = mlflow_database, short_fleet()
    alone = trained(settings, learning=("consensus",))
    assert reproduce(settings, register_agents(settings, alone.agents, fleet)["consensus"]).same

    four = trained(settings, 2)
    partly = register_agents(settings, {"policy": four.agents["policy"]}, fleet)
    with pytest.raises(Refused, match="was measured together with consensus, ethical, resource"):
        reproduce(settings, partly["policy"])
