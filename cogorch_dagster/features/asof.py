"""As-of aggregation: what events of a group came to in the window before each decision, for all decisions at once.

Events lie sorted by group and time, so that a window is a stretch between two binary searches, and a count or mean the
difference of two prefix sums. It gives what Featuretools gives for the same definition (a test holds them together),
in O(log events) instead of a pass over the events for every decision.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.patterns import Floats, Ints
from cogorch_dagster.features import primitives

_SPAN = 1 << 44
"""Microseconds that a log may span: 203 days."""
_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Grouped:
    """Events sorted by group, then time, then as they came.

    Attributes:
        key: (n,) group x 2^44 + microseconds since `origin`.
        order: (n,) rows of the frame in this order.
        groups: values that the groups stand for, sorted.
    """

    key: Ints
    order: Ints
    groups: npt.NDArray[np.object_]
    origin: int

    def windows(self, values: npt.NDArray[np.object_], at_us: Ints, window_s: int) -> tuple[Ints, Ints]:
        """First and end of the stretch of events of each decision's group that became available in (t - w, t].

        Args:
            values: (m,) the value of each decision's group; where no event has it, the stretch is empty.
            at_us: (m,) the decisions' starts.
        """
        if not len(self.groups):
            return np.zeros(len(values), dtype=np.int64), np.zeros(len(values), dtype=np.int64)
        code = np.searchsorted(self.groups, values)
        known = self.groups[np.minimum(code, len(self.groups) - 1)] == values
        base = np.where(known, code, len(self.groups)) * _SPAN
        at = at_us - self.origin
        _check_span(at)
        end = np.searchsorted(self.key, base + np.maximum(at, -1), side="right")
        begin = np.searchsorted(self.key, base + np.maximum(at - window_s * 1_000_000, -1), side="right")
        return begin, np.maximum(end, begin)


def grouped(frame: pd.DataFrame, column: str, origin: int) -> Grouped:
    """Sort the events of a frame (with available_us and event_id) by a column.

    Raises:
        InvalidInput: a log of more than 203 days.
    """
    groups = np.unique(frame[column].to_numpy(dtype=object))
    code = np.searchsorted(groups, frame[column].to_numpy(dtype=object))
    at = frame["available_us"].to_numpy(np.int64) - origin
    _check_span(at)
    order = np.lexsort((frame["event_id"].to_numpy(np.int64), at, code))
    return Grouped((code * _SPAN + at)[order], order, groups, origin)


def aggregate(kind: str, events: Grouped, values: Floats | None, window: tuple[Ints, Ints], at_us: Ints) -> Floats:
    """(m,) one primitive over the stretches of events.

    Args:
        kind: one of `synthesis.AGGREGATIONS`.
        values: (n,) of the events in the order of their frame; None where the primitive needs none.
        window: of `Grouped.windows`.
        at_us: (m,) the decisions' starts.
    """
    begin, end = window
    times = events.key % _SPAN + events.origin
    if kind == "count":
        return (end - begin).astype(np.float64)
    if kind == "time_since_last":
        return np.asarray((at_us - _of_last(begin, end, times)) / 1e6)
    if values is None:
        raise InvalidInput(f"the primitive {kind} needs a column of the events")
    ordered = values[events.order]
    if kind == "last":
        return _of_last(begin, end, ordered)
    if kind == "mean":
        return _means(ordered, begin, end)
    return _recent(kind, ordered, times, begin, end)


def _of_last(begin: Ints, end: Ints, values: Floats | Ints) -> Floats:
    """The last value of each stretch; whole microseconds since 1970 are exact in a double."""
    if not len(values):
        return np.full(len(begin), np.nan)
    return np.asarray(np.where(end > begin, values[np.maximum(end - 1, 0)], np.nan))


def _means(values: Floats, begin: Ints, end: Ints) -> Floats:
    known = np.isfinite(values)
    centre = float(values[known].mean()) if known.any() else 0.0
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values - centre, 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    n = count[end] - count[begin]
    return np.asarray(np.divide(total[end] - total[begin], n, out=np.full(len(n), np.nan), where=n > 0) + centre)


def _recent(kind: str, values: Floats, times: Ints, begin: Ints, end: Ints) -> Floats:
    out = np.full(len(begin), np.nan)
    # Decisions between two events see the same stretch: each is worked out once.
    pairs, place = np.unique(np.maximum(begin, end - primitives.RECENT) * (len(values) + 1) + end, return_inverse=True)
    first, last = pairs // (len(values) + 1), pairs % (len(values) + 1)
    distinct = np.full(len(pairs), np.nan)
    for begins in range(0, len(pairs), _CHUNK):
        part = slice(begins, begins + _CHUNK)
        width = int((last[part] - first[part]).max(initial=0))
        if not width:
            continue
        at = last[part, None] - width + np.arange(width)
        inside = at >= first[part, None]
        at = np.maximum(at, 0)
        rows = np.where(inside, values[at], np.nan)
        distinct[part] = (
            primitives.recent_p90(rows) if kind == "recent_p90" else primitives.recent_trend(rows, times[at])
        )
    out[:] = distinct[place]
    return out


def _check_span(at: Ints) -> None:
    if len(at) and int(at.max()) >= _SPAN:
        raise InvalidInput(f"a log of {int(at.max()) / 8.64e10:.0f} days; features are made of at most 203")
