"""Retraining through the real definitions: one training for four partitions, what blocks what, stopping, going on."""

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from assets.agent_checkpoints import agent_checkpoints
from assets.agent_partitions import AGENTS, ALL_AGENTS
from cogorch_dagster.agents import checkpoints
from cogorch_dagster.agents.baselines.static import StaticDefaults
from cogorch_dagster.agents.training import kept_training
from cogorch_dagster.fleet.calibration.calibration import calibrate
from cogorch_dagster.fleet.calibration.store import save
from cogorch_dagster.fleet.signals import AGENTS as ENGINE_AGENTS
from cogorch_dagster.games import store as coordinations
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.registry import store as registry
from cogorch_dagster.settings import Settings
from tests.agents_layer import BEGIN, SMALL, TINY, observed, short_episodes, training
from tests.dagster_layer import active, definitions, failure, metadata, resource
from tests.evaluation.traffic import POLICY, install


def run(
    settings: Settings,
    config: dict[str, Any],
    *assets: str,
    partition: str | None = None,
    instance: dg.DagsterInstance | None = None,
) -> dg.ExecuteInProcessResult:
    """The job, or of it only some assets with their checks; of all agents unless one is named."""
    return (
        definitions(settings)
        .resolve_job_def("retraining")
        .execute_in_process(
            run_config=config,
            tags=None if partition else ALL_AGENTS,
            partition_key=partition,
            asset_selection=[dg.AssetKey(name) for name in assets] or None,
            instance=instance,
            raise_on_error=False,
        )
    )


def trained(settings: Settings, **changes: Any) -> dg.ExecuteInProcessResult:
    """The asset alone, without what is checked of it and what follows."""
    return dg.materialize(
        [agent_checkpoints],
        partition_key="policy",
        resources={"cogorch": resource(settings)},
        run_config={"ops": {"agent_checkpoints": {"config": {**TINY, **changes}}}},
        raise_on_error=False,
    )


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {each.check_name: each.passed for each in result.get_asset_check_evaluations()}


def reported(result: dg.ExecuteInProcessResult) -> set[str | None]:
    """The partitions of agent_checkpoints that a run materialised."""
    events = result.get_asset_materialization_events()
    return {event.partition for event in events if event.asset_key == dg.AssetKey("agent_checkpoints")}


def test_the_partitions_are_the_agents_of_the_fleet() -> None:
    assert AGENTS == ENGINE_AGENTS


@pytest.mark.usefixtures("mlflow_database")
def test_observations_become_agents_a_settled_step_and_recommendations(settings: Settings) -> None:
    install(settings)
    observed(settings, hours=2)
    config = training(**SMALL, seed=3)
    config["ops"] |= {
        "coordination": {"config": {"steps": 1, "scenarios": 2, "limit_s": 60}},
        "recommendations": {"config": {"fleets": 4, "fresh_seeds": 5}},
    }
    result = run(settings, config)
    assert result.success
    assert reported(result) == set(AGENTS)
    found = checks(result)
    assert found["beats_static"] and found["weights_finite"] and found["equilibrium_verified"]
    assert not found["calibration_inputs"], "two hours are too few"

    said = metadata(result, "agent_checkpoints")
    assert (said["steps"], said["fleet_steps"], said["seed"]) == (60, 60 * 32, 3)
    assert said["learning_curves"].startswith("![") and [row["steps"] for row in said["curve"]] == [20, 40, 60]
    assert said["registry"] == ", ".join(f"agent-{agent} 1" for agent in AGENTS)
    for name in (f"agent-{agent}" for agent in AGENTS):
        version = registry.get(settings, name, "candidate")
        assert version.version == 1 and version.tags["beats_static"] == "yes"
    agents = kept_training.stored_agents(settings)
    assert {each.run_id for each in agents.values()} == {result.run_id}
    assert {each.calibration for each in agents.values()} == {said["parameters_digest"]}
    assert said["calibration"] == metadata(result, "fleet_calibration")["digest"]

    (row,) = metadata(result, "coordination")["steps"]
    assert row["verified"] and row["degraded"] == ""
    assert metadata(result, "coordination")["payoffs"].startswith("![")
    with transaction(settings) as connection:
        (kept,) = coordinations.listing(connection, run_id=result.run_id)
    assert metadata(result, "coordination")["coordinations"] == [kept.digest]

    (row,) = metadata(result, "recommendations")["recommendations"]
    assert row["policy"] == POLICY and (row["outcome"] == "proposed") == bool(row["candidate"])
    assert active(settings) == "1.0.0"


def test_whichever_agent_is_asked_for_all_are_trained_and_reported(settings: Settings) -> None:
    calibration = short_episodes(settings)
    result = run(settings, training(), "agent_checkpoints", partition="ethical")
    assert reported(result) == set(AGENTS)
    said = metadata(result, "agent_checkpoints")
    assert said["calibration"] == calibration
    own = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        own[event.partition] = materialization.metadata["checkpoint"].value
    assert own == {agent: each.digest for agent, each in kept_training.stored_agents(settings).items()}


def test_a_killed_training_leaves_the_stored_agents_and_goes_on_from_its_file(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_episodes(settings)
    assert reported(trained(settings))
    before = {agent: each.digest for agent, each in kept_training.stored_agents(settings).items()}
    write, written = checkpoints.write, []

    def killed(path: Any, checkpoint: checkpoints.Checkpoint) -> str:
        if written:
            raise KeyboardInterrupt
        written.append(path)
        return write(path, checkpoint)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "write", killed)
        assert not trained(settings, seed=1).success
    assert {agent: each.digest for agent, each in kept_training.stored_agents(settings).items()} == before
    said = metadata(trained(settings, seed=1), "agent_checkpoints")
    assert said["resumed"] and said["steps"] == 40 and len(said["curve"]) == 2
    whole = metadata(trained(settings, seed=1, resume=False), "agent_checkpoints")
    assert not whole["resumed"] and whole["curve"] == said["curve"], "as if it had never been stopped"


def test_the_clock_stops_a_training_and_the_next_one_goes_on(settings: Settings) -> None:
    short_episodes(settings)
    config = {"fleets": 2, "evaluate_every": 2, "steps": 100_000, "minutes": 0.01}
    first = metadata(trained(settings, **config), "agent_checkpoints")
    assert "stopped by the clock" in first["outcome"] and first["steps"] < 100_000
    second = metadata(trained(settings, **config), "agent_checkpoints")
    assert second["resumed"] and second["steps"] > first["steps"]
    too_short = trained(settings, steps=1000, evaluate_every=1000, minutes=1e-6)
    assert not too_short.success and "ended before the first evaluation" in failure(too_short)


def test_agents_that_are_no_better_than_the_defaults_block_what_follows(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_training, "stored_controller", lambda *_: StaticDefaults())
    short_episodes(settings)
    result = run(settings, training(), "agent_checkpoints", "coordination", "recommendations")
    assert not result.success
    assert not checks(result)["beats_static"] and checks(result)["weights_finite"]
    # This installation has no registry, which does not change what a check finds.
    said = {each.check_name: each.metadata for each in result.get_asset_check_evaluations()}["beats_static"]
    assert str(said["registry"].value).startswith("not marked: ")
    assert {event.asset_key for event in result.get_asset_materialization_events()} == {
        dg.AssetKey("agent_checkpoints")
    }
    with transaction(settings) as connection:
        assert coordinations.listing(connection) == []


def test_without_policies_in_force_nothing_is_recommended(settings: Settings) -> None:
    observed(settings, hours=2)
    with transaction(settings) as connection:
        save(connection, calibrate(settings, BEGIN, BEGIN + timedelta(hours=3)))
    result = run(settings, {}, "recommendations")
    assert result.success
    assert metadata(result, "recommendations")["outcome"] == "no router or autoscaler is in force"
