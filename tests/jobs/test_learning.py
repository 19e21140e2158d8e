"""The loop through the real definitions: from generated traffic, or an import, to a candidate; twice the same."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from assets.partitions import hour_of, key_of
from cogorch_dagster.lake import catalogue
from cogorch_dagster.lake.hours import HOUR, floor_hour
from cogorch_dagster.observations import inbox
from cogorch_dagster.observations.importing import import_file
from cogorch_dagster.observations.schema import Observation
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import flags, store
from cogorch_dagster.rewards import materialise
from cogorch_dagster.settings import Settings
from tests.dagster_layer import active, draft, metadata, recent_hours, run, traffic
from tests.evaluation.traffic import POLICY, START, install

LOOP = {"observations", "rewards", "rollups", "rolling_stats", "policy_versions"}


def lake(settings: Settings) -> list[object]:
    """What the catalogue says, all datasets."""
    with transaction(settings) as connection:
        return [
            (entry.dataset, entry.hour, entry.files, entry.input_digest)
            for dataset in ("observations", "feedback", "rewards", "rollups")
            for entry in catalogue.entries(connection, dataset)
        ]


def candidates(settings: Settings) -> list[str]:
    with transaction(settings) as connection:
        return [version.ref for version in store.versions(connection, status="draft")]


def test_traffic_becomes_a_candidate_and_nothing_more(settings: Settings) -> None:
    traffic(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(settings, "learning_loop", instance, hours=recent_hours())
        assert result.success
        assert {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()} == LOOP
        (row,) = metadata(result, "policy_versions")["proposals"]
        assert (row["policy"], row["outcome"], row["candidate"]) == (POLICY, "proposed", "1.0.1")
        assert row["estimate"] > 0 and row["effective_sample_size"] > 50
        said = metadata(result, "policy_versions")
        assert "![router-core@1.0.1](data:image/png;base64," in said["evidence"]
        assert (
            "modelWeights.large" in said["candidate"]
            and "cogorch policy approve router-core@1.0.1" in said["candidate"]
        )
        (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "policy_approved"]
        assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert [each.check_name for each in result.get_asset_check_evaluations() if not each.passed] == [
            "policy_approved"
        ]
        statistics = metadata(result, "rolling_stats")["statistics"]
        assert {(row["component"], row["window"]) for row in statistics} >= {
            ("router:core", "24h"),
            ("router:core", "7d"),
        }
        assert candidates(settings) == ["router-core@1.0.1"]
        assert active(settings) == "1.0.0"

        before = lake(settings)
        again = run(settings, "learning_loop", instance, hours=(recent_hours()[0], START))
        assert again.success
        assert metadata(again, "rewards")["hours_computed"] == 0
        (row,) = metadata(again, "policy_versions")["proposals"]
        assert (row["outcome"], row["candidate"]) == ("kept", "1.0.1")
        # Of the traffic's hours nothing changed; the first run itself is what is new, and only in the present hour.
        assert [entry for entry in before if entry not in lake(settings)] == []
        assert candidates(settings) == ["router-core@1.0.1"]


def test_a_refusal_is_a_normal_result_with_its_reason(settings: Settings) -> None:
    traffic(settings, count=60)
    result = run(settings, "learning_loop", hours=recent_hours())
    assert result.success
    said = metadata(result, "policy_versions")
    assert said["outcome"] == "router-core: too_few_decisions"
    assert "at least 200 are needed" in said["notes"]
    assert candidates(settings) == []


def test_the_kill_switch_stops_proposals_while_scoring_goes_on(settings: Settings) -> None:
    traffic(settings)
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="ada", reason="incident")
    result = run(settings, "learning_loop", hours=recent_hours())
    assert result.success
    assert metadata(result, "policy_versions")["outcome"] == "router-core: learning_disabled"
    assert metadata(result, "rewards")["rows_computed"] > 1000
    assert candidates(settings) == []


def test_a_waiting_candidate_is_left_to_those_who_decide_until_it_is_old(settings: Settings) -> None:
    traffic(settings)
    waiting = draft(settings)
    assert run(settings, "learning_loop", hours=recent_hours()).success
    assert candidates(settings) == [waiting.ref]
    config = {"ops": {"policy_versions": {"config": {"keep_waiting_minutes": 0}}}}
    assert run(settings, "tuning", config=config).success
    assert candidates(settings) == ["router-core@1.0.2"]


def test_a_late_row_is_scored_in_its_own_hour(settings: Settings) -> None:
    traffic(settings, count=60)
    scored = ["observations", "rewards", "rollups"]
    assert run(settings, "learning_loop", hours=recent_hours(), assets=scored).success
    late = floor_hour(START) - 3 * HOUR
    with transaction(settings) as connection:
        inbox.enqueue(connection, [observation("late", late + timedelta(minutes=7))])
    present = floor_hour(datetime.now(UTC))
    result = run(settings, "learning_loop", hours=(present, present), assets=scored)
    assert metadata(result, "observations")["from_inbox"] == 1
    assert metadata(result, "observations")["hours_outside_range"] == 1
    assert late in materialise.stale_hours(settings)
    assert run(settings, "learning_loop", hours=(late, late), assets=scored).success
    assert late not in materialise.stale_hours(settings)


def test_own_runs_are_observed_in_the_hour_in_which_they_started(settings: Settings) -> None:
    install(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        run(settings, "tuning", instance)
        present = floor_hour(datetime.now(UTC))
        first = run(settings, "learning_loop", instance, hours=(present - HOUR, present))
        assert metadata(first, "observations")["own_runs"] == 1
        second = run(settings, "learning_loop", instance, hours=(present - HOUR, present))
        assert metadata(second, "observations")["own_runs"] == 1, "the first loop, and the tuning is not counted twice"
        rows = metadata(second, "rolling_stats")["statistics"]
    assert {row["component"] for row in rows} == {"dagster:tuning", "dagster:learning_loop"}
    assert all(row["success_rate"] == 1 and row["p50_ms"] > 0 for row in rows if row["window"] == "24h")


def test_552_hours_of_an_import_take_one_run(settings: Settings, realdata: Path) -> None:
    install(settings)
    import_file(settings, realdata / "gentd26" / "requests.csv", preset="gentd26")
    first, last = hour_of("2024-11-15-16:00"), hour_of("2024-12-08-17:00")
    result = run(settings, "learning_loop", hours=(first, last), assets=["observations", "rewards", "rollups"])
    assert result.success
    partitions = {
        event.partition
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("rollups")
    }
    assert len(partitions) == (last - first) // HOUR + 1 >= 552
    assert {key_of(first), key_of(last)} <= partitions
    said = metadata(result, "rewards")
    assert said["rows_computed"] == 26_823 - 33, "pending observations have no score"
    assert materialise.stale_hours(settings) == []


def observation(source_id: str, occurred_at: datetime) -> Observation:
    return Observation(
        source="test",
        source_id=source_id,
        occurred_at=occurred_at,
        component="service:late",
        component_kind="service",
        outcome="success",
        duration_ms=10.0,
    )
