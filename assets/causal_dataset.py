"""What causes are looked for in: for every component a table of time buckets, from its observations and rewards."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from assets.presentation import moment, shown, table
from assets.rewards import rewards
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.causal.data.dataset import CausalDataset

DATASET_COLUMNS = {
    "component": "whose",
    "outcome": "kept, or why there is no data set",
    "rows": "buckets of time",
    "width_s": "of a bucket, seconds",
    "variables": "columns that vary",
    "set_aside": "columns that cannot be used",
    "missing": "largest share of missing values of a variable",
    "digest": "of the data set",
}
VARIABLE_COLUMNS = {
    "name": "variable",
    "unit": "of its values",
    "role": "context, policy, state or outcome",
    "tier": "no variable causes one of a lower tier",
    "missing": "share of the rows",
    "mean": "of its values",
    "sd": "standard deviation",
    "note": "what it is, or why it was set aside",
}
SHOWN = 8


class DatasetConfig(dg.Config):
    """What to read."""

    components: list[str] = Field(default=[], description="Whose observations; empty: every component with rewards.")
    days: float = Field(default=7, gt=0, le=400, description="Period until now.")
    bucket_s: int = Field(default=0, ge=0, le=86_400, description="Width of a row; 0: chosen by the amount of data.")


@dg.asset(
    # It reads days; naming all partitions would make Dagster list every one of them.
    deps=[dg.AssetDep(rewards, partition_mapping=dg.LastPartitionMapping())],
    group_name="causes",
    kinds={"duckdb", "parquet", "postgres"},
    owners=["team:learning"],
)
def causal_dataset(
    context: dg.AssetExecutionContext, config: DatasetConfig, cogorch: CogorchResource
) -> dg.MaterializeResult[None]:
    """For every component one table: policy parameters, replicas, load, mix, queueing, latency, errors, cost, reward.

    A row is a bucket of time. Each variable has a unit, a role and a tier, from which follows what cannot cause what.
    Columns that never vary or repeat another are set aside with the reason. A component with too little data has none.
    """
    from cogorch_dagster.causal.data.description import describe
    from cogorch_dagster.causal.data.reading import components, read_dataset
    from cogorch_dagster.causal.versions import datasets
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.lake.hours import HOUR, floor_hour

    settings = cogorch.settings
    until = floor_hour(datetime.now(UTC)) + HOUR
    since = until - timedelta(days=config.days)
    bucket = timedelta(seconds=config.bucket_s) if config.bucket_s else None
    rows: list[dict[str, object]] = []
    found: list[CausalDataset] = []
    for name in config.components or components(settings, since, until):
        try:
            dataset = read_dataset(settings, name, since, until, bucket=bucket)
        except InvalidInput as refusal:
            context.log.info(f"{name}: {refusal}")
            rows.append({"component": name, "outcome": str(refusal)})
            continue
        datasets.save(settings, dataset)
        found.append(dataset)
        rows.append(_row(dataset))
    outcome = f"{len(found)} of {len(rows)} components have a data set" if rows else "no component has rewards"
    context.log.info(outcome)
    metadata: dict[str, dg.MetadataValue] = {
        "outcome": dg.MetadataValue.text(outcome),
        "period": dg.MetadataValue.text(f"{moment(since)} to {moment(until)}"),
        "datasets": table(rows, DATASET_COLUMNS, limit=200),
        "dagster/row_count": dg.MetadataValue.int(sum(each.rows for each in found)),
    }
    for dataset in found[:SHOWN]:
        described = [{**each, "mean": _rounded(each["mean"]), "sd": _rounded(each["sd"])} for each in describe(dataset)]
        metadata[f"variables_of_{dataset.scope}"] = table(described, VARIABLE_COLUMNS, limit=100)
    return dg.MaterializeResult(metadata=metadata)


def _row(dataset: "CausalDataset") -> dict[str, object]:
    import numpy as np

    from cogorch_dagster.causal.versions.rows import width_s

    return {
        "component": dataset.scope,
        "outcome": "kept",
        "rows": dataset.rows,
        "width_s": width_s(dataset),
        "variables": len(dataset.variables),
        "set_aside": len(dataset.set_aside),
        "missing": shown(float(np.isnan(dataset.values).mean(axis=0).max()), 3),
        "digest": dataset.digest,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else shown(value)
