"""What must hold of the observations: one schema, no row twice, nothing left in the inbox.

Looks at what was written of late, within a budget: an hour that nobody wrote to was checked when it was written.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from assets.checks import LONGEST_WAIT
from assets.observations import observations
from assets.presentation import moment, table
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.lake.catalogue import HourEntry

RECENT = timedelta(hours=2)
ROW_BUDGET = 5_000_000
FILE_BUDGET = 500
DESCRIPTIONS = {
    "no_duplicates": "No observation is stored twice: neither its id nor its (source, source_id), in the hours that "
    "were written in the last two hours and the hours beside them.",
    "schema_matches": "Every recently written file has exactly the columns and types of the observation.",
    "inbox_fresh": "No live observation or feedback waits in the inbox for longer than 15 minutes.",
}


@dg.multi_asset_check(
    specs=[dg.AssetCheckSpec(name, asset=observations, description=text) for name, text in DESCRIPTIONS.items()],
    can_subset=True,
)
def observation_checks(
    context: dg.AssetCheckExecutionContext, cogorch: CogorchResource
) -> Iterator[dg.AssetCheckResult]:
    """One step for all three: for each step on a partitioned asset Dagster lists every partition."""
    functions = {"no_duplicates": _no_duplicates, "schema_matches": _schema_matches, "inbox_fresh": _inbox_fresh}
    for key in sorted(context.selected_asset_check_keys, key=lambda key: key.name):
        yield functions[key.name](cogorch)


def _no_duplicates(cogorch: CogorchResource) -> dg.AssetCheckResult:
    from cogorch_dagster.lake import query
    from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA

    settings = cogorch.settings
    entries = _recent_with_neighbours(cogorch)
    relation = query.scan(settings, entries, OBSERVATION_SCHEMA)
    with query.connected(settings) as duckdb:
        found = duckdb.execute(
            # A list of constants: the relation names our own files.
            f"WITH rows AS (SELECT source, source_id, observation_id, occurred_at FROM {relation}) "  # noqa: S608
            "SELECT source || ' / ' || source_id AS id, count(*) AS times, min(occurred_at) AS first, "
            "max(occurred_at) AS last FROM rows GROUP BY source, source_id HAVING count(*) > 1 "
            "UNION ALL SELECT observation_id, count(*), min(occurred_at), max(occurred_at) FROM rows "
            "GROUP BY observation_id HAVING count(*) > 1 ORDER BY times DESC, id LIMIT 50"
        ).fetchall()
    columns = {"id": "id, or source / source_id", "times": "stored", "first": "UTC", "last": "UTC"}
    return dg.AssetCheckResult(
        check_name="no_duplicates",
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(found)} ids are stored more than once." if found else "No id is stored twice.",
        metadata={
            "hours_checked": len(entries),
            "rows_checked": sum(entry.rows for entry in entries),
            "duplicates": table([dict(zip(columns, row, strict=True)) for row in found], columns),
        },
    )


def _schema_matches(cogorch: CogorchResource) -> dg.AssetCheckResult:
    import pyarrow.parquet as pq
    from fsspec.core import open as open_url

    from cogorch_dagster.lake import files
    from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA

    settings = cogorch.settings
    names = [name for entry in _recent(cogorch) for name in entry.files][:FILE_BUDGET]
    wrong = []
    for name, url in zip(names, files.urls(settings, names), strict=True):
        with open_url(url, "rb") as file:
            schema = pq.read_schema(file)
        if not schema.equals(OBSERVATION_SCHEMA, check_metadata=False):
            expected, present = set(map(str, OBSERVATION_SCHEMA)), set(map(str, schema))
            wrong.append(
                {
                    "file": name,
                    "missing": ", ".join(sorted(expected - present)),
                    "unexpected": ", ".join(sorted(present - expected)) or "(order of columns)",
                }
            )
    columns = {"file": "relative to the lake", "missing": "column: type", "unexpected": "column: type"}
    return dg.AssetCheckResult(
        check_name="schema_matches",
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(wrong)} of {len(names)} files differ." if wrong else "All files have the one schema.",
        metadata={"files_checked": len(names), "different": table(wrong, columns)},
    )


def _inbox_fresh(cogorch: CogorchResource) -> dg.AssetCheckResult:
    import sqlalchemy as sa

    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.platform.tables import inbox_feedback, inbox_observations

    with transaction(cogorch.settings) as connection:
        oldest = [
            connection.execute(sa.select(sa.func.min(inbox.c.received_at))).scalar_one()
            for inbox in (inbox_observations, inbox_feedback)
        ]
    waiting = [received for received in oldest if received is not None]
    wait = datetime.now(UTC) - min(waiting) if waiting else timedelta(0)
    return dg.AssetCheckResult(
        check_name="inbox_fresh",
        passed=wait <= LONGEST_WAIT,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"The oldest row has waited {wait}." if waiting else "The inbox is empty.",
        metadata={
            "oldest_wait_s": round(wait.total_seconds(), 1),
            "newest_hour": moment(max((entry.hour for entry in _entries(cogorch)), default=None)),
        },
    )


def _entries(cogorch: CogorchResource) -> "list[HourEntry]":
    from cogorch_dagster.lake import catalogue
    from cogorch_dagster.platform.database import transaction

    with transaction(cogorch.settings) as connection:
        return catalogue.entries(connection, "observations")


def _recent(cogorch: CogorchResource) -> "list[HourEntry]":
    """The hours written last, newest first: those of the last two hours, at least one, within the budget of rows."""
    limit = datetime.now(UTC) - RECENT
    chosen: list[HourEntry] = []
    for entry in sorted(_entries(cogorch), key=lambda entry: entry.committed_at, reverse=True):
        if chosen and (entry.committed_at < limit or sum(each.rows for each in chosen) + entry.rows > ROW_BUDGET):
            break
        chosen.append(entry)
    return chosen


def _recent_with_neighbours(cogorch: CogorchResource) -> "list[HourEntry]":
    hour = timedelta(hours=1)
    wanted = {beside for entry in _recent(cogorch) for beside in (entry.hour - hour, entry.hour, entry.hour + hour)}
    return [entry for entry in _entries(cogorch) if entry.hour in wanted]
