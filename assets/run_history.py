"""The finished runs of this Dagster instance, as the facts that the engine makes observations of."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from dagster import DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter

from cogorch_dagster.lake.hours import HOUR, floor_hour

if TYPE_CHECKING:
    from cogorch_dagster.observations.schema import Observation

FINISHED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
# A run belongs to the hour in which it started, and may have waited in the queue before.
LONGEST_QUEUE = timedelta(hours=6)
PAGE = 500
MOST_RUNS = 50_000


def finished_runs(instance: DagsterInstance, hours: Iterable[datetime]) -> "list[Observation]":
    """Observations of the finished runs that started in one of the hours; the newest 50,000 of them."""
    from cogorch_dagster.observations.sources import dagster_runs

    wanted = set(hours)
    if not wanted:
        return []
    found = []
    filters = RunsFilter(
        statuses=FINISHED, created_after=min(wanted) - LONGEST_QUEUE, created_before=max(wanted) + HOUR
    )
    for record in islice(_records(instance, filters), MOST_RUNS):
        started = _time(record.start_time)
        if started is None or floor_hour(started) not in wanted:
            continue
        run = record.dagster_run
        facts = dagster_runs.RunFacts(
            run.run_id, run.job_name, run.status.value, started, _time(record.end_time), run.tags
        )
        observation = dagster_runs.observation(facts)
        if observation is not None:
            found.append(observation)
    return found


def _records(instance: DagsterInstance, filters: RunsFilter) -> Iterator[RunRecord]:
    cursor: str | None = None
    while True:
        page = instance.get_run_records(filters, limit=PAGE, cursor=cursor)
        yield from page
        if len(page) < PAGE:
            return
        cursor = page[-1].dagster_run.run_id


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
