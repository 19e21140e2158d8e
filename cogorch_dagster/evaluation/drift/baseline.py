"""What a stream of buckets normally looks like: its daily profile, its noise, and what is left of values beyond both.

The profile is a Fourier series through the robust means of the day's slots, its order chosen by BIC for each stream:
a free mean for each slot would carry the error of a fortnight's few values into everything that follows. What is left
is divided by a robust scale and, as neighbouring buckets are alike, freed of its autocorrelation of lag one.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput

Floats = NDArray[np.float64]

# 1.4826 · MAD estimates the s.d. of a normal distribution; a value this many of them away is drawn in.
CONSISTENCY = 1.4826
DRAWN_IN = 3.0
LARGEST_PHI = 0.8
# A stream that does not vary at all has a scale above nothing, so that any change of it is seen.
SMALLEST_SCALE = 1e-9
FEWEST_DAYS = 3


@dataclass(frozen=True)
class Baseline:
    """What was normal in the training days, one row per stream.

    Attributes:
        profile: expected value of each slot of the day, (streams, period), in the units of the values.
        scale: robust s.d. around the profile, (streams,), same units; above 0.
        phi: autocorrelation of lag one of what is left, (streams,), 0 to 0.8.
    """

    profile: Floats
    scale: Floats
    phi: Floats

    def deviations(self, values: Floats, reliability: Floats | None = None) -> Floats:
        """(value − profile)/scale, missing where the value is.

        Args:
            values: (streams, buckets), column 0 being slot 0 of a day.
            reliability: 0 to 1 for each value, by which its deviation counts less: √(n/typical n), at most 1, for a
                mean of n observations. All 1 unless given.
        """
        slots = np.arange(values.shape[1]) % self.profile.shape[1]
        out: Floats = (values - self.profile[:, slots]) / self.scale[:, None]
        return out if reliability is None else out * reliability

    def innovations(self, values: Floats, reliability: Floats | None = None) -> Floats:
        """Deviations freed of their autocorrelation, with variance near 1: (e_t − φ·e_(t−1))/√(1 − φ²)."""
        deviations = self.deviations(values, reliability)
        phi = self.phi[:, None]
        # Where the bucket before is missing, or was an outlier, it must not push this one.
        before = np.clip(np.nan_to_num(deviations[:, :-1]), -DRAWN_IN, DRAWN_IN)
        out = deviations.copy()
        out[:, 1:] = (deviations[:, 1:] - phi * before) / np.sqrt(1 - phi**2)
        return out


def fit(
    values: Floats, period: int, *, least_scale: Floats | float = SMALLEST_SCALE, reliability: Floats | None = None
) -> Baseline:
    """Learn what is normal from training values.

    Args:
        values: (streams, buckets), column 0 being slot 0 of a day; NaN where a bucket is missing.
        period: buckets in a day.
        least_scale: the smallest scale of a stream, units of the values.
        reliability: as in `Baseline.deviations`.

    Raises:
        InvalidInput: fewer than 3 days.
    """
    days = values.shape[1] // period
    if days < FEWEST_DAYS:
        raise InvalidInput(
            f"{values.shape[1]} buckets are {days} days of {period}; a daily profile needs at least {FEWEST_DAYS} days"
        )
    folded = values[:, : days * period].reshape(len(values), days, period)
    middle = median(folded, axis=1)
    # A slot that has no value at all is taken to be like the rest of the day.
    middle = np.where(np.isnan(middle), np.nan_to_num(median(middle, axis=1))[:, None], middle)
    spread = _scale(folded - middle[:, None, :])[:, None, None]
    drawn_in = np.clip(folded - middle[:, None, :], -DRAWN_IN * spread, DRAWN_IN * spread)
    profile = _smooth(middle + mean(drawn_in, axis=1), drawn_in, days)
    rest = folded - profile[:, None, :]
    if reliability is not None:
        rest = rest * reliability[:, : days * period].reshape(rest.shape)
    scale = np.maximum(_scale(rest), least_scale)
    return Baseline(profile, scale, _phi(rest.reshape(len(values), -1) / scale[:, None]))


def _smooth(slots: Floats, drawn_in: Floats, days: int) -> Floats:
    """The Fourier series through the slots whose order has the least n·ln(RSS/n) + (2K + 1)·ln n (Schwarz 1978)."""
    period = slots.shape[1]
    spectrum = np.fft.rfft(slots, axis=1)
    n = max(days * period, 1)
    inside = np.nansum((drawn_in - mean(drawn_in, axis=1)[:, None, :]) ** 2, axis=(1, 2))
    best, chosen = np.full(len(slots), np.inf), slots.copy()
    for order in range(period // 2 + 1):
        kept = spectrum.copy()
        kept[:, order + 1 :] = 0
        curve = np.fft.irfft(kept, n=period, axis=1)
        rss = inside + days * ((slots - curve) ** 2).sum(axis=1)
        criterion = n * np.log(np.maximum(rss, 1e-300) / n) + (2 * order + 1) * np.log(n)
        better = criterion < best
        best = np.where(better, criterion, best)
        chosen[better] = curve[better]
    return chosen


def _phi(rest: Floats) -> Floats:
    bounded = np.clip(rest, -DRAWN_IN, DRAWN_IN)
    together = mean(bounded[:, 1:] * bounded[:, :-1], axis=1)
    found = together / np.maximum(mean(bounded**2, axis=1), 1e-12)
    # The estimate is biased towards 0 by about (1 + 3φ)/n (Kendall 1954); a negative one is taken as noise.
    n = rest.shape[1]
    out: Floats = np.clip(found + (1 + 3 * found) / n, 0.0, LARGEST_PHI)
    return out


def _scale(rest: Floats) -> Floats:
    flat = np.abs(rest.reshape(len(rest), -1))
    out: Floats = np.nan_to_num(CONSISTENCY * median(flat, axis=1))
    return out


def median(values: Floats, axis: int) -> Floats:
    """The median of the known values, NaN where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of numpy, for a slice without any value
        return np.asarray(np.nanmedian(values, axis=axis), dtype=np.float64)


def mean(values: Floats, axis: int) -> Floats:
    """The mean of the known values, 0 where there is none."""
    counted = (~np.isnan(values)).sum(axis=axis)
    out: Floats = np.nansum(values, axis=axis) / np.maximum(counted, 1)
    return out
