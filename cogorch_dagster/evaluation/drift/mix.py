"""Of a change of the reward, what comes from another mix of requests and arms, and what the same requests earn less.

The mean reward of decisions is the mean of what their mix makes one expect, and a rest. So its change is the sum of
two: by the mix, and of the rest. Their errors come from whole hours, because neighbouring decisions are alike.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from cogorch_dagster.evaluation.drift.attribution import Explanation, Slice, explain, ranked
from cogorch_dagster.evaluation.drift.expected import Expected
from cogorch_dagster.evaluation.drift.slices import Comparison
from cogorch_dagster.evaluation.intervals import quantile
from cogorch_dagster.evaluation.patterns import Bools, Floats, Ints

_BEFORE = timedelta(days=7)
_DAY_US, _HOUR_US = 86_400_000_000, 3_600_000_000
FEWEST_HOURS = 2


@dataclass(frozen=True)
class Change:
    """After less before, with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def found(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Split:
    """The change of the mean reward, and the two parts that it is the sum of.

    Attributes:
        model: the version that expected.
        by_mix: of what is to be expected. same_requests: of the rest.
    """

    model: str
    change: Change
    by_mix: Change
    same_requests: Change

    @property
    def verdict(self) -> str:
        same = f"the same requests earn {'less' if self.same_requests.value < 0 else 'more'}"
        if self.by_mix.found and self.same_requests.found:
            return f"the mix changed, and {same}"
        if self.by_mix.found:
            return "the mix changed; the same requests earn as before"
        return (
            same if self.same_requests.found else "neither the mix nor what the same requests earn is shown to differ"
        )

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}


def split(expected: Expected, began: datetime, until: datetime) -> Split | None:
    """Split the change since `began` against the week before; None where either has not two hours of decisions.

    Of a stretch shorter than a day the same hours of the day are compared.
    """
    before, after = _sides(expected, began, until)
    hour = expected.started_us // _HOUR_US
    if min(len(np.unique(hour[side])) for side in (before, after)) < FEWEST_HOURS:
        return None
    parts = (
        _change(values, expected.weight, hour, before, after)
        for values in (expected.reward, expected.expected, expected.rest)
    )
    return Split(expected.model, *parts)


def compare(expected: Expected, began: datetime, until: datetime, *, spread: bool = False) -> Comparison:
    """The rest before and since, and which tenants and arms explain the change; as `slices.compare`."""
    before, after = _sides(expected, began, until)
    means = [_mean(expected.rest[side], expected.weight[side]) for side in (before, after)]
    values = expected.rest if not spread or means[0] is None else (expected.rest - means[0]) ** 2
    found: list[Explanation | None] = [
        explain(name, *(_by_label(labels[side], values[side], expected.weight[side]) for side in (before, after)))
        for name, labels in (("tenant", expected.tenant), ("action", expected.arm))
    ]
    return Comparison(means[0], means[1], tuple(ranked(found)))


def _sides(expected: Expected, began: datetime, until: datetime) -> tuple[Bools, Bools]:
    at = expected.started_us
    first, start, end = (round(moment.timestamp() * 1e6) for moment in (began - _BEFORE, began, until))
    before, after = (at >= first) & (at < start), (at >= start) & (at < end)
    if end - start < _DAY_US:
        hours = np.arange(start // _HOUR_US, (end - 1) // _HOUR_US + 1) % 24
        before &= np.isin(at // _HOUR_US % 24, hours)
    return before, after


def _change(values: Floats, weight: Floats, hour: Ints, before: Bools, after: Bools) -> Change:
    means, errors, counts = [], [], []
    for side in (before, after):
        w, place = weight[side], np.unique(hour[side], return_inverse=True)[1]
        mean = float(np.average(values[side], weights=w))
        moved = np.bincount(place, weights=w * (values[side] - mean)) / w.sum()
        count = len(moved)
        means.append(mean)
        errors.append(float((moved**2).sum()) * count / (count - 1))
        counts.append(count)
    value = means[1] - means[0]
    margin = float(quantile(min(counts))) * float(np.sqrt(sum(errors)))
    return Change(value, value - margin, value + margin)


def _mean(values: Floats, weight: Floats) -> float | None:
    return float(np.average(values, weights=weight)) if len(values) else None


def _by_label(labels: Any, values: Floats, weight: Floats) -> dict[str, Slice]:
    names, place = np.unique(labels.astype(str), return_inverse=True)
    total, sums = np.bincount(place, weights=weight), np.bincount(place, weights=weight * values)
    return {str(name): Slice(float(total[n]), float(sums[n] / total[n])) for n, name in enumerate(names)}
