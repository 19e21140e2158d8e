"""What each router's decisions are expected to earn: fitted, judged by later decisions, and registered."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from assets.engineered_features import engineered_features, routers
from assets.presentation import moment, picture, shown, table
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.features.reward_fitting import Fitted
    from cogorch_dagster.registry.records import Registered
    from cogorch_dagster.settings import Settings

COLUMNS = {
    "policy": "whose decisions",
    "version": "in the registry",
    "registered": "new, or since when the version is there that was only repeated",
    "outcome": "champion or candidate and why, or the reason why nothing was fitted",
    "features": "that it knows beside arm and tenant",
    "feature_set": "digest; empty: it knows the context alone",
    "decisions": "predicted from earlier blocks of time",
    "rmse": "of these predictions, in units of the reward",
    "rmse_by_arm": "of the mean reward of each arm",
    "r2": "explained share of the variance",
    "r2_low": "95 % interval",
    "r2_high": "95 % interval",
    "slope": "of observed by predicted, 1 where it is calibrated",
    "bias": "observed less predicted",
    "newest_saved": "share of the squared error of the means by arm that it saves on the newest decisions",
}
CALIBRATION_COLUMNS = {
    "version": "in the registry",
    "aliases": "champion: used; candidate: not shown to be better",
    "decisions": "predicted from earlier blocks of time",
    "slope": "of observed by predicted",
    "slope_low": "95 % interval",
    "slope_high": "95 % interval",
    "bias": "observed less predicted",
    "bias_low": "95 % interval",
    "bias_high": "95 % interval",
}
# Further off than this, predictions mislead: in units of the reward, and of the slope around 1.
LARGEST_BIAS, LARGEST_TILT = 0.02, 0.25


class RewardModelsConfig(dg.Config):
    """For which policies and decisions."""

    policies: list[str] = Field(default=[], description="Router policies; empty: all in force.")
    hours: int = Field(default=48, ge=2, le=24 * 90, description="Of decisions until now; the last fifth judges.")


@dg.asset(
    deps=[engineered_features],
    group_name="tuning",
    kinds={"mlflow", "postgres"},
    owners=["team:learning"],
)
def reward_models(
    context: dg.AssetExecutionContext, config: RewardModelsConfig, cogorch: CogorchResource
) -> dg.MaterializeResult[None]:
    """What a decision is expected to earn, by arm, tenant and the features selected last, or else its context.

    Predictions are judged on decisions that they have not seen, against the mean reward of each arm. A model is
    registered as JSON, unless it only repeats a version; it becomes the champion, by which drift is told from a change
    of the mix, when it is better than the champion on the newest decisions, with the interval above 0.
    """
    from cogorch_dagster.features.reward_figure import calibration_figure

    rows: list[dict[str, object]] = []
    fits: list[Fitted] = []
    now = datetime.now(UTC)
    for version in routers(cogorch.settings, config.policies):
        row, fitted = _one(cogorch.settings, version.policy_id, now, config, context.run_id)
        context.log.info(f"{row['policy']}: {row['outcome']}")
        rows.append(row)
        fits += [fitted] if fitted is not None else []
    metadata: dict[str, Any] = {
        "outcome": "; ".join(f"{row['policy']}: {row['outcome']}" for row in rows) or "no router is in force",
        "reward_models": table(rows, COLUMNS),
    }
    for fitted in fits[:3]:
        policy = fitted.rewards.policy
        metadata[f"calibration {policy}"] = picture(calibration_figure(fitted), f"predicted and observed, {policy}")
    return dg.MaterializeResult(metadata=metadata)


@dg.asset_check(asset=reward_models)
def rewards_calibrated(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """What champions and candidates predict is what was observed, on later decisions than they were fitted to.

    The mean within .02 and the slope within .75 to 1.25, as far as their intervals tell.
    """
    found = _in_use(cogorch.settings)
    rows = [
        {
            "version": each.ref,
            "aliases": ", ".join(each.aliases),
            **{name: shown(each.metrics.get(name)) for name in CALIBRATION_COLUMNS if name in each.metrics},
        }
        for each in found
    ]
    wrong = [f"{each.ref}: {said}" for each in found if (said := _miscalibrated(each.metrics))]
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(wrong) or f"{len(found)} reward models predict what was observed.",
        metadata={"reward_models": table(rows, CALIBRATION_COLUMNS)},
    )


@dg.asset_check(asset=reward_models)
def no_look_ahead(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """No prediction of champions and candidates depends on what came after the start of the decision it is for.

    Each is made again from a log that ends there, and from one with another future; it must not differ.
    """
    from cogorch_dagster.features.reward_leakage import leaks_of
    from cogorch_dagster.features.reward_registry import rewards_of

    settings, found = cogorch.settings, _in_use(cogorch.settings)
    leaking = [
        f"{each.ref}: {leak}"
        for each in found
        if each.lineage.since and each.lineage.until
        for leak in leaks_of(settings, rewards_of(settings, each), each.lineage.since, each.lineage.until)
    ]
    return dg.AssetCheckResult(
        passed=not leaking,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(leaking) or f"No prediction of {len(found)} reward models looks ahead.",
        metadata={"versions": ", ".join(each.ref for each in found) or "none"},
    )


def _one(
    settings: "Settings", policy_id: str, now: datetime, config: RewardModelsConfig, run_id: str
) -> "tuple[dict[str, object], Fitted | None]":
    from cogorch_dagster.errors import CogorchError, Refused
    from cogorch_dagster.features import store
    from cogorch_dagster.features.reward_fitting import fit
    from cogorch_dagster.features.reward_judging import is_new, register
    from cogorch_dagster.platform.database import transaction

    row: dict[str, object] = {"policy": policy_id}
    with transaction(settings) as connection:
        features = store.latest(connection, policy_id)
    try:
        found = fit(settings, policy_id, now - timedelta(hours=config.hours), now, features=features)
    except CogorchError as error:
        reason = error.reason if isinstance(error, Refused) else "invalid_input"
        return row | {"outcome": f"{reason}: {error}"}, None
    version, verdict = register(settings, found, run_id)
    seen = found.out_of_fold
    new = is_new(version, found)
    row |= {
        "version": version.ref,
        "registered": "new" if new else f"unchanged since {moment(version.created_at)}",
        "outcome": str(verdict) if new else f"{version.ref} is unchanged, so there is no new version; {verdict}",
        "features": len(found.rewards.model.features),
        "feature_set": found.rewards.feature_set or "",
        "decisions": seen.decisions,
        "rmse": shown(seen.rmse.value),
        "rmse_by_arm": shown(seen.rmse_by_arm.value),
        "r2": shown(seen.r2.value),
        "r2_low": shown(seen.r2.low),
        "r2_high": shown(seen.r2.high),
        "slope": shown(seen.slope.value),
        "bias": shown(seen.bias.value),
        "newest_saved": shown(found.newest.saved.value) if found.newest is not None else None,
    }
    return row, found


def _in_use(settings: "Settings") -> "list[Registered]":
    from cogorch_dagster.features import reward_registry

    return reward_registry.in_use(settings)


def _miscalibrated(metrics: Mapping[str, float]) -> str:
    """What is wrong beyond what chance explains; empty if nothing is."""
    said = []
    low, high = metrics["bias_low"], metrics["bias_high"]
    if low > LARGEST_BIAS or high < -LARGEST_BIAS:
        said.append(f"observed less predicted is {metrics['bias']:.3f} ({low:.3f} to {high:.3f})")
    low, high = metrics["slope_low"], metrics["slope_high"]
    if low > 1 + LARGEST_TILT or high < 1 - LARGEST_TILT:
        said.append(f"observed rises by {metrics['slope']:.2f} ({low:.2f} to {high:.2f}) per 1 predicted")
    return " and ".join(said)
