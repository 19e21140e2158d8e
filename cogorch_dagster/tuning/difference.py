"""The difference of two sets of hyperparameters that met the same seeds, with its interval and the verdict on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cogorch_dagster.agents.comparison.bootstrap import interval, replicates, resampled
from cogorch_dagster.errors import InvalidInput

Verdict = Literal["better", "not shown", "worse"]

LEVEL = 0.95
# A normalised return: 3 percentage points, from which a difference counts as one.
MARGIN = 0.03
_RESAMPLES = 2_000


@dataclass(frozen=True)
class Difference:
    """What one set of hyperparameters earns over another on the same fresh seeds, in normalised return.

    Attributes:
        differences: by seed.
        mean: of them.
        low, high: of its 95 % interval by Student's t.
        bootstrap: the percentile interval of the mean, for comparison; with few seeds it is too short.
        candidate, baseline: mean normalised returns.
    """

    differences: tuple[float, ...]
    mean: float
    low: float
    high: float
    bootstrap: tuple[float, float]
    candidate: float
    baseline: float

    @property
    def verdict(self) -> Verdict:
        """better: the interval lies above 0; worse: below; not shown: neither."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "not shown"


def difference(candidate: Sequence[float], baseline: Sequence[float]) -> Difference:
    """The paired difference of returns on the same seeds, with its intervals.

    Raises:
        InvalidInput: fewer than 3 seeds, or not as many of both.
    """
    first, second = np.asarray(candidate, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    n = len(first)
    if n < 3 or len(second) != n:
        raise InvalidInput(f"a paired difference needs 3 or more seeds of both, got {n} and {len(second)}")
    gains = first - second
    mean, half = float(gains.mean()), half_width(gains.tolist())
    low, high = interval(replicates(gains, resampled(n, count=_RESAMPLES, seed=0), "mean"), LEVEL)
    return Difference(
        differences=tuple(gains.tolist()),
        mean=mean,
        low=mean - half,
        high=mean + half,
        bootstrap=(float(low), float(high)),
        candidate=float(first.mean()),
        baseline=float(second.mean()),
    )


def half_width(values: Sequence[float]) -> float:
    """Half of the 95 % interval of the mean of 2 or more values, by Student's t."""
    from scipy.special import stdtrit

    n = len(values)
    return float(stdtrit(n - 1, (1 + LEVEL) / 2)) * float(np.std(values, ddof=1)) / math.sqrt(n)
