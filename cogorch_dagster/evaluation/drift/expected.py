"""A stream of rewards beside what was to be expected of them: the residuals, bucket by bucket.

A change of who asks, of what, or of which arm answers moves the mean reward although nothing has become better or
worse. The residual of a reward model stays where it was: the detector reports what the mix does not explain. The model
must know the mix (label, arm, columns of the context) and nothing that follows from outcomes: features of recent
outcomes would learn a drift within their window and hide it.
"""

from dataclasses import dataclass

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.drift.baseline import Floats
from cogorch_dagster.evaluation.drift.panel import FEWEST_OBSERVATIONS
from cogorch_dagster.evaluation.patterns import Ints
from cogorch_dagster.evaluation.reward_model import RewardModel
from cogorch_dagster.evaluation.ridge import Draws, fit, of_drawn


@dataclass(frozen=True, eq=False)
class Residuals:
    """One stream, (1, buckets): mean residual (NaN where fewer than 5 draws are) and how many draws there are.

    `within`: variance of a single residual around its bucket's mean.
    """

    values: Floats
    counts: Floats
    within: float


def expectation(
    draws: Draws, arms: tuple[str, ...], labels: tuple[str, ...], names: tuple[str, ...] = ()
) -> RewardModel:
    """The model of a training stretch, its draws in the order of time."""
    return fit(draws, arms, labels, names, attempts=int(draws.attempt.max(initial=0)) + 1)


def residuals(model: RewardModel, draws: Draws, bucket: Ints, buckets: int) -> Residuals:
    """What draws earned beyond what was to be expected of them.

    Args:
        draws: labelled as those that the model was fitted to.
        bucket: (n,) number of each draw's bucket, 0 to `buckets` - 1.

    Raises:
        InvalidInput: a bucket outside that range, or not one for each draw.
    """
    if bucket.shape != draws.arm.shape or (len(bucket) and not 0 <= bucket.min() <= bucket.max() < buckets):
        raise InvalidInput(
            f"buckets of shape {bucket.shape} for {len(draws.arm)} draws; give 0 to {buckets - 1} for each"
        )
    rest = draws.reward - of_drawn(model, draws)
    weight = np.bincount(bucket, weights=draws.weight, minlength=buckets)
    counts = np.bincount(bucket, minlength=buckets).astype(np.float64)
    total = np.bincount(bucket, weights=draws.weight * rest, minlength=buckets)
    mean = np.divide(total, weight, out=np.full(buckets, np.nan), where=counts >= FEWEST_OBSERVATIONS)
    around = np.where(np.isfinite(mean[bucket]), rest - mean[bucket], np.nan)
    within = float(np.nanmean(around**2)) if np.isfinite(around).any() else 0.0
    return Residuals(mean[None], counts[None], within)
