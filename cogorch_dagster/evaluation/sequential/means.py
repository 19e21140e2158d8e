"""Always-valid intervals of a mean and of the difference of two means, from moments alone.

The difference of the arms' means is asymptotically a mean of independent terms (its influence function), so the
asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024, "Time-uniform central limit
theory and asymptotic confidence sequences", Annals of Statistics 52(6), theorem 2.2) applies to it for any split of the
traffic that is drawn at random. Over the steps of a ramp the differences are combined with weights n₀n₁/(n₀+n₁), so
that no step's share of good or bad hours passes for an effect; the boundary's clock counts the same quantity, which is
exact while the variance is the same in all steps and enters by its logarithm otherwise.

*Asymptotic* fails where the smaller arm has not yet seen what is rare: an arm of 50 rewards that are nearly all 0 has
an estimated variance near 0, and the plain sequence raises false alarms in up to 40 % of such A/A streams. `steadied`
is the answer. Arrays here have the steps of a ramp on their last axis; whole families of streams are computed at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.sequential import boundary
from cogorch_dagster.evaluation.sequential.boundary import Floats
from cogorch_dagster.evaluation.sequential.moments import Moments

UNSEEN = 3.0
"""Observations added to each arm a whole span away from its mean: an event never seen in n has about that much room."""
BORROWED = 50.0
"""Observations of the pooled variance added to an arm that claims a smaller variance than both arms together have."""


class Covariates(NamedTuple):
    """Means and unbiased variances of the covariate, and its covariances to the metric, as arrays of one shape."""

    mean: Floats
    variance: Floats
    covariance: Floats


class Arm(NamedTuple):
    """Counts, means and unbiased variances of one arm, as arrays of one shape."""

    n: Floats
    mean: Floats
    variance: Floats
    covariates: Covariates | None = None


@dataclass(frozen=True)
class Difference:
    """Treatment minus control, as it stands.

    Attributes:
        estimate: NaN where an arm is empty.
        se: its standard error, steadied.
        clock: information so far in units of the target, see `boundary`.
        theta: coefficient of the covariate; 0 without one.
    """

    estimate: Floats
    se: Floats
    clock: Floats
    theta: Floats

    def interval(self, alpha: float) -> tuple[Floats, Floats]:
        """Both ends; all of them, at all times, hold at once with probability 1 - alpha."""
        reach = boundary.two_sided(self.clock, alpha) * self.se
        return self.estimate - reach, self.estimate + reach

    def bounds(self, alpha: float) -> tuple[Floats, Floats]:
        """A lower and an upper bound; each on its own holds at all times with probability 1 - alpha."""
        reach = boundary.one_sided(self.clock, alpha) * self.se
        return self.estimate - reach, self.estimate + reach


def stacked(moments: Sequence[Moments]) -> Arm:
    """One arm's moments over the steps of a ramp. The covariate is left out unless every step that has data has it."""
    n, mean, variance = (np.array([getattr(m, name) for m in moments], float) for name in ("n", "mean", "variance"))
    covariates = [m.covariate for m in moments if m.n]
    if not covariates or None in covariates:
        return Arm(n, mean, variance)
    moved = (
        np.array([getattr(m.covariate, name) if m.covariate else 0.0 for m in moments], float)
        for name in ("mean", "variance", "covariance")
    )
    return Arm(n, mean, variance, Covariates(*moved))


def target_information(target_size: float, share: float, minimum_per_arm: int) -> float:
    """n₀n₁/(n₀+n₁) at which intervals are tightest: after `target_size` observations at the first step's share."""
    return max(target_size * share * (1 - share), float(minimum_per_arm))


def difference(control: Arm, treatment: Arm, *, target: float, span: float = 1.0) -> Difference:
    """Difference of means over the last axis, adjusted for the covariate where both arms have one.

    Args:
        target: information at which the interval is tightest, above 0; fixed before the data are seen.
        span: width of the range that the metric can take, above 0; see `steadied`.

    Raises:
        InvalidInput: target or span not above 0.
    """
    if not target > 0 or not span > 0:
        raise InvalidInput(f"target and span must be above 0, got {target} and {span}")
    theta = _coefficient(control, treatment)
    control, treatment = (_adjusted(arm, theta, control.n + treatment.n) for arm in (control, treatment))
    total = control.n + treatment.n
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(total > 0, control.n * treatment.n / np.maximum(total, 1.0), 0.0)
        information = weight.sum(-1)
        pooled = _within(control, treatment)
        noise = sum(weight**2 * _per_observation(arm, pooled, span) for arm in (control, treatment))
        estimate = (weight * (treatment.mean - control.mean)).sum(-1) / information
        se = np.sqrt(np.asarray(noise).sum(-1)) / information
    return Difference(estimate, se, np.asarray(information / target), theta)


def mean_interval(moments: Moments, alpha: float, *, target_size: float, span: float = 1.0) -> tuple[float, float]:
    """Always-valid interval of one mean (Waudby-Smith et al. 2024, theorem 2.2).

    Raises:
        InvalidInput: fewer than two observations, or a target or span not above 0.
    """
    if moments.n < 2:
        raise InvalidInput(f"an interval needs at least 2 observations, got {moments.n}")
    if not target_size > 0 or not span > 0:
        raise InvalidInput(f"target_size and span must be above 0, got {target_size} and {span}")
    arm = stacked([moments])
    variance = steadied(arm.n, arm.variance, arm.variance, span)[0]
    reach = float(boundary.two_sided(moments.n / target_size, alpha)) * float(np.sqrt(variance / moments.n))
    return moments.mean - reach, moments.mean + reach


def steadied(n: Floats, variance: Floats, pooled: Floats, span: float, share: Floats | float = 1.0) -> Floats:
    """An arm's variance with what a small sample has not seen added; the additions vanish as 1/n.

    `UNSEEN` observations lie one span away, `BORROWED` ones have the larger of the arm's own and the pooled variance.
    So two arms without one failure in n may still differ by about 7 / n (the "rule of three", for both arms and every
    look), and constants have an interval too. `share`: the part of the arm's observations that lie in this step.
    """
    degrees = np.maximum(n - 1, 0.0)
    added = share * (UNSEEN * span**2 + BORROWED * np.maximum(variance, pooled))
    return np.asarray((degrees * variance + added) / (degrees + share * (UNSEEN + BORROWED)), dtype=np.float64)


def _per_observation(arm: Arm, pooled: Floats, span: float) -> Floats:
    share = arm.n / np.maximum(arm.n.sum(-1, keepdims=True), 1.0)
    variance = steadied(arm.n, arm.variance, pooled[..., None], span, share)
    return np.where(arm.n > 0, variance / np.maximum(arm.n, 1.0), 0.0)


def _within(control: Arm, treatment: Arm) -> Floats:
    """Variance around the means of the arms and steps."""
    degrees = [np.maximum(arm.n - 1, 0.0) for arm in (control, treatment)]
    squares = degrees[0] * control.variance + degrees[1] * treatment.variance
    return np.asarray(squares.sum(-1) / np.maximum((degrees[0] + degrees[1]).sum(-1), 1.0), dtype=np.float64)


def _coefficient(control: Arm, treatment: Arm) -> Floats:
    """Slope of the metric on the covariate within arms and steps (CUPED; Deng, Xu, Kohavi & Walker 2013, eq. 4).

    Any fixed slope leaves the difference unbiased, since the covariate was measured before the arms differed.
    Estimating it moves the difference by (estimated - true slope) times the difference of the covariate's means: a
    product of two errors, each O(sqrt(log log n / n)), which vanishes faster than the interval's width. So the sequence
    keeps its asymptotic validity. One slope for both arms: an interaction costs precision, never validity.
    """
    if control.covariates is None or treatment.covariates is None:
        return np.zeros(np.broadcast_shapes(control.n.shape, treatment.n.shape)[:-1])
    covariance, variance = np.zeros(1), np.zeros(1)
    for n, covariates in ((control.n, control.covariates), (treatment.n, treatment.covariates)):
        degrees = np.maximum(n - 1, 0.0)
        covariance = covariance + (degrees * covariates.covariance).sum(-1)
        variance = variance + (degrees * covariates.variance).sum(-1)
    theta = np.where(variance > 0, covariance / np.where(variance > 0, variance, 1.0), 0.0)
    return theta.reshape(np.broadcast_shapes(control.n.shape, treatment.n.shape)[:-1])


def _adjusted(arm: Arm, theta: Floats, n: Floats) -> Arm:
    """The arm of metric - theta * covariate."""
    if arm.covariates is None or not theta.any():
        return arm
    slope, covariates = theta[..., None], arm.covariates
    residual = arm.variance - 2 * slope * covariates.covariance + slope**2 * covariates.variance
    total = n.sum(-1, keepdims=True)
    lost = np.where(total > 4, (total - 2) / np.maximum(total - 3, 1.0), 1.0)  # the slope took a degree of freedom
    return Arm(arm.n, arm.mean - slope * covariates.mean, np.maximum(residual, 0.0) * lost)
