"""Hours that need work: rows in the inbox, late rows, late feedback, a changed reward configuration."""

import hashlib
from datetime import UTC, datetime

import dagster as dg
from dagster import RunsFilter
from pydantic import BaseModel, Field

from assets.partitions import contiguous, key_of, partition_of, range_tags
from cogorch_dagster.lake.hours import floor_hour
from jobs.learning import learning_loop
from resources.installation import CogorchResource
from sensors import attempts, cursors

# A year of hours in one run would hold the lane for long; a month passes in under a minute.
LONGEST_RANGE = 744
# An hour that is current costs 12 ms of events, a run of its own several seconds.
GAP = 12
RANGES_PER_TICK = 3


class Request(BaseModel):
    """What was last asked for a range: its content then, how often, and when."""

    content: str
    times: int
    at: datetime


class HoursState(BaseModel):
    """`after` is the range where the next page begins; `requests` by range, for those that still need work."""

    after: str = ""
    requests: dict[str, Request] = Field(default_factory=dict)


@dg.sensor(
    job=learning_loop,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs the learning loop for hours that have new rows in the inbox or are out of date.",
)
def new_or_stale_hours(context: dg.SensorEvaluationContext, cogorch: CogorchResource) -> dg.SensorResult:
    """Asks for one run for each stretch of such hours; the same hours again only after a growing pause."""
    if attempts.is_busy(context.instance, learning_loop.name):
        return dg.SensorResult(skip_reason="the learning loop is at work")
    now = datetime.now(UTC)
    due = attempts.due_after_failures(context.instance, RunsFilter(job_name=learning_loop.name))
    if due is not None and due > now:
        return dg.SensorResult(skip_reason=f"the last run failed; the next attempt is due at {due:%H:%M:%S} UTC")
    marks = _marks(cogorch)
    possible: dict[datetime, str] = {}
    for hour, mark in sorted(marks.items()):
        if hour <= floor_hour(now):
            possible[partition_of(hour)] = possible.get(partition_of(hour), "") + mark
    in_the_future = sum(hour > now for hour in marks)
    if in_the_future:
        context.log.info(f"{in_the_future} hours lie in the future and wait until they come.")
    if not possible:
        return dg.SensorResult(skip_reason="nothing is new and no hour is stale")
    state = cursors.read(context, HoursState)
    ranges = contiguous(possible, gap=GAP, longest=LONGEST_RANGE)
    keyed = [(f"{key_of(first)}..{key_of(last)}", (first, last)) for first, last in ranges]
    page = cursors.page(keyed, state.after, RANGES_PER_TICK)
    # Forgotten attempts would give an old run_key again, which Dagster drops without a word.
    asked = {key: state.requests[key] for key, _ in keyed if key in state.requests}
    requests: list[dg.RunRequest] = []
    for key, (first, last) in page:
        content = _content({hour: mark for hour, mark in possible.items() if first <= hour <= last})
        before = state.requests.get(key)
        repeated = before is not None and before.content == content
        if before is not None and repeated and now < before.at + attempts.pause_after(before.times):
            continue
        times = before.times + 1 if before is not None and repeated else 1
        asked[key] = Request(content=content, times=times, at=now)
        requests.append(dg.RunRequest(run_key=f"{key}:{content}:{times}", tags=range_tags(first, last)))
    cursors.write(context, HoursState(after=page[-1][0] if len(keyed) > len(page) else "", requests=asked))
    if not requests:
        return dg.SensorResult(skip_reason=f"{len(page)} ranges were asked for a moment ago and have not changed")
    return dg.SensorResult(run_requests=requests)


def _marks(cogorch: CogorchResource) -> dict[datetime, str]:
    """The hours that need work, each with what tells its present content from an earlier one."""
    import sqlalchemy as sa

    from cogorch_dagster.lake import catalogue, files
    from cogorch_dagster.observations import inbox
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.platform.tables import inbox_feedback, inbox_observations
    from cogorch_dagster.rewards import materialise

    settings = cogorch.settings
    stale = materialise.stale_hours(settings)
    with transaction(settings) as connection:
        pending = inbox.pending_hours(connection)
        newest = [
            connection.execute(sa.select(sa.func.max(table.c.seq))).scalar_one()
            for table in (inbox_observations, inbox_feedback)
        ]
        # The rewards too: an hour may become stale twice for the same rows, when its configuration comes back.
        entries = [entry for dataset in files.DATASETS for entry in catalogue.entries_of(connection, dataset, stale)]
    marks = dict.fromkeys(stale, "")
    for entry in entries:
        marks[entry.hour] += f"{entry.dataset}={entry.digest} "
    for hour in pending:
        marks[hour] = f"{marks.get(hour, '')}inbox={newest}"
    return marks


def _content(marks: dict[datetime, str]) -> str:
    lines = "\n".join(f"{key_of(hour)} {mark}" for hour, mark in sorted(marks.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]
