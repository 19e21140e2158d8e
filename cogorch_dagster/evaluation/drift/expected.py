"""A stream of rewards beside what was to be expected of them: the residuals, bucket by bucket.

A change of who asks, of what, or of which arm answers moves the mean reward although nothing has become better or
worse. The residual of a reward model stays where it was: the detector reports what the mix does not explain. The model
must know the mix (label, arm, columns of the context) and nothing that follows from outcomes: features of recent
outcomes would learn a drift within their window and hide it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.drift.baseline import Floats
from cogorch_dagster.evaluation.drift.panel import FEWEST_OBSERVATIONS, Panel
from cogorch_dagster.evaluation.patterns import Ints
from cogorch_dagster.evaluation.reward_model import RewardModel
from cogorch_dagster.evaluation.ridge import Draws, fit, of_drawn

METRIC = "residual"


@dataclass(frozen=True, eq=False)
class Expected:
    """Decisions of a component beside what their mix makes one expect of them; all (n,).

    Attributes:
        model: the version of the reward model, such as `reward-model-router-core@3`.
        started_us: microseconds since 1970; not in order.
    """

    model: str
    started_us: Ints
    reward: Floats
    expected: Floats
    weight: Floats
    tenant: npt.NDArray[np.object_]
    arm: npt.NDArray[np.object_]

    @property
    def rest(self) -> Floats:
        return self.reward - self.expected


Expectation = Callable[[str, datetime, datetime], Expected | None]
"""From a component and a period to its decisions; None where no reward model is in use."""


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


def with_residual(panel: Panel, expected: Expected) -> Panel:
    """A panel with one more stream, what decisions earned beyond what their mix makes one expect."""
    buckets = panel.values.shape[1]
    bucket = (expected.started_us - round(panel.start.timestamp() * 1e6)) // round(panel.width.total_seconds() * 1e6)
    inside = (bucket >= 0) & (bucket < buckets)
    found = bucketed(expected.rest[inside], expected.weight[inside], bucket[inside], buckets)
    return replace(
        panel,
        metrics=(*panel.metrics, METRIC),
        values=np.concatenate([panel.values, found.values]),
        counts=np.concatenate([panel.counts, found.counts]),
        within=np.append(panel.within, found.within),
    )


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
    return bucketed(draws.reward - of_drawn(model, draws), draws.weight, bucket, buckets)


def bucketed(rest: Floats, weights: Floats, bucket: Ints, buckets: int) -> Residuals:
    """Means of (n,) residuals in their buckets."""
    weight = np.bincount(bucket, weights=weights, minlength=buckets)
    counts = np.bincount(bucket, minlength=buckets).astype(np.float64)
    total = np.bincount(bucket, weights=weights * rest, minlength=buckets)
    mean = np.divide(total, weight, out=np.full(buckets, np.nan), where=counts >= FEWEST_OBSERVATIONS)
    around = np.where(np.isfinite(mean[bucket]), rest - mean[bucket], np.nan)
    within = float(np.nanmean(around**2)) if np.isfinite(around).any() else 0.0
    return Residuals(mean[None], counts[None], within)
