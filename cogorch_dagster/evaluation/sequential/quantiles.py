"""Always-valid intervals of a quantile and of the difference of two quantiles, exact at every sample size.

Howard & Ramdas (2022, "Sequential estimation of quantiles with applications to A/B testing and best-arm
identification", Bernoulli 28(3)): the number of observations at or below the p-quantile is a sum of Bernoulli(p) draws,
so a boundary for such sums gives the ranks between which the quantile lies at all times. The boundary is the two-sided
beta-binomial mixture (Howard et al. 2021, proposition 7), inverted exactly instead of through its approximation.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.sequential import boundary


def quantile_interval(
    values: NDArray[np.float64], quantile: float, alpha: float, *, target_size: int
) -> tuple[float, float]:
    """Both ends hold at all times with probability 1 - alpha; infinite where the ranks lie outside the sample.

    Args:
        values: one dimension, any order; ties are fine.
        quantile: in (0, 1).
        target_size: observations at which the interval is about tightest, at least 1.

    Raises:
        InvalidInput: a quantile or alpha outside (0, 1), or a target below 1.
    """
    n = int(np.size(values))
    below, above = ranks(n, quantile, alpha, target_size)
    picked = [rank - 1 for rank in (below, above) if 1 <= rank <= n]
    ordered = np.partition(values, picked) if picked else values
    lower = float(ordered[below - 1]) if below >= 1 else -np.inf
    upper = float(ordered[above - 1]) if above <= n else np.inf
    return lower, upper


def quantile_difference(
    control: NDArray[np.float64], treatment: NDArray[np.float64], quantile: float, alpha: float, *, target_size: int
) -> tuple[float, float, float]:
    """Treatment's sample quantile minus control's, and the ends of an interval that holds at all times.

    Each arm's interval has half of alpha, and the difference lies between the differences of their opposite ends. That
    holds for any two distributions and any split of the traffic; it is about half as wide again as a joint one would
    be. `target_size` is that of one arm.
    """
    low0, high0 = quantile_interval(control, quantile, alpha / 2, target_size=target_size)
    low1, high1 = quantile_interval(treatment, quantile, alpha / 2, target_size=target_size)
    if not np.size(control) or not np.size(treatment):
        return float("nan"), -np.inf, np.inf
    estimate = float(np.quantile(treatment, quantile) - np.quantile(control, quantile))
    return estimate, low1 - high0, high1 - low0


@lru_cache(maxsize=65_536)
def ranks(n: int, quantile: float, alpha: float, target_size: int) -> tuple[int, int]:
    """Ranks (1 is the smallest value) whose values enclose the quantile; 0 or n + 1 where the sample has none.

    A value x is ruled out as the quantile when the number of observations below it is too large, or the number at or
    below it too small, for a Binomial(n, quantile) count that was watched from its start.

    Raises:
        InvalidInput: a quantile or alpha outside (0, 1), or a target below 1.
    """
    if not 0 < quantile < 1:
        raise InvalidInput(f"a quantile must lie between 0 and 1, got {quantile}")
    if target_size < 1:
        raise InvalidInput(f"target_size must be at least 1, got {target_size}")
    fewest, most = _possible(n, quantile, alpha, target_size)
    # The count at or below the quantile is at least `fewest`, the count below it at most `most`.
    return fewest, most + 1


def _possible(n: int, quantile: float, alpha: float, target_size: int) -> tuple[int, int]:
    """Smallest and largest count that the mixture does not rule out; it is convex in the count, hence bisection."""
    # The beta density's concentration r plays 1/ρ²: the mixture is tightest where n / r equals the tuned t ρ².
    concentration = target_size / boundary.tuned(alpha)
    limit = -float(np.log(alpha))
    middle = min(max(round(n * quantile), 0), n)

    def ruled_out(count: int) -> bool:
        return _log_mixture(count, n, quantile, concentration) >= limit

    low, high = -1, middle
    while high - low > 1:
        half = (low + high) // 2
        low, high = (half, high) if ruled_out(half) else (low, half)
    fewest = high
    low, high = middle, n + 1
    while high - low > 1:
        half = (low + high) // 2
        low, high = (low, half) if ruled_out(half) else (half, high)
    return fewest, low


def _log_mixture(count: int, n: int, p: float, concentration: float) -> float:
    """Log of the beta mixture of likelihood ratios against p, with mean p and the given concentration."""
    a, b = concentration * p, concentration * (1 - p)
    return (
        _log_beta(a + count, b + n - count)
        - _log_beta(a, b)
        - count * float(np.log(p))
        - (n - count) * float(np.log1p(-p))
    )


def _log_beta(a: float, b: float) -> float:
    from math import lgamma

    return lgamma(a) + lgamma(b) - lgamma(a + b)
