"""How the fleet does now: statistics over 1 h, 24 h and 7 d."""

from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from assets.presentation import moment, plot, shown, table
from assets.rollups import rollups
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cogorch_dagster.rewards.rolling import RollingRow

COLUMNS = {
    "component": "what acted",
    "version": "of its policy; all: every version and none",
    "window": "ends at as_of",
    "n": "observations",
    "mean_reward": "0 to 1",
    "plus_minus": "1.96 standard errors of the mean reward",
    "success_rate": "of the scored",
    "p50_ms": "median duration",
    "p95_ms": "95th percentile of the duration",
    "mean_cost": "US dollars",
}
BARS = 10
WINDOW_SHOWN = "24h"


@dg.asset(
    # The statistics read the last seven days; naming all partitions would make Dagster list every one of them.
    deps=[dg.AssetDep(rollups, partition_mapping=dg.LastPartitionMapping())],
    group_name="score",
    kinds={"duckdb"},
    owners=["team:learning"],
    freshness_policy=dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=3), warn_window=timedelta(hours=1, minutes=30)
    ),
)
def rolling_stats(cogorch: CogorchResource) -> dg.MaterializeResult[None]:
    """Success rate, latency, cost and mean reward of every component and policy version, with standard errors.

    Read from the rollups alone. Where nothing happened in the last seven days, the windows end with the newest hour.
    """
    from cogorch_dagster.lake import catalogue
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.rewards import rolling

    settings = cogorch.settings
    rows = rolling.rolling_stats(settings)
    if not rows:
        with transaction(settings) as connection:
            hours = [entry.hour for entry in catalogue.entries(connection, "rollups")]
        rows = rolling.rolling_stats(settings, as_of=hours[-1] + timedelta(minutes=59)) if hours else []
    metadata: dict[str, dg.MetadataValue] = {
        "as_of": dg.MetadataValue.text(moment(rows[0].as_of) if rows else "no data"),
        "components": dg.MetadataValue.int(len({row.component for row in rows})),
        "dagster/row_count": dg.MetadataValue.int(len(rows)),
    }
    bars = [row for row in rows if row.window == WINDOW_SHOWN and row.mean_reward is not None]
    if bars:
        bars = sorted(bars, key=lambda row: row.n, reverse=True)[:BARS]
        metadata["mean_reward"] = plot(
            lambda axes: _draw(axes, bars),
            title=f"mean reward over {WINDOW_SHOWN}, with 95 % intervals",
            size=(5.2, 0.9 + 0.25 * len(bars)),
        )
    metadata["statistics"] = table([_record(row) for row in _for_people(rows)], COLUMNS, limit=30)
    return dg.MaterializeResult(metadata=metadata)


def _for_people(rows: "list[RollingRow]") -> "list[RollingRow]":
    """The busiest components first, each with its versions below it."""
    size: dict[str, int] = {}
    for row in rows:
        size[row.component] = max(size.get(row.component, 0), row.n)
    return sorted(rows, key=lambda row: (-size[row.component], row.component, row.policy_version is not None))


def _record(row: "RollingRow") -> dict[str, object]:
    return {
        "component": row.component,
        "version": _version(row),
        "window": row.window,
        "n": row.n,
        "success_rate": shown(row.success_rate),
        "p50_ms": shown(row.p50_ms),
        "p95_ms": shown(row.p95_ms),
        "mean_cost": shown(row.mean_cost),
        "mean_reward": shown(row.mean_reward),
        "plus_minus": shown(None if row.mean_reward_se is None else 1.96 * row.mean_reward_se, 2),
    }


def _version(row: "RollingRow") -> str:
    return "all" if row.policy_version is None else f"{row.policy_id}@{row.policy_version}"


def _draw(axes: "Axes", rows: "list[RollingRow]") -> None:
    places = list(range(len(rows)))
    axes.barh(
        places,
        [row.mean_reward or 0.0 for row in rows],
        xerr=[1.96 * (row.mean_reward_se or 0.0) for row in rows],
        color=["#4f43dd" if row.policy_version is None else "#9d95f2" for row in rows],
        error_kw={"elinewidth": 1, "capsize": 2},
        height=0.7,
    )
    axes.set_yticks(places, [f"{row.component}  {_version(row)}" for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
