"""Incidents: short stretches far from what the hour of the day and the last week make one expect.

A bucket's innovation is held against the rolling median of the week before it, and the robust z-scores of the last few
buckets are added up, each drawn in, so that three odd buckets count for more than one wild one. An incident opens when
that passes a threshold and ends once the median of the last five buckets is back near normal. What lasts longer than
a day is no incident: `regimes` reports it.
"""

from dataclasses import dataclass

import numpy as np

from cogorch_dagster.evaluation.drift.baseline import Floats, median

# Buckets that are added up, and the most that one of them may count (robust s.d.).
WINDOWS = (1, 2, 3, 4, 6)
CLIP = 3.5
SINGLE = 0.35
DAYS_OF_MEDIAN = 7
# The rolling median is taken anew so often in a day; it hardly moves between.
MEDIANS_PER_DAY = 4
# An incident has ended when the median of the last five |z| is below this.
NEAR_NORMAL = 1.5
LAST = 5


@dataclass(frozen=True)
class Incident:
    """A stretch of buckets of one stream.

    Attributes:
        stream: row of the panel.
        began, alarmed, ended: buckets; `ended` is the first normal one, None while it lasts.
        size: mean z of its buckets, signed.
        score: the highest score.
    """

    stream: int
    began: int
    alarmed: int
    ended: int | None
    size: float
    score: float

    def lasted(self, now: int) -> int:
        """Buckets from its beginning to its end, or to `now` while it lasts."""
        return (now + 1 if self.ended is None else self.ended) - self.began


@dataclass(frozen=True)
class IncidentScores:
    """z against the rolling median; the highest score of each bucket and its window. (streams, buckets) each."""

    z: Floats
    score: Floats
    window: Floats


def incident_scores(innovations: Floats, period: int) -> IncidentScores:
    """Score every bucket.

    Args:
        innovations: (streams, buckets) of `Baseline.innovations`; NaN where a bucket is missing.
        period: buckets in a day.
    """
    z = innovations - _rolling_median(innovations, period)
    drawn_in = np.clip(np.nan_to_num(z), -CLIP, CLIP)
    total = np.zeros((len(z), z.shape[1] + 1))
    np.cumsum(drawn_in, axis=1, out=total[:, 1:])
    # One bucket alone is not drawn in, but has the tails of the noise in full.
    score, window = SINGLE * np.nan_to_num(z) ** 2, np.ones(z.shape)
    for w in WINDOWS[1:]:
        statistic = (total[:, w:] - total[:, :-w]) ** 2 / w
        better = statistic > score[:, w - 1 :]
        score[:, w - 1 :][better] = statistic[better]
        window[:, w - 1 :][better] = w
    return IncidentScores(z, score, window)


def find_incidents(scores: IncidentScores, threshold: float, first: int) -> list[Incident]:
    """Every incident that opens at bucket `first` or later, in order of stream and time."""
    calm = _calm(scores.z)
    above = scores.score >= threshold
    above[:, :first] = False
    found = []
    for stream in np.flatnonzero(above.any(axis=1)).tolist():
        z, known = scores.z[stream], 0
        for alarmed in np.flatnonzero(above[stream]).tolist():
            began = alarmed + 1 - int(scores.window[stream, alarmed])
            # What reaches back into the incident before is its echo.
            if began < known:
                continue
            after = np.flatnonzero(calm[stream, alarmed + 1 :])
            known = alarmed + 1 + int(after[0]) if len(after) else len(z)
            # That it is over shows a little later than it is.
            far = np.flatnonzero(np.abs(z[began:known]) >= NEAR_NORMAL)
            ended = began + int(far[-1]) + 1 if len(after) and len(far) else known
            size, score = float(np.nanmean(z[began:ended])), float(scores.score[stream, began:ended].max())
            found.append(Incident(stream, began, alarmed, ended if len(after) else None, size, score))
    return found


def _rolling_median(innovations: Floats, period: int) -> Floats:
    """Of the week before each part of a day; 0, the baseline's own level, in the first week."""
    streams, buckets = innovations.shape
    length, step = DAYS_OF_MEDIAN * period, max(period // MEDIANS_PER_DAY, 1)
    out = np.zeros((streams, buckets))
    for start in range(length, buckets, step):
        level = np.nan_to_num(median(innovations[:, start - length : start], axis=1))
        out[:, start : start + step] = level[:, None]
    return out


def _calm(z: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    size = np.abs(np.nan_to_num(z))
    calm = np.zeros(z.shape, dtype=np.bool_)
    recent = np.sort(np.stack([size[:, i : z.shape[1] - LAST + 1 + i] for i in range(LAST)]), axis=0)
    calm[:, LAST - 1 :] = recent[LAST // 2] < NEAR_NORMAL
    return calm
