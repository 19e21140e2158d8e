"""What is kept of a metric: its moments, which add up over hours and shards, or its values for quantiles.
for.

Not here: intervals.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput


@dataclass(frozen=True)
class Covariate:
    """Moments of a covariate measured before the treatment could act, with the metric's unbiased covariance to it."""

    mean: float
    variance: float
    covariance: float


@dataclass(frozen=True)
class Moments:
    """Sufficient statistics of one metric in one arm.

    Attributes:
        n: observations, at least 0.
        mean: 0 when there is none.
        variance: unbiased (divided by n - 1); 0 when n < 2.
        covariate: of the same observations; None without one.
    """

    n: int
    mean: float
    variance: float
    covariate: Covariate | None = None

    def __post_init__(self) -> None:
        if self.n < 0:
            raise InvalidInput(f"n must not be negative, got {self.n}")
        if self.variance < 0 or (self.covariate is not None and self.covariate.variance < 0):
            raise InvalidInput(f"a variance must not be negative, got {self.variance} and {self.covariate}")

    @property
    def finite(self) -> bool:
        """Whether every moment is a number."""
        extra = (self.covariate.mean, self.covariate.variance, self.covariate.covariance) if self.covariate else ()
        return bool(np.isfinite([self.mean, self.variance, *extra]).all())

    def __add__(self, other: "Moments") -> "Moments":
        """Moments of both sets of observations together (Chan, Golub & LeVeque 1983, eq. 2.1).

        Raises:
            InvalidInput: only one of the two has a covariate.
        """
        if self.n == 0 or other.n == 0:
            return other if self.n == 0 else self
        if (self.covariate is None) != (other.covariate is None):
            raise InvalidInput("moments with a covariate cannot be added to moments without; give both or neither")
        n = self.n + other.n
        step = other.mean - self.mean
        mean = self.mean + step * other.n / n
        variance = _pooled(self, other, self.variance, other.variance, step * step)
        if self.covariate is None or other.covariate is None:
            return Moments(n, mean, variance)
        mine, theirs = self.covariate, other.covariate
        shift = theirs.mean - mine.mean
        covariate = Covariate(
            mean=mine.mean + shift * other.n / n,
            variance=_pooled(self, other, mine.variance, theirs.variance, shift * shift),
            covariance=_pooled(self, other, mine.covariance, theirs.covariance, step * shift),
        )
        return Moments(n, mean, variance, covariate)


def _pooled(one: Moments, two: Moments, first: float, second: float, between: float) -> float:
    n = one.n + two.n
    return ((one.n - 1) * first + (two.n - 1) * second + between * one.n * two.n / n) / (n - 1)


@dataclass(frozen=True, eq=False)
class Sample:
    """Values of one metric in one arm, with a covariate per value where there is one.

    Raises:
        InvalidInput: not one-dimensional, or the covariate's length differs.
    """

    values: NDArray[np.float64]
    covariate: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if np.ndim(self.values) != 1:
            raise InvalidInput(f"values must have one dimension, got {np.ndim(self.values)}")
        if self.covariate is not None and np.shape(self.covariate) != np.shape(self.values):
            raise InvalidInput(
                f"the covariate needs one value for each of the {np.size(self.values)} observations, "
                f"got shape {np.shape(self.covariate)}"
            )

    @property
    def n(self) -> int:
        return int(np.size(self.values))

    @cached_property
    def moments(self) -> Moments:
        """Sufficient statistics of the values."""
        if self.n < 2:
            mean = float(self.values[0]) if self.n else 0.0
            covariate = None if self.covariate is None else Covariate(float(np.sum(self.covariate)), 0.0, 0.0)
            return Moments(self.n, mean, 0.0, covariate)
        mean, variance = float(np.mean(self.values)), float(np.var(self.values, ddof=1))
        if self.covariate is None:
            return Moments(self.n, mean, variance)
        centred = self.covariate - np.mean(self.covariate)
        covariance = float(np.dot(centred, self.values - mean) / (self.n - 1))
        covariate = Covariate(float(np.mean(self.covariate)), float(np.var(self.covariate, ddof=1)), covariance)
        return Moments(self.n, mean, variance, covariate)
