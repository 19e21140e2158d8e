"""Asking again without asking for ever: what became of the runs so far, and when the next one is due."""

from datetime import UTC, datetime, timedelta

from dagster import DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter

UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
LOOK_BACK = 12


def is_busy(instance: DagsterInstance, job: str) -> bool:
    """Whether a run of the job waits or works."""
    return bool(instance.get_run_records(RunsFilter(job_name=job, statuses=UNFINISHED), limit=1))


def pause_after(failures: int) -> timedelta:
    """30 s after the first failure, twice as long after each further one, at most an hour."""
    if failures <= 0:
        return timedelta(0)
    return min(FIRST_PAUSE * int(2 ** min(failures - 1, 20)), LONGEST_PAUSE)


def due_after_failures(instance: DagsterInstance, filters: RunsFilter) -> datetime | None:
    """When to try again after the latest runs failed; None when the latest one did not fail."""
    latest = instance.get_run_records(filters, limit=LOOK_BACK)
    failures = 0
    for record in latest:
        if record.dagster_run.status is not DagsterRunStatus.FAILURE:
            break
        failures += 1
    return ended(latest[0]) + pause_after(failures) if failures else None


def ended(record: RunRecord) -> datetime:
    """When a run ended, or was last heard of."""
    if record.end_time is not None:
        return datetime.fromtimestamp(record.end_time, UTC)
    return record.update_timestamp.astimezone(UTC)
