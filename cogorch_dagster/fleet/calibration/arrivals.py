"""Arrivals of a tenant: rate, daily shape, dispersion and bursts, from exact counts of requests by the minute.

Counts of a calm minute have the mean `rate * shape(time of day)` and `dispersion` times that as variance (a negative
binomial law); in bursts, the second state of a hidden Markov chain, the mean is `burst_factor` times as large. Shape
and chain are fitted in turn, each given the other; the rate then gives all minutes together the mean of the data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.fleet.calibration import two_state
from cogorch_dagster.fleet.calibration.found import Found, kept
from cogorch_dagster.fleet.calibration.frame import Floats, Frame, Integers
from cogorch_dagster.fleet.parameters import HOURS, TenantParameters

LEAST_REQUESTS = 100
LEAST_MINUTES = 30
# The prior of an hour's factor: normal around 1 with this standard deviation.
SHAPE_SIGMA = 0.5
# Days differ by this much (standard deviation of ln rate), so that a single one does not settle the shape.
DAY_SIGMA = 0.2
TURNS = 2
# What counts as bursts: at least this factor, at most this share of the time, at most so long on average.
LEAST_FACTOR, MOST_SHARE, MOST_MINUTES = 1.3, 0.3, 180.0
# Number and length of bursts: the defaults weigh as much as so many days and bursts of data.
PRIOR_DAYS, PRIOR_BURSTS = 0.25, 1.0
BURSTS = ("burst_factor", "bursts_per_day", "burst_minutes")
SHAPES = ("hourly_shape", "dispersion")


@dataclass(frozen=True)
class _Level:
    """Rate per minute outside of bursts, factors at full hours [24], and their product in each minute [n]."""

    rate: float
    shape: Floats
    mean: Floats


def interpolation(minute_of_day: Integers) -> Floats:
    """Weights [n, 24] of the factors in each minute: they hold at the full hour, straight lines join them."""
    before, part = minute_of_day // 60, (minute_of_day % 60) / 60
    weights = np.zeros((len(minute_of_day), HOURS))
    rows = np.arange(len(minute_of_day))
    weights[rows, before] = 1 - part
    weights[rows, (before + 1) % HOURS] += part
    return weights


def fit_arrivals(frame: Frame, tenant: int, base: TenantParameters) -> Found:
    """Rate, shape, dispersion and bursts of one tenant; with under 100 requests or 30 minutes only the rate."""
    observed = frame.observed
    counts = frame.requests[tenant]
    total, minutes = float(counts[observed].sum()), int(observed.sum())
    rate_from = f"observations: {total:,.0f} requests in {minutes:,} minutes"
    if total < LEAST_REQUESTS or minutes < LEAST_MINUTES:
        rate = float(counts.sum()) / frame.minutes / 60
        few = f"{total:,.0f} requests in {minutes:,} minutes; {LEAST_REQUESTS} in {LEAST_MINUTES} are needed"
        return Found({"requests_per_second": rate}, {"requests_per_second": rate_from}) | kept(SHAPES + BURSTS, few)
    times = frame.minute_of_day
    calm = np.where(observed, 1.0, 0.0)
    spread = _rough_dispersion(counts, observed)
    level = _level(counts, times, calm, spread)
    plain = _log_likelihood(counts, level.mean, _pearson(counts, level.mean, calm))[observed].sum()
    alone, spread_alone = level, _pearson(counts, level.mean, calm)
    chain, factor, spread = _bursts(counts, level.mean, spread, observed, base)
    for _ in range(TURNS):
        calm = np.where(observed, 1 - chain.second, 0.0)
        level = _level(counts, times, calm, spread)
        chain, factor, spread = _bursts(counts, level.mean, spread, observed, base)
    # Three parameters more must pay for themselves (BIC), twice over: levels also differ for other reasons.
    gain = chain.log_likelihood - plain
    share = float(chain.second[observed].mean())
    found = (
        gain > 3 * np.log(minutes)
        and factor >= LEAST_FACTOR
        and share <= MOST_SHARE
        and share * minutes / max(chain.begins, 1e-9) <= MOST_MINUTES
    )
    if not found:
        level, spread = alone, spread_alone
    days = minutes / 1440
    begins, busy = (chain.begins, share * minutes) if found else (0.0, 0.0)
    weight = begins + PRIOR_BURSTS
    values: dict[str, Any] = {
        "hourly_shape": tuple(level.shape),
        "dispersion": float(np.clip(spread - frame.thinning[tenant], 1.0, 1e6)),
        "bursts_per_day": (begins + base.bursts_per_day * PRIOR_DAYS) / (days * (1 - share * found) + PRIOR_DAYS),
        "burst_minutes": (busy + base.burst_minutes * PRIOR_BURSTS) / weight,
        "burst_factor": min((factor * begins + base.burst_factor * PRIOR_BURSTS) / weight, 100.0),
    }
    values["requests_per_second"] = _calm_rate(total, level.shape, times[observed], values)
    said = f"{rate_from}, {begins:.0f} bursts, drawn towards the default"
    origin = {name: said if name in BURSTS else rate_from for name in values}
    hours = len(set((times[observed] // 60).tolist()))
    if hours < HOURS:
        origin["hourly_shape"] += f", {hours} of {HOURS} hours; the others drawn towards 1"
    return Found(values, origin)


def _calm_rate(total: float, shape: Floats, times: Integers, bursts: Mapping[str, Any]) -> float:
    """Rate per second with which shape and bursts, drawn to the defaults as they are, give the total of the data."""
    expected = float((interpolation(times) @ shape).sum())
    busy = bursts["bursts_per_day"] * bursts["burst_minutes"] / 1440
    factor = 1 + busy / (1 + busy) * (bursts["burst_factor"] - 1)
    return float(total / max(expected, 1e-9) / factor / 60)


def _level(counts: Floats, times: Integers, calm: Floats, spread: float) -> _Level:
    """Rate and shape given how calm each minute is: penalised weighted least squares over the minutes of a day."""
    number = np.bincount(times, weights=calm, minlength=1440)
    summed = np.bincount(times, weights=calm * counts, minlength=1440)
    design = interpolation(np.arange(1440))
    rate = max(summed.sum() / max(number.sum(), 1e-9), 1e-6)
    shape = np.ones(HOURS)
    for _ in range(TURNS):
        # Information of a minute about its factor; within an hour of a day it is no more than DAY_SIGMA leaves.
        trust = rate / spread / (1 + DAY_SIGMA**2 * 60 * rate / spread)
        left = (design.T * (number * trust)) @ design + np.eye(HOURS) / SHAPE_SIGMA**2
        right = design.T @ (summed * trust / rate) + 1 / SHAPE_SIGMA**2
        shape = np.maximum(np.linalg.solve(left, right), 0.0)
        shape /= shape.mean()
        rate = max(summed.sum() / max((design @ shape * number).sum(), 1e-9), 1e-6)
    return _Level(float(rate), shape, np.maximum(rate * (design @ shape)[times], 1e-3))


def _rough_dispersion(counts: Floats, observed: NDArray[np.bool_]) -> float:
    """Variance over mean from differences of neighbours, which neither the day nor the length of a burst moves."""
    both = observed[1:] & observed[:-1]
    squares = np.sort(np.diff(counts)[both] ** 2)
    trimmed = squares[: max(int(0.98 * len(squares)), 1)]
    return float(max(trimmed.mean() / 2 / max(counts[observed].mean(), 1e-9), 1.0))


def _pearson(counts: Floats, mean: Floats, weight: Floats) -> float:
    return float(max((weight * (counts - mean) ** 2).sum() / max((weight * mean).sum(), 1e-9), 1.0))


def _log_likelihood(counts: Floats, mean: Floats, spread: float) -> Floats:
    """Of a negative binomial law with variance `spread` times the mean, for each minute [n]."""
    from scipy.special import gammaln

    spread = max(spread, 1.02)
    size = mean / (spread - 1)
    log: Floats = gammaln(counts + size) - gammaln(size) - gammaln(counts + 1)
    log += counts * np.log1p(-1 / spread) - size * np.log(spread)
    return log


def _bursts(
    counts: Floats, mean: Floats, spread: float, observed: NDArray[np.bool_], base: TenantParameters
) -> tuple[two_state.Chain, float, float]:
    """The chain given the calm mean of each minute, with the factor of bursts and the dispersion."""
    factor = 2.5

    def emission(second: Floats | None) -> Floats:
        nonlocal factor, spread
        if second is not None:
            busy = np.where(observed, second, 0.0)
            factor = float(np.clip((busy * counts).sum() / max((busy * mean).sum(), 1e-9), 1.05, 100.0))
            spread = _pearson(counts, mean, np.where(observed, 1 - second, 0.0))
        return np.stack([_log_likelihood(counts, mean, spread), _log_likelihood(counts, mean * factor, spread)])

    begin = max(base.bursts_per_day, 1.0) / 1440
    chain = two_state.fit(emission, begin, 1 / max(base.burst_minutes, 2.0), observed)
    return chain, factor, spread
