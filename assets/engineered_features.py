"""Features of each router's decisions, from what was known before each: which were kept, and what they are worth."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from assets.presentation import moment, plot, shown, table
from assets.rewards import rewards
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cogorch_dagster.features.feature_set import FeatureSet
    from cogorch_dagster.policies.store import PolicyVersion
    from cogorch_dagster.settings import Settings

COLUMNS = {
    "policy": "whose decisions",
    "outcome": "built, kept (the same as before) or the reason why not",
    "considered": "features to choose from",
    "kept": "selected by their importance in held-out time, false discoveries held at 5 %",
    "decisions": "that they were selected on",
    "explained": "share of the reward's variance in held-out time, with the features",
    "by_arm_alone": "and without",
    "interval_ratio": "width of the doubly robust interval with the features by that without; below 1 they help",
    "ratio_low": "95 % interval of the ratio",
    "ratio_high": "95 % interval of the ratio",
    "digest": "of the version",
}
IMPORTANCE_COLUMNS = {
    "policy": "whose decisions",
    "feature": "Featuretools' name, with its window",
    "importance": "rise of the squared error where it is permuted, as a share of the variance",
    "lower": "lower bound over the folds",
}
SHOWN_FEATURES = 25


class FeaturesConfig(dg.Config):
    """For which policies and decisions."""

    policies: list[str] = Field(default=[], description="Router policies; empty: all in force.")
    hours: int = Field(default=48, ge=2, le=24 * 90, description="Of decisions until now; the last fifth measures.")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Of selection and leak check.")


@dg.asset(
    # As `causal_dataset`: Dagster would list every partition.
    deps=[dg.AssetDep(rewards, partition_mapping=dg.LastPartitionMapping())],
    group_name="tuning",
    kinds={"featuretools", "postgres"},
    owners=["team:learning"],
)
def engineered_features(
    context: dg.AssetExecutionContext, config: FeaturesConfig, cogorch: CogorchResource
) -> dg.MaterializeResult[None]:
    """Deep features of the routers' decisions, cut off at each decision's start, and what they gain the estimators.

    Synthesised over decisions, components, tenants and policies, held against a log without a future, selected by
    importance in held-out time, stored as an immutable version that serving computes again. The gain is the width of
    the doubly robust interval on later decisions, with the features by without.
    """
    rows: list[dict[str, object]] = []
    kept: list[FeatureSet] = []
    now = datetime.now(UTC)
    for version in routers(cogorch.settings, config.policies):
        row, found = _one(cogorch.settings, version, now, config, context.run_id)
        context.log.info(f"{row['policy']}: {row['outcome']}")
        rows.append(row)
        kept += [found] if found is not None else []
    metadata: dict[str, Any] = {
        "outcome": "; ".join(f"{row['policy']}: {row['outcome']}" for row in rows) or "no router is in force",
        "feature_sets": table(rows, COLUMNS),
        "importances": table([row for each in kept for row in _importance_rows(each)], IMPORTANCE_COLUMNS, limit=100),
    }
    if kept and kept[0].importances:
        metadata["importance"] = plot(lambda axes: _draw(axes, kept[0]), title=f"importance, {kept[0].scope}")
    return dg.MaterializeResult(metadata=metadata)


@dg.asset_check(asset=engineered_features, blocking=True)
def no_leakage(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """No feature of the latest versions looks past the start of the decision that it describes.

    Each is computed again from a log that ends at the cut-off, and from one with another future; it must not differ.
    """
    from cogorch_dagster.features import store
    from cogorch_dagster.features.building import leaks_of
    from cogorch_dagster.platform.database import transaction

    with transaction(cogorch.settings) as connection:
        scopes = sorted({each.scope for each in store.listing(connection)})
        latest = [store.latest(connection, scope) for scope in scopes]
    found = [str(leak) for each in latest if each is not None for leak in leaks_of(cogorch.settings, each)]
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(found) or f"No leak in the features of {len(latest)} policies.",
        metadata={"policies": ", ".join(scopes) or "none"},
    )


def routers(settings: "Settings", names: list[str]) -> "list[PolicyVersion]":
    """The versions in force of these router policies; of all where none is named."""
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store

    with transaction(settings) as connection:
        active = store.active_of_kind(connection, "router")
    return [version for version in active if not names or version.policy_id in names]


def _one(
    settings: "Settings", version: "PolicyVersion", now: datetime, config: FeaturesConfig, run_id: str
) -> "tuple[dict[str, object], FeatureSet | None]":
    from cogorch_dagster.errors import CogorchError, Refused
    from cogorch_dagster.features import building, store
    from cogorch_dagster.features.gain import measure_gain
    from cogorch_dagster.platform.database import transaction

    row: dict[str, object] = {"policy": version.policy_id}
    since = now - timedelta(hours=config.hours)
    # Selected on earlier decisions than it is measured on, else the features would be flattered.
    selected_until = now - timedelta(hours=config.hours / 5)
    try:
        found = building.build(settings, version.policy_id, since, selected_until, seed=config.seed)
    except CogorchError as error:
        reason = error.reason if isinstance(error, Refused) else "invalid_input"
        return row | {"outcome": f"{reason}: {error}"}, None
    with transaction(settings) as connection:
        created = store.save(connection, found, run_id)
    row |= {
        "outcome": "built" if created else "kept",
        "considered": found.considered,
        "kept": len(found.selected),
        "decisions": found.rows,
        "explained": shown(found.explained, 3),
        "by_arm_alone": shown(found.explained_without, 3),
        "digest": found.digest,
    }
    if not found.selected:
        return row | {"outcome": f"{row['outcome']}; no feature matters beyond chance"}, found
    try:
        gain = measure_gain(settings, found, version.params, selected_until, now, seed=config.seed)
    except CogorchError as error:
        return row | {"outcome": f"{row['outcome']}; the gain is not measured: {error}"}, found
    low, high = gain.ratio_ci95
    said = "narrower" if high < 1 else "wider" if low > 1 else "as wide as before"
    row |= {"interval_ratio": shown(gain.ratio), "ratio_low": shown(low), "ratio_high": shown(high)}
    return row | {"outcome": f"{row['outcome']}; the interval is {said} with them"}, found


def _importance_rows(found: "FeatureSet") -> list[dict[str, object]]:
    return [
        {
            "policy": found.scope,
            "feature": each.name,
            "importance": shown(each.mean, 3),
            "lower": shown(each.lower, 3),
        }
        for each in found.importances[:SHOWN_FEATURES]
    ]


def _draw(axes: "Axes", found: "FeatureSet") -> None:
    top = found.importances[:8][::-1]
    colours = ["#2563eb" if each.kept else "#9ca3af" for each in top]
    axes.barh([each.name[-48:] for each in top], [each.mean for each in top], color=colours)
    axes.set_xlabel(f"share of the variance; decisions until {moment(found.until)}", fontsize=7)
