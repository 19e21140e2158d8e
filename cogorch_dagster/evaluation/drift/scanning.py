"""Likelihood ratios over many windows at once: has the end of a stream another level, spread or slope than before?

At each bucket and for each window w the last w innovations are compared with all since the last change (the anchor).
For the level that is the generalised likelihood ratio of a change with both means unknown (Siegmund & Venkatraman,
Annals of Statistics 23, 1995); for the slope a ramp that begins with the window; for the spread the level of |z|.
A window's score is its squared statistic + 2·ln(w/w₀): windows twice as long come by half as often independently, so
this gives each of them about the same share of the false alarms. The highest score over the windows counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.evaluation.drift.baseline import Floats

Family = Literal["level", "spread", "trend"]
FAMILIES: tuple[Family, ...] = ("level", "spread", "trend")
Integers = NDArray[np.int64]

# Windows in buckets, about √2 apart. What lasts shorter is for `incidents` to find.
WINDOWS: dict[Family, tuple[int, ...]] = {
    "level": (6, 8, 12, 17, 24, 34, 48, 68, 96, 136, 192, 272),
    "spread": (4, 6, 8, 12, 17, 24, 34, 48, 68, 96, 136, 192),
    "trend": (48, 68, 96, 136, 192, 272, 384),
}
# So that a few outliers never make a regime.
CLIP: dict[Family, float] = {"level": 3.0, "spread": 3.0, "trend": 3.0}
# Fewer buckets than this say too little about what was before.
FEWEST_BEFORE = 48
_CHUNK = 64


@dataclass(frozen=True)
class Scores:
    """The highest score of each bucket and the window that has it, for one family; (streams, buckets)."""

    score: Floats
    window: Integers


@dataclass(frozen=True)
class Streams:
    """Innovations of streams, prepared for scanning; NaN where a bucket is missing."""

    innovations: Floats

    def scores(self, family: Family, anchor: Integers | None = None, rows: Integers | None = None) -> Scores:
        """Scores of the chosen rows, each scanned from its anchor (the bucket where its present regime began)."""
        rows = np.arange(len(self.innovations)) if rows is None else rows
        anchor = np.zeros(len(rows), dtype=np.int64) if anchor is None else anchor
        parts = [
            _scores(self.innovations[rows[i : i + _CHUNK]], family, anchor[i : i + _CHUNK])
            for i in range(0, len(rows), _CHUNK)
        ]
        empty = np.empty((0, self.innovations.shape[1]))
        if not parts:
            return Scores(empty, empty.astype(np.int64))
        return Scores(np.concatenate([p.score for p in parts]), np.concatenate([p.window for p in parts]))


def _scores(innovations: Floats, family: Family, anchor: Integers) -> Scores:
    bounded = np.clip(innovations, -CLIP[family], CLIP[family])
    if family == "spread":
        bounded = _centred(np.abs(bounded))
    statistic = _ramp if family == "trend" else _step
    return _highest(statistic(bounded, anchor), WINDOWS[family], bounded.shape)


def _centred(size: Floats) -> Floats:
    """|z| with mean 0 and variance 1 for normal z: √(2/π) and 1 − 2/π."""
    out: Floats = (size - np.sqrt(2 / np.pi)) / np.sqrt(1 - 2 / np.pi)
    return out


def _highest(statistic: Callable[[int], Floats], windows: Sequence[int], shape: tuple[int, int]) -> Scores:
    score, window = np.zeros(shape), np.full(shape, windows[0], dtype=np.int64)
    for w in windows:
        if w >= shape[1]:
            break
        squared = statistic(w)
        np.square(squared, out=squared)
        # No evidence stays no evidence, however long the window.
        squared[squared > 0] += 2 * np.log(w / windows[0])
        better = squared > score
        score[better] = squared[better]
        window[better] = w
    return Scores(score, window)


def _step(values: Floats, anchor: Integers) -> Callable[[int], Floats]:
    """(mean of the window − mean before)/√(1/n_w + 1/n_b), 0 where either is too short."""
    total, count = _cumulated(values)
    rows = np.arange(len(values))
    total_at, count_at = total[rows, anchor][:, None], count[rows, anchor][:, None]

    def statistic(w: int) -> Floats:
        out = np.zeros(values.shape)
        n_w = count[:, w:] - count[:, :-w]
        n_b = count[:, :-w] - count_at
        enough = (n_b >= FEWEST_BEFORE) & (2 * n_w >= w)
        n_w, n_b = np.maximum(n_w, 1), np.maximum(n_b, 1)
        mean_w = (total[:, w:] - total[:, :-w]) / n_w
        mean_b = (total[:, :-w] - total_at) / n_b
        out[:, w - 1 :] = np.where(enough, (mean_w - mean_b) / np.sqrt(1 / n_w + 1 / n_b), 0.0)
        return out

    return statistic


def _ramp(values: Floats, anchor: Integers) -> Callable[[int], Floats]:
    """Standardised slope of a ramp over the window, the level before it unknown: least squares over the known buckets.

    The ramp is u = 1/w, 2/w, ..., 1 in the window and 0 before it.
    """
    place = np.arange(values.shape[1], dtype=np.float64)
    known = np.where(np.isnan(values), np.nan, 1.0)
    total, count = _cumulated(values)
    weighted, _ = _cumulated(values * place)
    places, _ = _cumulated(known * place)
    squares, _ = _cumulated(known * place**2)
    rows = np.arange(len(values))
    total_at, count_at = total[rows, anchor][:, None], count[rows, anchor][:, None]

    def statistic(w: int) -> Floats:
        out = np.zeros(values.shape)
        zero = np.arange(values.shape[1] - w + 1) - 1.0
        n_w = count[:, w:] - count[:, :-w]
        sum_i, sum_ii = places[:, w:] - places[:, :-w], squares[:, w:] - squares[:, :-w]
        sum_u = (sum_i - zero * n_w) / w
        sum_uu = (sum_ii - 2 * zero * sum_i + zero**2 * n_w) / w**2
        sum_uz = (weighted[:, w:] - weighted[:, :-w] - zero * (total[:, w:] - total[:, :-w])) / w
        n = np.maximum(count[:, w:] - count_at, 1)
        length = sum_uu - sum_u**2 / n
        enough = (count[:, :-w] - count_at >= FEWEST_BEFORE) & (2 * n_w >= w) & (length > 0)
        slope = sum_uz - sum_u * (total[:, w:] - total_at) / n
        out[:, w - 1 :] = np.where(enough, slope / np.sqrt(np.maximum(length, 1e-9)), 0.0)
        return out

    return statistic


def _cumulated(values: Floats) -> tuple[Floats, Floats]:
    """Sums and counts of the known values up to each bucket, with a 0 in front."""
    known = ~np.isnan(values)
    total = np.zeros((len(values), values.shape[1] + 1))
    count = np.zeros_like(total)
    np.cumsum(np.where(known, values, 0.0), axis=1, out=total[:, 1:])
    np.cumsum(known, axis=1, out=count[:, 1:])
    return total, count
