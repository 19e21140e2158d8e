"""Appending is idempotent, puts each row into its own hour, and samples successes the same way every time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cogorch_dagster.lake import catalogue, files
from cogorch_dagster.observations import append as append_module
from cogorch_dagster.observations.append import append
from cogorch_dagster.observations.parsing import parse_observations
from cogorch_dagster.observations.sampling import sample
from cogorch_dagster.observations.schema import Observation, to_table
from cogorch_dagster.platform import database
from cogorch_dagster.settings import Settings
from tests.observations.conftest import START

Observe = Callable[..., list[Observation]]
Stored = Callable[..., list[dict[str, Any]]]


def test_each_row_lies_in_its_own_hour_and_a_second_time_adds_nothing(
    settings: Settings, observe: Observe, stored: Stored
) -> None:
    rows = observe(150)
    first = append(settings, rows)
    assert (first.added, first.duplicates, first.by_outcome) == (150, 0, {"success": 150})
    assert first.hours == [START, START + timedelta(hours=1), START + timedelta(hours=2)]
    again = append(settings, rows)
    assert (again.added, again.duplicates, again.hours, again.by_outcome) == (0, 150, [], {})
    assert [row["source_id"] for row in stored()] == [f"row-{number}" for number in range(150)]
    assert all(row["ingested_at"] is not None for row in stored())
    with database.transaction(settings) as connection:
        assert [entry.rows for entry in catalogue.entries(connection, "observations")] == [60, 60, 30]


def test_a_late_row_changes_its_hour_alone(settings: Settings, observe: Observe) -> None:
    append(settings, observe(150))
    with database.transaction(settings) as connection:
        before = {entry.hour: entry.digest for entry in catalogue.entries(connection, "observations")}
    late = append(settings, observe(1, first=61, source="other"))
    with database.transaction(settings) as connection:
        after = {entry.hour: entry.digest for entry in catalogue.entries(connection, "observations")}
    assert late.hours == [START + timedelta(hours=1)]
    assert [hour for hour in after if after[hour] != before[hour]] == late.hours


def test_duplicates_within_a_batch_and_between_sources(settings: Settings, observe: Observe) -> None:
    result = append(settings, [*observe(3), *observe(3), *observe(3, source="other")])
    assert (result.added, result.duplicates) == (6, 3)


def test_nothing_is_something_that_can_be_appended(settings: Settings) -> None:
    assert append(settings, []).added == 0


def test_many_hours_and_rows_are_stored_in_steps(
    settings: Settings, observe: Observe, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(append_module, "MAX_ROWS", 100)
    monkeypatch.setattr(append_module, "MAX_HOURS", 3)
    rows = observe(700)
    result = append(settings, rows[::-1])
    assert (result.added, len(result.hours)) == (700, 12)
    assert append(settings, rows).duplicates == 700
    assert len(stored()) == 700


def test_concurrent_appends_of_the_same_rows_store_them_once(
    settings: Settings, observe: Observe, stored: Stored
) -> None:
    rows = observe(130)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: append(settings, rows), range(4)))
    assert sum(result.added for result in results) == 130
    assert sum(result.duplicates for result in results) == 3 * 130
    assert len(stored()) == 130


def test_successes_are_sampled_failures_and_retries_are_not(
    settings: Settings, observe: Observe, stored: Stored
) -> None:
    thin = settings.model_copy(update={"success_sample_rate": 0.25})
    successes = observe(4000, attempt=None)
    others = [*observe(200, first=4000, outcome="failure"), *observe(200, first=4200, attempt=2)]
    result = append(thin, successes + others)
    assert result.added + result.sampled_out == 4400
    kept = stored()
    by_attempt = {row["source_id"]: row["sample_weight"] for row in kept}
    assert all(by_attempt[row.source_id] == 1 for row in others)
    sampled = [row for row in kept if row["sample_weight"] == 4]
    # 4000 draws at 1/4: 1000 within five standard deviations of 27.
    assert abs(len(sampled) - 1000) < 140
    assert len(sampled) + len(others) == len(kept)
    again = append(thin, successes + others)
    assert (again.added, again.duplicates, again.sampled_out) == (0, result.added, result.sampled_out)


@hypothesis_settings(max_examples=25, deadline=None)
@given(low=st.floats(0.01, 1), high=st.floats(0.01, 1), order=st.permutations(range(40)), weight=st.floats(1, 100))
def test_sampling_depends_on_the_row_alone_and_keeps_more_at_a_higher_rate(
    low: float, high: float, order: list[int], weight: float
) -> None:
    low, high = sorted((low, high))
    rows = [
        {
            "source": "s",
            "source_id": str(number),
            "occurred_at": START.isoformat(),
            "component": "c",
            "component_kind": "cell",
            "outcome": "success",
            "sample_weight": weight,
        }
        for number in order
    ]
    table = to_table(parse_observations(rows).records)
    few, many = sample(table, low), sample(table, high)
    assert set(few["source_id"].to_pylist()) <= set(many["source_id"].to_pylist())
    assert sorted(few["source_id"].to_pylist()) == sorted(
        sample(table.sort_by("source_id"), low)["source_id"].to_pylist()
    )
    assert all(found == pytest.approx(weight / low) for found in few["sample_weight"].to_pylist())


def test_what_a_failed_append_wrote_counts_for_nothing(
    settings: Settings, observe: Observe, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "append_files", fail)
        with pytest.raises(OSError, match="full"):
            append(settings, observe(70))
    assert stored() == []
    assert append(settings, observe(70)).added == 70
    assert files.delete_unreferenced(settings, timedelta(0)) == 2
    assert len(stored()) == 70
