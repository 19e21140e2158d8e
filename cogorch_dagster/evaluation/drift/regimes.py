"""Regime changes: a level, spread or trend that is different from here on, found soon and never twice.

After a change the comparison begins anew at its onset, with the same daily profile. Incidents are cut out beforehand,
unless they last longer than a day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cogorch_dagster.evaluation.drift.baseline import Floats
from cogorch_dagster.evaluation.drift.incidents import Incident
from cogorch_dagster.evaluation.drift.scanning import FAMILIES, Family, Integers, Scores, Streams


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
    rows = np.arange(len(streams.innovations))
    anchor, start = np.zeros(len(rows), dtype=np.int64), np.full(len(rows), first)
    now = scores or {family: streams.scores(family) for family in FAMILIES}
    found: list[Change] = []
    while len(rows):
        alarms = _first_alarms(now, thresholds, start)
        changes = [
            _change(streams, int(rows[i]), int(anchor[i]), alarm, now[alarm[1]], i)
            for i, alarm in enumerate(alarms)
            if alarm is not None
        ]
        found += changes
        # The stretch between onset and alarm is the new regime's own past.
        rows = np.array([change.stream for change in changes], dtype=np.int64)
        anchor = np.array([change.onset for change in changes], dtype=np.int64)
        start = np.array([change.alarmed + 1 for change in changes], dtype=np.int64)
        now = {family: streams.scores(family, anchor, rows) for family in FAMILIES}
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


def _change(
    streams: Streams, stream: int, anchor: int, alarm: tuple[int, Family], scores: Scores, place: int
) -> Change:
    alarmed, kind = alarm
    window = int(scores.window[place, alarmed])
    onset = alarmed + 1 - window
    before, after = streams.innovations[stream, anchor:onset], streams.innovations[stream, onset : alarmed + 1]
    if kind == "spread":
        size = float(np.nanmean(np.abs(after)) / np.nanmean(np.abs(before))) - 1
    else:
        size = float(np.nanmean(after) - np.nanmean(before))
        # The mean of a ramp is half of how far it has come.
        size *= 2 if kind == "trend" else 1
    return Change(stream, onset, alarmed, kind, size, float(scores.score[place, alarmed]))
