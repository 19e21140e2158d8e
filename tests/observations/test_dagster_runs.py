"""Finished runs become observations; running ones do not."""

from datetime import UTC, datetime, timedelta

import pytest

from cogorch_dagster.observations.append import append
from cogorch_dagster.observations.sources.dagster_runs import RunFacts, observation
from cogorch_dagster.settings import Settings

STARTED = datetime(2026, 3, 1, 10, 59, 59, 500_000, tzinfo=UTC)
ENDED = STARTED + timedelta(seconds=2.5)


@pytest.mark.parametrize(
    ("status", "outcome"), [("SUCCESS", "success"), ("FAILURE", "failure"), ("CANCELED", "cancelled")]
)
def test_a_finished_run(status: str, outcome: str) -> None:
    found = observation(
        RunFacts("run-1", "loop", status, STARTED, ENDED, {"dagster/schedule_name": "hourly", "secret": "x"})
    )
    assert found is not None
    assert (found.component, found.component_kind, found.source_id) == ("dagster:loop", "service", "run-1")
    assert (found.outcome, found.duration_ms, found.occurred_at) == (outcome, 2500.0, STARTED)
    assert found.tags == '{"dagster/schedule_name":"hourly"}'


def test_a_retry_is_an_attempt_of_the_first_run() -> None:
    tags = {"dagster/root_run_id": "run-1", "dagster/retry_number": "2"}
    found = observation(RunFacts("run-3", "loop", "SUCCESS", STARTED, ENDED, tags))
    assert found is not None
    assert (found.attempt, found.decision_id) == (3, "run-1")


@pytest.mark.parametrize(
    ("status", "started", "ended"),
    [("STARTED", STARTED, None), ("QUEUED", None, None), ("FAILURE", None, ENDED), ("SUCCESS", STARTED, None)],
)
def test_a_run_without_start_or_end_is_none(status: str, started: datetime | None, ended: datetime | None) -> None:
    assert observation(RunFacts("run-1", "loop", status, started, ended)) is None


def test_reading_the_same_runs_again_adds_nothing(settings: Settings) -> None:
    runs = [observation(RunFacts(f"run-{n}", "loop", "SUCCESS", STARTED, ENDED)) for n in range(3)]
    rows = [run for run in runs if run is not None]
    assert append(settings, rows).added == 3
    assert append(settings, rows).duplicates == 3
