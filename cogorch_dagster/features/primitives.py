"""Primitives of our own for Featuretools: what the last events of a window say, at a bounded cost for each decision."""

from functools import cache
from typing import Any

import numpy as np

from cogorch_dagster.evaluation.patterns import Floats, Ints

RECENT = 128
"""So many events, the last ones of the window, are looked at."""
SHARE = 0.9
HOUR_US = 3_600_000_000
FEWEST = 3


def recent_p90(values: Floats) -> Floats:
    """(n,) 90th percentile (linear between order statistics) of the known values of each row of (n, m); NaN padded."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    ordered = np.sort(np.where(known, values, np.inf), axis=1)
    at = SHARE * np.maximum(count - 1, 0)
    low = np.floor(at).astype(np.int64)
    row = np.arange(len(values))
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    below, above = ordered[row, low], ordered[row, high]
    with np.errstate(invalid="ignore"):
        found = below + (at - low) * (above - below)
    return np.asarray(np.where(count > 0, found, np.nan))


def recent_trend(values: Floats, times_us: Ints) -> Floats:
    """(n,) least-squares slope per hour of the known values of each row; NaN where fewer than 3 values or times are.

    Args:
        values, times_us: (n, m), NaN where a row is shorter.
    """
    known = np.isfinite(values)
    count = known.sum(axis=1)
    newest = np.where(known, times_us, np.iinfo(np.int64).min).max(axis=1, initial=np.iinfo(np.int64).min)
    x = np.where(known, times_us - newest[:, None], 0) / HOUR_US
    y = np.where(known, values, 0.0)
    shared = np.maximum(count, 1)
    dx = np.where(known, x - (x.sum(axis=1) / shared)[:, None], 0.0)
    dy = np.where(known, y - (y.sum(axis=1) / shared)[:, None], 0.0)
    spread = (dx * dx).sum(axis=1)
    usable = (count >= FEWEST) & (spread > 0)
    return np.asarray(np.divide((dx * dy).sum(axis=1), spread, out=np.full(len(values), np.nan), where=usable))


@cache
def classes() -> tuple[Any, Any]:
    """The two as classes of Featuretools, which finds them again by name when it reads definitions."""
    from featuretools.primitives import AggregationPrimitive
    from woodwork.column_schema import ColumnSchema
    from woodwork.logical_types import Datetime

    number = ColumnSchema(semantic_tags={"numeric"})
    moment = ColumnSchema(logical_type=Datetime, semantic_tags={"time_index"})

    class RecentP90(AggregationPrimitive):  # type: ignore[misc]  # Featuretools has no types
        """90th percentile of the last 128 values."""

        name = "recent_p90"
        input_types = [number]  # noqa: RUF012  it insists on a list
        return_type = number

        def get_function(self) -> Any:
            return lambda values: recent_p90(_last(values.to_numpy(np.float64)))[0]

    class RecentTrend(AggregationPrimitive):  # type: ignore[misc]
        """Slope per hour over the last 128 values."""

        name = "recent_trend"
        input_types = [number, moment]  # noqa: RUF012
        return_type = number

        def get_function(self) -> Any:
            def slope(values: Any, times: Any) -> float:
                microseconds = times.to_numpy("datetime64[us]").astype(np.int64)
                return float(recent_trend(_last(values.to_numpy(np.float64)), _last(microseconds))[0])

            return slope

    return RecentP90, RecentTrend


def _last(values: Any) -> Any:
    return values[None, -RECENT:]
