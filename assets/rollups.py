"""Mergeable sums of every hour, from which all statistics are read."""

import dagster as dg

from assets.partitions import HOURLY, IN_ONE_RUN, hours_of, partition_rows, with_earlier
from assets.rewards import rewards
from resources.installation import CogorchResource


@dg.asset(
    partitions_def=HOURLY,
    backfill_policy=IN_ONE_RUN,
    deps=[rewards],
    group_name="score",
    kinds={"parquet", "duckdb"},
    owners=["team:learning"],
)
def rollups(context: dg.AssetExecutionContext, cogorch: CogorchResource) -> dg.MaterializeResult[None]:
    """Counts, weighted sums and latency buckets per hour, component and policy version.

    They add up over any number of hours, so that a week is read as fast as an hour. They stay when the raw hours are
    dropped.
    """
    from cogorch_dagster.lake import catalogue
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.rewards import materialise

    settings = cogorch.settings
    hours = with_earlier(hours_of(context), lambda: materialise.stale_hours(settings))
    done = materialise.materialise_rollups(settings, hours)
    with transaction(settings) as connection:
        stored = catalogue.entries_of(connection, "rollups", hours)
    partition_rows(context, stored)
    return dg.MaterializeResult(
        metadata={
            "hours_computed": len(done.hours),
            "hours_current_before": len(done.current),
            "hours_without_rewards": len(done.skipped),
            "groups_computed": done.rows,
        }
    )
