"""Regime changes: a level, spread or trend that is different from here on, found soon and never twice.

After a change the comparison begins anew at its onset, with the same daily profile, around the new level and in units
of the new spread. Incidents are cut out beforehand, unless they last longer than a day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cogorch_dagster.evaluation.drift.baseline import Floats
from cogorch_dagster.evaluation.drift.incidents import Incident
from cogorch_dagster.evaluation.drift.scanning import (
    CLIP,
    FAMILIES,
    FEWEST_BEFORE,
    Family,
    Integers,
    Scores,
    Streams,
)

SMALLEST = 1e-6
# A stretch of a few buckets cannot tell a new spread that is more different than this.
SMALLEST_UNIT = 0.1


@dataclass(frozen=True)
class Change:
    """One regime change of one stream.

    Attributes:
        stream: row of the panel.
        onset: bucket where the new regime began, estimated.
        alarmed: bucket after which it was known.
        kind: what changed.
        size: in robust s.d. of the training days, signed: of the level; of a trend the level's change so far; of the
            spread the new s.d. as a multiple of the old one, minus 1.
        score: twice the log-likelihood ratio, windows weighted.
    """

    stream: int
    onset: int
    alarmed: int
    kind: Family
    size: float
    score: float


def without_incidents(innovations: Floats, incidents: Sequence[Incident], longest: int) -> Floats:
    """The innovations with the buckets of incidents of up to `longest` buckets missing."""
    out = innovations.copy()
    for incident in incidents:
        if incident.lasted(innovations.shape[1] - 1) <= longest:
            out[incident.stream, incident.began : incident.ended] = np.nan
    return out


def find_changes(
    streams: Streams,
    thresholds: Mapping[Family, float],
    first: int,
    *,
    scores: Mapping[Family, Scores] | None = None,
) -> list[Change]:
    """Every change that is known at bucket `first` or later, in order of stream and time.

    Args:
        thresholds: a family's score from which a change is reported.
        scores: those of the first pass, when they are at hand; reading them again is most of the work.
    """
    now = scores or {family: streams.scores(family) for family in FAMILIES}
    working = streams.innovations.copy()
    # Of each stream, what turns its working values back into those of the training days.
    unit = [1.0] * len(working)
    rows = np.arange(len(working))
    anchor, start = np.zeros(len(rows), dtype=np.int64), np.full(len(rows), first)
    found: list[Change] = []
    while len(rows):
        changes = []
        for place, alarm in enumerate(_first_alarms(now, thresholds, start)):
            if alarm is not None:
                alarmed, family = alarm
                onset = alarmed + 1 - int(now[family].window[place, alarmed])
                score = float(now[family].score[place, alarmed])
                change = _change(working[rows[place]], int(anchor[place]), onset, alarmed, family, score)
                row = int(rows[place])
                size = change.size if change.kind == "spread" else change.size * unit[row]
                changes.append(replace(change, stream=row, size=size))
                unit[row] *= _begin_anew(working[row], change)
        found += changes
        # The stretch between onset and alarm is the new regime's own past.
        rows = np.array([change.stream for change in changes], dtype=np.int64)
        anchor = np.array([change.onset for change in changes], dtype=np.int64)
        start = np.array([change.alarmed + 1 for change in changes], dtype=np.int64)
        again = Streams(working)
        now = {family: again.scores(family, anchor, rows) for family in FAMILIES}
    return sorted(found, key=lambda change: (change.stream, change.alarmed))


def _first_alarms(
    scores: Mapping[Family, Scores], thresholds: Mapping[Family, float], start: Integers
) -> list[tuple[int, Family] | None]:
    """Of each row the first bucket from its start at which a family passes, and the family that passes most clearly."""
    ratio = np.stack([scores[family].score / thresholds[family] for family in FAMILIES])
    above = ratio.max(axis=0) >= 1
    above &= np.arange(above.shape[1]) >= start[:, None]
    at = above.argmax(axis=1)
    return [
        (int(t), FAMILIES[int(ratio[:, row, t].argmax())]) if above[row, t] else None
        for row, t in enumerate(at.tolist())
    ]


def _change(values: Floats, anchor: int, onset: int, alarmed: int, family: Family, score: float) -> Change:
    """Name what has changed, and place it more finely than the windows do."""
    kind = family
    step, gain = _best_step(values[anchor : alarmed + 1])
    # A step that explains it as well as the ramp does is the simpler answer. And |z| grows with a change of level too:
    # if a step explains half of it, that is what it is.
    needed = {"level": 0.0, "trend": score, "spread": score / 2}[family]
    if gain >= needed:
        kind, onset = "level", anchor + step
    before, after = values[anchor:onset], values[onset : alarmed + 1]
    level = float(np.nanmean(after) - np.nanmean(before))
    widened = _width(after) / max(_width(before), SMALLEST)
    # The mean of a ramp is half of how far it has come.
    size = widened - 1 if kind == "spread" else 2 * level if kind == "trend" else level
    return Change(0, onset, alarmed, kind, size, score)


def _best_step(values: Floats) -> tuple[int, float]:
    """Where a step splits the values best, and by how much less they then vary (in squared units)."""
    known = np.flatnonzero(~np.isnan(values))
    drawn_in = np.clip(values[known], -CLIP["level"], CLIP["level"])
    n = np.arange(1, len(known))
    left = np.cumsum(drawn_in)[:-1]
    right = drawn_in.sum() - left
    gain = left**2 / n + right**2 / (len(known) - n) - drawn_in.sum() ** 2 / len(known)
    # Of a change at the very edge nothing would be known on one side.
    gain[: FEWEST_BEFORE - 1] = 0
    best = int(gain.argmax())
    return int(known[best + 1]), float(gain[best])


def _begin_anew(values: Floats, change: Change) -> float:
    """Centre a stream's values from the onset on, and bring a new spread to 1; returns the unit of the new values."""
    since = slice(change.onset, None)
    known = values[change.onset : change.alarmed + 1]
    values[since] -= np.nanmedian(known)
    if change.kind != "spread":
        return 1.0
    unit = min(max(1 + change.size, SMALLEST_UNIT), 1 / SMALLEST_UNIT)
    values[since] /= unit
    return unit


def _width(values: Floats) -> float:
    return float(np.nanmean(np.abs(values - np.nanmean(values))))
