"""Raw observations, hour by hour: what the inbox received, what was imported, and cogorch's own runs."""

import dagster as dg

from assets.partitions import HOURLY, IN_ONE_RUN, hours_of, partition_rows
from assets.presentation import moment, table
from resources.installation import CogorchResource

# 200,000 rows each: what is left after so many waits for the next run.
MOST_DRAINS = 50
HOUR_COLUMNS = {
    "hour": "UTC",
    "rows": "observations stored",
    "files": "Parquet files that make up the hour",
    "written": "UTC",
}

live_inbox = dg.AssetSpec(
    "live_inbox",
    group_name="sources",
    kinds={"postgres"},
    owners=["team:platform"],
    description="Observations and feedback that the fleet sent to `POST /api/v1/observations` and `/feedback`: "
    "acknowledged after their commit, waiting to be moved to the lake.",
)
imported_files = dg.AssetSpec(
    "imported_files",
    group_name="sources",
    kinds={"csv", "parquet"},
    owners=["team:platform"],
    description="CSV, JSONL and Parquet files brought in with `cogorch observations import PATH --preset ...`; "
    "rows that are not valid are quarantined with their line.",
)
own_runs = dg.AssetSpec(
    "own_runs",
    group_name="sources",
    kinds={"dagster"},
    owners=["team:platform"],
    description="The runs of this Dagster instance: real durations and outcomes, component `dagster:<job>`.",
)
sources = [live_inbox, imported_files, own_runs]


@dg.asset(
    partitions_def=HOURLY,
    backfill_policy=IN_ONE_RUN,
    deps=sources,
    group_name="observe",
    kinds={"parquet"},
    owners=["team:platform"],
)
def observations(context: dg.AssetExecutionContext, cogorch: CogorchResource) -> dg.MaterializeResult[None]:
    """What happened in the fleet: one row for each attempt, with who acted under which policy and how it ended.

    Moves the whole inbox to the lake, each row into the hour in which it occurred, and records the runs of Dagster that
    ended in these hours. A row is known by its (source, source_id), so running twice changes nothing.
    """
    from assets.run_history import finished_runs
    from cogorch_dagster.lake import catalogue
    from cogorch_dagster.observations import append, inbox
    from cogorch_dagster.platform.database import transaction

    settings = cogorch.settings
    hours = hours_of(context)
    own = append.append(settings, finished_runs(context.instance, hours))
    drains: list[inbox.Drained] = []
    while len(drains) < MOST_DRAINS:
        drained = inbox.drain(settings)
        if drained.taken == 0:
            break
        drains.append(drained)
    with transaction(settings) as connection:
        stored = catalogue.entries_of(connection, "observations", hours)
        waiting = inbox.depth(connection)
    partition_rows(context, stored)
    touched = {hour for drained in drains for hour in drained.hours} | set(own.hours)
    newest = sorted(stored, key=lambda entry: entry.hour, reverse=True)
    return dg.MaterializeResult(
        metadata={
            "from_inbox": sum(drained.observations for drained in drains),
            "feedback": sum(drained.feedback for drained in drains),
            "duplicates": sum(drained.duplicates for drained in drains),
            "sampled_out": sum(drained.sampled_out for drained in drains),
            "own_runs": own.added,
            "still_in_inbox": waiting,
            "rows_in_range": sum(entry.rows for entry in stored),
            "hours_outside_range": len(touched - set(hours)),
            "newest_hours": table(
                [
                    {
                        "hour": moment(entry.hour),
                        "rows": entry.rows,
                        "files": len(entry.files),
                        "written": moment(entry.committed_at),
                    }
                    for entry in newest
                ],
                HOUR_COLUMNS,
                limit=12,
            ),
        }
    )
