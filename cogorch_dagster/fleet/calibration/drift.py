"""Whether a newer calibration differs from an older one by more than chance and more than a bound: time to retrain."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from cogorch_dagster.fleet.calibration.arrivals import LEAST_REQUESTS, SHAPE_SIGMA, interpolation
from cogorch_dagster.fleet.calibration.durations import durations_of
from cogorch_dagster.fleet.calibration.frame import Floats, Frame, Integers
from cogorch_dagster.fleet.calibration.lengths import lengths_of
from cogorch_dagster.fleet.parameters import FleetParameters

if TYPE_CHECKING:
    from cogorch_dagster.fleet.calibration.calibration import Calibration

# Least change that counts, relative to the old value; rates of failures: in absolute terms.
BOUNDS = {
    "requests per second": 0.3,
    "input tokens": 0.25,
    "output tokens": 0.25,
    "work ms": 0.25,
    "usd per request": 0.15,
    "failure rate": 0.03,
}
ABSOLUTE = ("failure rate",)
# So many standard errors of the difference must lie between old and new.
ERRORS = 3.0
# A tenant or model that comes or goes counts when it had at least this share of the requests.
LEAST_SHARE = 0.1
LEAST_ROWS = 50


@dataclass(frozen=True)
class Quantity:
    """A mean of the data by which two calibrations are told apart.

    Attributes:
        whose: such as `tenant chat` or `model small`.
        what: a key of `BOUNDS`.
        error: standard error; from differences between hours where there are 8 of them.
        share: of all requests that it stands for.
    """

    whose: str
    what: str
    value: float
    error: float
    share: float


@dataclass(frozen=True)
class Moved:
    """A quantity that differs; `old` or `new` is None for what came or went."""

    whose: str
    what: str
    old: float | None
    new: float | None
    change: float


@dataclass(frozen=True)
class Drift:
    """The verdict, the quantities that made it (largest change first), and how many were compared."""

    verdict: Literal["drifted", "steady"]
    moved: tuple[Moved, ...]
    compared: int


def distance(old: "Calibration", new: "Calibration") -> Drift:
    """Compare the quantities of two calibrations by name.

    "drifted" when one moved by more than its bound in `BOUNDS` and by more than 3 standard errors, or when a tenant
    or model with at least 10 % of the requests came or went.
    """
    before = {(each.whose, each.what): each for each in old.quantities}
    after = {(each.whose, each.what): each for each in new.quantities}
    moved = []
    for key in sorted(before.keys() & after.keys()):
        a, b = before[key], after[key]
        change = b.value - a.value if a.what in ABSOLUTE else (b.value - a.value) / max(abs(a.value), 1e-12)
        if abs(change) > BOUNDS[a.what] and abs(b.value - a.value) > ERRORS * float(np.hypot(a.error, b.error)):
            moved.append(Moved(*key, a.value, b.value, change))
    if old.rows and new.rows:
        moved += _came_or_went(old.quantities, new.quantities)
    moved.sort(key=lambda each: (-abs(each.change) / BOUNDS.get(each.what, 0.1), each.whose, each.what))
    return Drift("drifted" if moved else "steady", tuple(moved), len(before.keys() & after.keys()))


def _came_or_went(old: tuple[Quantity, ...], new: tuple[Quantity, ...]) -> Iterator[Moved]:
    before, after = ({each.whose: each.share for each in quantities} for quantities in (old, new))
    for whose in sorted(before.keys() ^ after.keys()):
        share = before.get(whose, after.get(whose, 0.0))
        if share >= LEAST_SHARE:
            change = share if whose in after else -share
            yield Moved(whose, "share of requests", before.get(whose), after.get(whose), change)


def quantities(frame: Frame, parameters: FleetParameters) -> tuple[Quantity, ...]:
    """What `distance` compares, wherever the data have 50 rows."""
    return (*_of_tenants(frame, parameters), *_of_models(frame))


def _of_tenants(frame: Frame, parameters: FleetParameters) -> Iterator[Quantity]:
    observed = frame.observed
    total = max(float(frame.requests.sum()), 1e-9)
    times = frame.minute_of_day[observed]
    hours = np.arange(frame.minutes)[observed] // 60
    covered = len(np.unique(times // 60)) / 24
    for place, group in enumerate(frame.tenants):
        counts = frame.requests[place, observed]
        if counts.sum() < LEAST_REQUESTS:
            continue
        whose, share = f"tenant {group.name}", float(frame.requests[place].sum()) / total
        tenant = parameters.tenants[place]
        expected = interpolation(times) @ np.array(tenant.hourly_shape)
        error = _error(counts, expected, hours)
        # Hours of the day that were not seen may be unlike the others.
        error = float(np.hypot(error, tenant.requests_per_second * 60 * SHAPE_SIGMA * np.sqrt(1 - covered) / 2))
        level = float(counts.sum() / max(expected.sum(), 1e-9))
        yield Quantity(whose, "requests per second", level / 60, error / 60, share)
        for column, what in (("input_tokens", "input tokens"), ("output_tokens", "output tokens")):
            values, weight = lengths_of(frame, place, column)
            if len(values) >= LEAST_ROWS:
                mean = float(np.average(values, weights=weight))
                yield Quantity(whose, what, mean, float(values.std() / np.sqrt(len(values)) * 2), share)


def _of_models(frame: Frame) -> Iterator[Quantity]:
    total = max(float(frame.attempts.sum()), 1e-9)
    for place, group in enumerate(frame.models):
        attempts, failed = frame.attempts[place], frame.failures[place]
        whose, share = f"model {group.name}", float(attempts.sum()) / total
        if attempts.sum() >= LEAST_ROWS:
            rate = float(failed.sum() / attempts.sum())
            yield Quantity(whose, "failure rate", rate, _error(failed, attempts, np.arange(len(failed)) // 60), share)
        rows = durations_of(frame.rows, place)
        if len(rows) >= LEAST_ROWS:
            # Without the longest 1 %, whose number decides the mean of a heavy tail.
            work = np.minimum(rows.work_ms, np.quantile(rows.work_ms, 0.99))
            yield _mean(whose, "work ms", work, rows.weight, rows.minute, share)
        rows = frame.rows.take((frame.rows.model == place) & np.isfinite(frame.rows.cost_usd))
        if len(rows) >= LEAST_ROWS:
            yield _mean(whose, "usd per request", rows.cost_usd, rows.weight, rows.minute, share)


def _mean(whose: str, what: str, values: Floats, weight: Floats, minute: Integers, share: float) -> Quantity:
    value = float(np.average(values, weights=weight))
    return Quantity(whose, what, value, _error(values * weight, weight, minute // 60), share)


def _error(numerator: Floats, denominator: Floats, hour: Integers) -> float:
    """Standard error of a ratio of sums, from its differences between hours (linearised), or between rows if few."""
    ratio = float(numerator.sum() / max(denominator.sum(), 1e-12))
    left = numerator - ratio * denominator
    by_hour = np.bincount(hour - hour.min(), weights=left)[np.unique(hour - hour.min())]
    # Neighbours in time are alike; with too few hours to see how much, twice the error of independent rows.
    spread = by_hour if len(by_hour) >= 8 else 2 * left
    return float(np.sqrt((spread**2).sum()) / max(float(denominator.sum()), 1e-12))
