"""What features are worth to the doubly robust estimator: its interval with and without them, on the same decisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from cogorch_dagster.errors import Refused
from cogorch_dagster.evaluation.decision_rows import read_rows
from cogorch_dagster.evaluation.estimators import Estimate, doubly_robust, estimates
from cogorch_dagster.evaluation.forward import forward_fitted
from cogorch_dagster.evaluation.importance import Importance, importance
from cogorch_dagster.evaluation.outcome_model import OutcomeModel, fitted, predictions
from cogorch_dagster.evaluation.patterns import Floats, Patterns
from cogorch_dagster.evaluation.router import table, tenant_weights_of, weights_of
from cogorch_dagster.evaluation.support import RefusalReason, refusal, support
from cogorch_dagster.features.building import compute
from cogorch_dagster.features.feature_set import FeatureSet
from cogorch_dagster.settings import Settings

RESAMPLES = 1000


@dataclass(frozen=True)
class Gain:
    """The estimate without features and with them.

    Attributes:
        ratio: width of the interval with features over that without; below 1 they help.
        ratio_ci95: percentile bootstrap over the decisions.
        features: how many there were.
    """

    without: Estimate
    with_features: Estimate
    ratio: float
    ratio_ci95: tuple[float, float]
    features: int


def measure_gain(
    settings: Settings,
    features: FeatureSet,
    params: Mapping[str, Any],
    since: datetime,
    until: datetime,
    *,
    seed: int = 0,
    feedback_delay: timedelta | None = None,
) -> Gain:
    """Evaluate a router's parameters on the decisions in [since, until), with the features and without.

    Args:
        features: selected on other, earlier decisions if the intervals are to be taken at their word.
        seed: of the folds and of the bootstrap.

    Raises:
        InvalidInput: an empty period.
        Refused: with the reason of `evaluation.support`, the decisions do not answer, or there are none.
    """
    rows = read_rows(settings, features.scope, since, until, seed=seed, feedback_delay=feedback_delay)
    if not len(rows):
        raise Refused(RefusalReason.TOO_FEW_DECISIONS, _none(features, since, until))
    values = compute(settings, features, since, until).of(rows.decision_id)
    arms = [*weights_of(params), *(arm for each in tenant_weights_of(params).values() for arm in each)]
    patterns = rows.patterns(arms)
    ratios = importance(patterns, table(patterns, params)[None])
    refused = refusal(patterns, ratios, support(patterns, ratios))
    if refused is not None:
        raise Refused(refused.reason, refused.message)
    return gain(patterns, ratios, values, rows.started_us, seed=seed)


def _none(features: FeatureSet, since: datetime, until: datetime) -> str:
    if since >= features.until:
        return (
            f"no scored decisions of {features.scope} after the set's period (until {features.until.isoformat()}) yet; "
            "wait for traffic, or begin earlier with --since"
        )
    return (
        f"no scored decisions of {features.scope} from {since.isoformat()} to {until.isoformat()}; "
        "send traffic, or begin earlier with --since"
    )


def gain(patterns: Patterns, ratios: Importance, features: Floats, order: Any, *, seed: int = 0) -> Gain:
    """The same for a log row by row; arguments as in `evaluation.forward.forward_fitted`."""
    models = (fitted(patterns), forward_fitted(patterns, features, order))
    without, featured = (estimates(patterns, ratios, ("dr",), model)["dr"] for model in models)
    squares = np.stack([_terms(patterns, ratios, model) ** 2 for model in models])
    rng = np.random.default_rng(seed)
    count = squares.shape[1]
    drawn = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        times = np.bincount(rng.integers(0, count, count), minlength=count)
        sums = squares @ times
        drawn[number] = np.sqrt(sums[1] / max(sums[0], 1e-300))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Gain(without, featured, featured.se / without.se, (float(low), float(high)), features.shape[1])


def _terms(patterns: Patterns, ratios: Importance, model: OutcomeModel) -> Floats:
    """(n,) how far each decision moves the estimate."""
    found = doubly_robust(patterns, ratios, predictions(patterns, ratios, model))
    return np.asarray(found.constant[0] * patterns.sums.s + found.slope[0] * patterns.sums.sy)
