"""The score of every observation, hour by hour."""

import dagster as dg

from assets.observations import observations
from assets.partitions import HOURLY, IN_ONE_RUN, hours_of, partition_rows, with_earlier
from assets.presentation import shown, table
from resources.installation import CogorchResource

CONFIGURATION_COLUMNS = {
    "reward": "policy and version of the configuration",
    "scores": "which components",
    "success": "weight",
    "quality": "weight",
    "latency": "weight",
    "cost": "weight",
    "error": "weight",
    "min_acceptable": "mean reward below which tuning starts",
}


@dg.asset(
    partitions_def=HOURLY,
    backfill_policy=IN_ONE_RUN,
    deps=[observations],
    group_name="score",
    kinds={"parquet", "duckdb"},
    owners=["team:learning"],
)
def rewards(context: dg.AssetExecutionContext, cogorch: CogorchResource) -> dg.MaterializeResult[None]:
    """One score between 0 and 1 for each finished observation, with its parts.

        score = clamp(base + success·[success] + quality·q - latency·min(duration/max, 1)
                      - cost·min(cost/max, 1) - error·[failed or timed out], 0, 1)

    The weights are versioned documents, per component or kind. An hour is computed again when its rows, its feedback or
    its configuration changed; otherwise nothing happens. Pending and cancelled observations are not scored.
    """
    from cogorch_dagster.lake import catalogue
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.rewards import configuration, materialise

    settings = cogorch.settings
    hours = with_earlier(hours_of(context), lambda: materialise.stale_hours(settings))
    done = materialise.materialise_rewards(settings, hours)
    with transaction(settings) as connection:
        stored = catalogue.entries_of(connection, "rewards", hours)
        configs = configuration.active_configurations(connection)
    partition_rows(context, stored)
    return dg.MaterializeResult(
        metadata={
            "hours_computed": len(done.hours),
            "hours_current_before": len(done.current),
            "hours_without_observations": len(done.skipped),
            "rows_computed": done.rows,
            "configurations": table(
                [
                    {
                        "reward": f"{config.policy_id}@{config.version}",
                        "scores": config.component or config.component_kind or "everything else",
                        "success": shown(config.params.success_weight),
                        "quality": shown(config.params.quality_weight),
                        "latency": shown(config.params.latency_weight),
                        "cost": shown(config.params.cost_weight),
                        "error": shown(config.params.error_weight),
                        "min_acceptable": shown(config.params.min_acceptable),
                    }
                    for config in configs.configs
                ],
                CONFIGURATION_COLUMNS,
                limit=20,
            ),
        }
    )
