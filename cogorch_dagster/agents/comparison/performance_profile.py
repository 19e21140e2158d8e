"""Performance profiles: on which share of the seeds a controller is at least as good as each of many thresholds.

They show whole distributions where an interquartile mean shows their middle (Agarwal et al. 2021, section 4.2, after
Dolan and Moré 2002). One controller whose profile lies above another's everywhere is better in every quantile.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cogorch_dagster.agents.comparison.bootstrap import LEVEL, RESAMPLES, Floats, interval, resampled
from cogorch_dagster.agents.comparison.comparison import Metric
from cogorch_dagster.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class PerformanceProfile:
    """Shares of seeds at least as good as each threshold, with pointwise intervals; all float64 [K]."""

    metric: Metric
    thresholds: Floats
    share: Floats
    low: Floats
    high: Floats


def performance_profile(
    metric: Metric,
    values: Floats,
    thresholds: Floats,
    *,
    strata: Sequence[int] | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> PerformanceProfile:
    """The profile of one controller.

    Args:
        values: one per seed, float64 [n], finite.
        thresholds: float64 [K] in the metric's unit, in any order.
        strata, resamples, seed: see `bootstrap.resampled`.

    Raises:
        InvalidInput: shapes that do not fit, values that are not finite, or a number outside of its range.
    """
    if values.ndim != 1 or thresholds.ndim != 1 or not thresholds.size:
        raise InvalidInput(
            f"a profile needs values [n] and thresholds [K], got shapes {values.shape} and {thresholds.shape}"
        )
    if not (np.isfinite(values).all() and np.isfinite(thresholds).all()):
        raise InvalidInput(f"values and thresholds of {metric.name!r} must be finite numbers")
    higher = metric.direction == "higher"
    reached = values >= thresholds[:, None] if higher else values <= thresholds[:, None]
    positions = resampled(len(values), count=resamples, seed=seed, strata=strata)
    low, high = interval(reached[:, positions].mean(axis=-1), level)
    return PerformanceProfile(metric, thresholds, reached.mean(axis=-1), low, high)
