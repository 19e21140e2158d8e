"""The interquartile mean and the stratified bootstrap: what few seeds say about a controller, and how surely.

Agarwal et al. (2021), "Deep reinforcement learning at the edge of the statistical precipice": the interquartile mean is
less at the mercy of single seeds than the mean and wastes less than the median, and its interval comes from resampling
seeds within their strata. What two controllers' figures say about each other is `comparison.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput

Floats = NDArray[np.float64]
Statistic = Literal["interquartile mean", "mean"]

RESAMPLES = 2_000
LEVEL = 0.95
FEWEST_SEEDS = 2


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its interval, in the figure's unit."""

    value: float
    low: float
    high: float

    @property
    def mirrored(self) -> "Estimate":
        """The same with the opposite sign."""
        return Estimate(-self.value, -self.high, -self.low)


def interquartile_mean(values: Floats) -> Floats:
    """Mean of the middle half of the last axis: [..., n] becomes [...].

    A quarter of the n values, rounded down, is left out at either end, as `scipy.stats.trim_mean(values, .25)` does.
    """
    n = values.shape[-1]
    cut = n // 4
    if cut == 0:
        return np.asarray(values.mean(axis=-1), dtype=np.float64)
    ordered = np.partition(values, (cut, n - cut - 1), axis=-1)
    return np.asarray(ordered[..., cut : n - cut].mean(axis=-1), dtype=np.float64)


def summarised(values: Floats, statistic: Statistic) -> Floats:
    """The statistic of the last axis."""
    if statistic == "mean":
        return np.asarray(values.mean(axis=-1), dtype=np.float64)
    return interquartile_mean(values)


def resampled(n: int, *, count: int, seed: int, strata: Sequence[int] | None = None) -> NDArray[np.int64]:
    """Positions of `count` resamples of n seeds, int64 [count, n]: drawn with replacement within each stratum.

    Args:
        n: seeds, at least 2.
        count: resamples, 100 to 1,000,000.
        seed: of the draws; the same seed gives the same positions, which is what pairs two controllers.
        strata: for each seed the stratum that it belongs to (a scenario, a calibration); one stratum without it. Every
            resample has as many seeds of a stratum as there are, and a stratum of a single seed never varies.

    Raises:
        InvalidInput: a number is outside of its range, or the strata are not one for each seed.
    """
    if n < FEWEST_SEEDS:
        raise InvalidInput(f"an interval needs at least {FEWEST_SEEDS} seeds, got {n}; evaluate on more")
    if not 100 <= count <= 1_000_000:
        raise InvalidInput(f"resamples must lie between 100 and 1000000, got {count}")
    if strata is not None and len(strata) != n:
        raise InvalidInput(f"strata must name one for each of {n} seeds, got {len(strata)}")
    generator = np.random.default_rng(seed)
    if strata is None:
        return generator.integers(0, n, (count, n))
    labels = np.asarray(strata)
    positions = np.empty((count, n), dtype=np.int64)
    for stratum in np.unique(labels):
        members = np.flatnonzero(labels == stratum)
        positions[:, members] = members[generator.integers(0, len(members), (count, len(members)))]
    return positions


def replicates(values: Floats, positions: NDArray[np.int64], statistic: Statistic) -> Floats:
    """The statistic of every resample: [..., n] and [count, n] become [..., count]."""
    return summarised(np.take(values, positions, axis=-1), statistic)


def interval(replicated: Floats, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Ends of the percentile interval over the last axis.

    It covers somewhat less than its level with few seeds; see `tests/agents/test_comparison.py` for 20 of them.

    Raises:
        InvalidInput: the level is outside of 0 to 1.
    """
    if not 0 < level < 1:
        raise InvalidInput(f"the level of an interval must lie between 0 and 1, got {level}")
    low, high = np.quantile(replicated, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
