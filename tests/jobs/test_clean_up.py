"""Whatever grows is bounded, and nothing that is still the latest word is removed."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterEventType, RunsFilter

from assets.partitions import key_of
from cogorch_dagster.lake import catalogue
from cogorch_dagster.lake.hours import HOUR, floor_hour
from cogorch_dagster.observations.append import append
from cogorch_dagster.observations.schema import Observation
from cogorch_dagster.platform import database
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import store
from cogorch_dagster.rewards import materialise
from cogorch_dagster.settings import Settings
from jobs.run_trimming import trim_runs
from tests.dagster_layer import definitions, draft, run
from tests.evaluation.traffic import install

PRESENT = floor_hour(datetime.now(UTC))


def stored(settings: Settings, at: datetime) -> None:
    append(
        settings,
        [
            Observation(
                source="test",
                source_id=at.isoformat(),
                occurred_at=at,
                component="service:x",
                component_kind="service",
                outcome="success",
                duration_ms=1.0,
            )
        ],
    )


def hours(settings: Settings, dataset: str) -> list[datetime]:
    with transaction(settings) as connection:
        return [entry.hour for entry in catalogue.entries(connection, dataset)]  # type: ignore[arg-type]


def run_ids(instance: dg.DagsterInstance) -> set[str]:
    return {record.dagster_run.run_id for record in instance.get_run_records(RunsFilter())}


def trim(instance: dg.DagsterInstance, **options: float) -> tuple[int, int]:
    later = datetime.now(UTC) + timedelta(minutes=1)
    found = trim_runs(
        instance, older_than=later, most=int(options.get("most", 100)), budget_s=options.get("budget_s", 60)
    )
    return found.deleted, found.kept


def upkeep(settings: Settings, config: dict[str, Any] | None = None) -> dg.ExecuteInProcessResult:
    """All steps but the last, for which there would have to be a registry."""
    job = definitions(settings).resolve_job_def("clean_up")
    steps = ["*trim_dagster_history"]
    return job.execute_in_process(run_config=config or {}, op_selection=steps, raise_on_error=False)


def test_old_hours_go_and_their_rollups_stay(settings: Settings) -> None:
    old = PRESENT - timedelta(days=settings.retention_days + 2)
    unscored = old - timedelta(days=1)
    stored(settings, old)
    stored(settings, PRESENT)
    materialise.materialise_rewards(settings, [old, PRESENT])
    materialise.materialise_rollups(settings, [old, PRESENT])
    stored(settings, unscored)
    assert upkeep(settings).success
    assert hours(settings, "observations") == [unscored, PRESENT], "what is not rolled up is not dropped"
    assert hours(settings, "rollups") == [old, PRESENT]
    assert upkeep(settings).success


def test_unreferenced_files_go_when_they_are_old(settings: Settings) -> None:
    stored(settings, PRESENT)
    (kept,) = Path(settings.lake_root).rglob("*.parquet")
    import os

    for name, age in (("old", 30), ("new", 1)):
        copy = kept.with_name(f"{name}.parquet")
        copy.write_bytes(kept.read_bytes())
        moment = (datetime.now(UTC) - timedelta(hours=age)).timestamp()
        os.utime(copy, (moment, moment))
    assert upkeep(settings).success
    assert {path.name for path in kept.parent.iterdir()} == {kept.name, "new.parquet"}


def test_old_checkpoints_and_trainings_that_nobody_went_on_with_go(settings: Settings) -> None:
    from cogorch_dagster.agents import store as checkpoints
    from tests.agents.saved import BASE

    for steps in (1, 2, 3):
        at = BASE.created_at + timedelta(hours=steps)
        checkpoints.save(settings, replace(BASE, steps=steps, created_at=at))
    trainings = Path(settings.lake_root) / "trainings"
    trainings.mkdir(parents=True)
    for name, age in (("old", timedelta(days=8)), ("young", timedelta(days=6))):
        (trainings / f"{name}.safetensors").write_bytes(b"x")
        moment = (datetime.now(UTC) - age).timestamp()
        os.utime(trainings / f"{name}.safetensors", (moment, moment))
    config = {"ops": {"forget_old_checkpoints": {"config": {"keep": 2}}}}
    assert upkeep(settings, config).success
    assert [each.steps for each in checkpoints.listing(settings)] == [3, 2]
    assert [path.name for path in trainings.iterdir()] == ["young.safetensors"]


def test_old_studies_go_with_what_their_trials_left(settings: Settings) -> None:
    from cogorch_dagster.tuning.studies import rows
    from tests.tuning.tiny import aged, begun, shelved

    for name, age in (("old", 15), ("young", 13)):
        begun(settings, name)
        aged(settings, name, days=age)
    left = shelved(settings, "gone")
    assert upkeep(settings).success
    with transaction(settings) as connection:
        assert [each.name for each in rows(connection)] == ["young"]
    assert not left.exists()


def test_reward_models_go_that_are_old_and_not_in_use(mlflow_database: Settings) -> None:
    from cogorch_dagster.features.reward_registry import register_reward_model
    from cogorch_dagster.registry import store as registry
    from cogorch_dagster.registry.aliases import promote
    from cogorch_dagster.registry.records import Lineage

    settings, name, lineage = mlflow_database, "reward-model-router-core", Lineage("0.1.0")
    for number, age in enumerate((91, 91, 89, 91), start=1):
        register_reward_model(settings, "router-core", {"number": number}, params={}, metrics={}, lineage=lineage)
        registry.register(settings, "agent-policy", {"a.json": b"%d" % number}, params={}, metrics={}, lineage=lineage)
        milliseconds = timedelta(days=age) / timedelta(milliseconds=1)
        with database.engine(settings, settings.mlflow_database).begin() as connection:
            change = "UPDATE model_versions SET creation_time = creation_time - %s WHERE version = %s"
            connection.exec_driver_sql(change, (milliseconds, number))
    promote(settings, name, 1)
    config = {"ops": {"prune_registry": {"config": {"newest_reward_models": 1}}}}
    for removed in (f"{name}@2", "none"):
        result = run(settings, "clean_up", config=config)
        assert result.success
        (said,) = (
            each for each in result.all_events if each.is_successful_output and each.step_key == "prune_registry"
        )
        assert said.event_specific_data.metadata["versions_removed"].value == removed
    assert [each.version for each in registry.versions(settings, name)] == [4, 3, 1]
    assert len(registry.versions(settings, "agent-policy")) == 4, "only reward models go"


def test_undecided_candidates_expire(settings: Settings) -> None:
    install(settings)
    candidate = draft(settings)
    assert upkeep(settings).success
    with transaction(settings) as connection:
        assert store.version(connection, candidate.policy_id, candidate.version).status == "draft"
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql(
            "UPDATE policy_versions SET created_at = now() - interval '20 days' WHERE version = '1.0.1'"
        )
    assert upkeep(settings).success
    with transaction(settings) as connection:
        assert store.version(connection, candidate.policy_id, candidate.version).status == "expired"


def test_a_run_whose_partitions_were_materialised_again_goes(settings: Settings) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        scoring = ["observations", "rewards", "rollups"]
        first = run(settings, "learning_loop", instance, hours=(PRESENT - HOUR, PRESENT), assets=scoring)
        second = run(settings, "learning_loop", instance, hours=(PRESENT, PRESENT), assets=scoring)
        assert trim(instance) == (0, 2), "the first run holds the latest word on the hour before"
        third = run(settings, "learning_loop", instance, hours=(PRESENT - HOUR, PRESENT), assets=scoring)
        assert trim(instance) == (2, 1)
        assert run_ids(instance) == {third.run_id}
        assert {first.run_id, second.run_id}.isdisjoint(run_ids(instance))
        partitions = instance.event_log_storage.get_latest_storage_id_by_partition(
            dg.AssetKey("rollups"), DagsterEventType.ASSET_MATERIALIZATION
        )
        assert set(partitions) == {key_of(PRESENT - HOUR), key_of(PRESENT)}


def test_the_latest_materialisation_of_an_asset_without_partitions_stays(settings: Settings) -> None:
    install(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        run(settings, "activation", instance)
        last = run(settings, "activation", instance)
        review = run(settings, "review", instance)
        assert trim(instance) == (2, 1)
        assert run_ids(instance) == {last.run_id}
        assert review.run_id not in run_ids(instance)


def test_trimming_spares_young_and_unfinished_runs_and_stops_at_its_bounds(settings: Settings) -> None:
    install(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(4):
            run(settings, "review", instance)
        young = trim_runs(instance, older_than=datetime.now(UTC) - timedelta(hours=1), most=100, budget_s=60)
        assert (young.deleted, len(run_ids(instance))) == (0, 4)
        assert trim(instance, budget_s=-1) == (0, 0)
        assert trim(instance, most=3) == (3, 0)
        job = definitions(settings).resolve_job_def("review")
        working = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert trim(instance) == (1, 0)
        assert run_ids(instance) == {working.run_id}
