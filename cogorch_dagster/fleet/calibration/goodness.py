"""How well parameters fit: distances between observed distributions and those that the parameters generate.

Kolmogorov-Smirnov: the largest difference of the distribution functions, 0 to 1. Wasserstein: the area between them,
divided by the mean of the data, so that .1 means that a value is off by a tenth of the mean on average.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cogorch_dagster.fleet.calibration.durations import durations_of
from cogorch_dagster.fleet.calibration.frame import Floats, Frame
from cogorch_dagster.fleet.calibration.lengths import lengths_of
from cogorch_dagster.fleet.calibration.sampling import count_draws, token_draws, work_draws
from cogorch_dagster.fleet.parameters import FleetParameters

Verdict = Literal["good", "fair", "poor"]

LEAST_ROWS = 30
# Bounds of the Kolmogorov-Smirnov distance for "good" and "fair".
GOOD, FAIR = 0.05, 0.15
# Critical value of the Kolmogorov-Smirnov test at 5 %, times sqrt(n): what chance alone makes of few rows.
CHANCE = 1.36
# For the picture, and for whoever wants the curve.
LEVELS = (0.01, *(level / 20 for level in range(1, 20)), 0.99)


@dataclass(frozen=True)
class Distance:
    """Kolmogorov-Smirnov and Wasserstein distance (over the mean of the data)."""

    ks: float
    wasserstein: float


@dataclass(frozen=True)
class Fit:
    """One distribution of the data beside what the parameters say of it.

    Attributes:
        name: whose and what, such as `tenant chat: input_tokens` or `model small: work_ms`.
        rows: values (requests or minutes) of the data.
        calibrated, default: distance of the data from the calibrated and from the default parameters.
        held_out, held_out_default: the same for the last quarter of the period, with parameters that were fitted to
            the rest of it; None where that is too short.
        verdict: of `calibrated.ks`: good up to .05, fair up to .15 (or up to what chance makes of so few rows).
        quantiles: of data, calibrated and default parameters at `LEVELS`.
    """

    name: str
    rows: int
    calibrated: Distance
    default: Distance
    held_out: Distance | None
    held_out_default: Distance | None
    verdict: Verdict
    quantiles: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Sample:
    """Values of the data [N] with weights [N]."""

    name: str
    values: Floats
    weight: Floats


def goodness(
    frame: Frame,
    calibrated: FleetParameters,
    default: FleetParameters,
    early: FleetParameters | None,
    late: Frame,
    seed: int = 0,
) -> tuple[Fit, ...]:
    """Fits of lengths, requests per minute and work, wherever the data have 30 values.

    Args:
        early: parameters fitted to what came before `late`; None: nothing is held out.
    """
    data = list(samples(frame))
    ours, theirs = draws(calibrated, frame, seed), draws(default, frame, seed)
    held = {each.name: each for each in samples(late)} if early is not None else {}
    held_ours = draws(early, late, seed) if early is not None else {}
    held_theirs = draws(default, late, seed) if early is not None else {}
    found = []
    for each in data:
        own = distance(each, ours[each.name])
        after = held.get(each.name)
        found.append(
            Fit(
                name=each.name,
                rows=len(each.values),
                calibrated=own,
                default=distance(each, theirs[each.name]),
                held_out=distance(after, held_ours[each.name]) if after else None,
                held_out_default=distance(after, held_theirs[each.name]) if after else None,
                verdict=verdict(own.ks, len(each.values)),
                quantiles=(
                    quantiles(each.values, each.weight),
                    quantiles(ours[each.name]),
                    quantiles(theirs[each.name]),
                ),
            )
        )
    return tuple(found)


def verdict(ks: float, rows: int) -> Verdict:
    """Of a Kolmogorov-Smirnov distance: good, fair or poor."""
    chance = CHANCE / np.sqrt(rows)
    return "good" if ks <= max(GOOD, chance) else "fair" if ks <= max(FAIR, chance) else "poor"


def samples(frame: Frame) -> Iterator[Sample]:
    """The distributions of the data that have at least 30 values."""
    for place, group in enumerate(frame.tenants):
        counts = frame.requests[place, frame.observed]
        if counts.sum() >= LEAST_ROWS and len(counts) >= LEAST_ROWS:
            yield Sample(f"tenant {group.name}: requests per minute", counts, np.ones(len(counts)))
        for column in ("input_tokens", "output_tokens"):
            values, weight = lengths_of(frame, place, column)
            if len(values) >= LEAST_ROWS:
                yield Sample(f"tenant {group.name}: {column}", values, weight)
    for place, group in enumerate(frame.models):
        rows = durations_of(frame.rows, place)
        if len(rows) >= LEAST_ROWS:
            yield Sample(f"model {group.name}: work_ms", rows.work_ms, rows.weight)


def draws(parameters: FleetParameters, frame: Frame, seed: int = 0) -> dict[str, Floats]:
    """What the parameters generate, by the names of `samples`; places carry the names of the frame."""
    drawn = {}
    for sample in samples(frame):
        whose, what = sample.name.rsplit(": ", 1)
        kind, name = whose.split(" ", 1)
        # Keyed by place and quantity, so that a draw does not depend on which others there are.
        place = next(p for p, each in enumerate(getattr(frame, kind + "s")) if each.name == name)
        rng = np.random.default_rng([seed, place, sum(what.encode())])
        if kind == "model":
            drawn[sample.name] = work_draws(parameters, frame, place, rng)
        elif what == "requests per minute":
            times, thinning = frame.minute_of_day[frame.observed], float(frame.thinning[place])
            drawn[sample.name] = count_draws(parameters.tenants[place], times, thinning, rng)
        else:
            drawn[sample.name] = token_draws(getattr(parameters.tenants[place], what), rng)
    return drawn


def distance(sample: Sample, drawn: Floats) -> Distance:
    """Both distances between weighted data and equally weighted draws."""
    points = np.sort(np.concatenate([sample.values, drawn]))
    order = np.argsort(sample.values)
    reached = np.concatenate([[0.0], np.cumsum(sample.weight[order])]) / sample.weight.sum()
    data = reached[np.searchsorted(sample.values[order], points, side="right")]
    model = np.searchsorted(np.sort(drawn), points, side="right") / len(drawn)
    gap = np.abs(data - model)
    mean = max(float(np.average(sample.values, weights=sample.weight)), 1e-12)
    return Distance(float(gap.max()), float((gap[:-1] * np.diff(points)).sum()) / mean)


def quantiles(values: Floats, weight: Floats | None = None) -> tuple[float, ...]:
    """Weighted quantiles at `LEVELS`."""
    order = np.argsort(values)
    reached = np.cumsum(np.ones(len(values)) if weight is None else weight[order])
    where = np.searchsorted(reached, np.array(LEVELS) * reached[-1])
    return tuple(float(v) for v in values[order][np.minimum(where, len(values) - 1)])
