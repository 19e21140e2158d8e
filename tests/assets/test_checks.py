"""The checks find what they are for, and pass on what the product itself writes."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pyarrow as pa
import pytest

from cogorch_dagster.lake import catalogue, files
from cogorch_dagster.lake.hours import HOUR, floor_hour
from cogorch_dagster.observations import inbox
from cogorch_dagster.observations.append import append
from cogorch_dagster.observations.schema import Observation, to_table
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.rewards import materialise
from cogorch_dagster.settings import Settings
from tests.dagster_layer import definitions, plain

PRESENT = floor_hour(datetime.now(UTC))


def observed(at: datetime, name: str = "a") -> Observation:
    return Observation(
        source="test",
        source_id=name,
        occurred_at=at,
        component="service:x",
        component_kind="service",
        outcome="success",
        duration_ms=1.0,
    )


def results(settings: Settings, *only: str) -> dict[str, dg.AssetCheckEvaluation]:
    """Run the checks alone, as the web interface does."""
    selection = dg.AssetSelection.checks(
        *(dg.AssetCheckKey(dg.AssetKey(asset), name) for asset, name in (item.split("/") for item in only))
    )
    job = dg.define_asset_job("checks", selection=selection)
    built = dg.Definitions.merge(definitions(settings), dg.Definitions(jobs=[job]))
    result = built.resolve_job_def("checks").execute_in_process()
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def of_observations(settings: Settings) -> dict[str, dg.AssetCheckEvaluation]:
    return results(settings, "observations/no_duplicates", "observations/schema_matches", "observations/inbox_fresh")


def smuggle(settings: Settings, hour: datetime, table: pa.Table) -> None:
    """Put a file into an hour past everything that guards it."""
    name = files.write(settings, "observations", hour, table)
    with transaction(settings) as connection:
        catalogue.append_files(connection, "observations", hour, [name], table.num_rows)


def test_an_empty_installation_passes(settings: Settings) -> None:
    found = of_observations(settings)
    assert set(found) == {"no_duplicates", "schema_matches", "inbox_fresh"}
    assert all(check.passed for check in found.values())


def test_what_the_product_writes_passes(settings: Settings) -> None:
    append(settings, [observed(PRESENT - n * HOUR, f"{n}") for n in range(5)])
    found = of_observations(settings)
    assert all(check.passed for check in found.values())
    assert plain(found["no_duplicates"].metadata["rows_checked"]) == 5
    assert plain(found["schema_matches"].metadata["files_checked"]) == 5


@pytest.mark.parametrize("apart", [timedelta(0), HOUR])
def test_a_row_that_is_stored_twice_is_found_across_neighbouring_hours(settings: Settings, apart: timedelta) -> None:
    append(settings, [observed(PRESENT - 3 * HOUR, "twin")])
    smuggle(settings, PRESENT - 3 * HOUR + apart, to_table([observed(PRESENT - 3 * HOUR + apart, "twin")]))
    check = of_observations(settings)["no_duplicates"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    rows = plain(check.metadata["duplicates"])
    assert {"id": "test / twin", "times": 2}.items() <= next(row for row in rows if "twin" in row["id"]).items()


def test_an_old_hour_that_nobody_wrote_to_is_not_read_again(settings: Settings) -> None:
    append(settings, [observed(PRESENT - 30 * HOUR, "old")])
    with transaction(settings) as connection:
        connection.exec_driver_sql("UPDATE lake_hours SET committed_at = now() - interval '1 day'")
    append(settings, [observed(PRESENT, "new")])
    assert plain(of_observations(settings)["no_duplicates"].metadata["rows_checked"]) == 1


def test_a_file_with_other_columns_is_named(settings: Settings) -> None:
    append(settings, [observed(PRESENT)])
    table = to_table([observed(PRESENT, "b")])
    smuggle(settings, PRESENT, table.drop_columns(["tenant"]).append_column("extra", pa.array([1])))
    check = of_observations(settings)["schema_matches"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    (row,) = plain(check.metadata["different"])
    assert "tenant: string" in row["missing"] and "extra: int64" in row["unexpected"]


def test_rows_that_wait_in_the_inbox_for_long_are_a_warning(settings: Settings) -> None:
    with transaction(settings) as connection:
        inbox.enqueue(connection, [observed(PRESENT)])
    assert of_observations(settings)["inbox_fresh"].passed
    with transaction(settings) as connection:
        connection.exec_driver_sql("UPDATE inbox_observations SET received_at = now() - interval '16 minutes'")
    check = of_observations(settings)["inbox_fresh"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert plain(check.metadata["oldest_wait_s"]) >= 960


def test_hours_that_are_not_scored_for_long_are_a_warning(settings: Settings) -> None:
    append(settings, [observed(PRESENT)])
    assert results(settings, "rolling_stats/statistics_current")["statistics_current"].passed
    with transaction(settings) as connection:
        connection.exec_driver_sql("UPDATE lake_hours SET committed_at = now() - interval '16 minutes'")
    late = results(settings, "rolling_stats/statistics_current")["statistics_current"]
    assert (late.passed, late.severity) == (False, dg.AssetCheckSeverity.WARN)
    materialise.materialise_rewards(settings, [PRESENT])
    materialise.materialise_rollups(settings, [PRESENT])
    assert results(settings, "rolling_stats/statistics_current")["statistics_current"].passed
