"""Thresholds for a wanted rate of false alarms, from streams on which every alarm is a false one."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.drift import incidents, regimes
from cogorch_dagster.evaluation.drift.baseline import Floats
from cogorch_dagster.evaluation.drift.detection import Prepared, Thresholds
from cogorch_dagster.evaluation.drift.scanning import FAMILIES, Family, Streams

# How the false alarms are shared out; what is looked for most gets most.
INCIDENT_SHARE: Final = 0.25
REGIME_SHARES: Final[Mapping[Family, float]] = {"level": 0.3, "spread": 0.2, "trend": 0.25}
FEWEST_ALARMS = 20
_STEPS = 12


def calibrate(stable: Prepared, rate: float) -> Thresholds:
    """The thresholds at which stable streams give `rate` alarms per bucket, incidents and regime changes together.

    Args:
        stable: streams without any change after their training days.
        rate: false alarms per bucket, such as 1e-4.

    Raises:
        InvalidInput: the streams are too few to see 20 false alarms.
    """
    buckets = stable.innovations[:, stable.training :].size
    wanted = rate * buckets
    if wanted < FEWEST_ALARMS:
        raise InvalidInput(
            f"{buckets} buckets would show {wanted:.1f} false alarms at a rate of {rate:g}; at least "
            f"{FEWEST_ALARMS} are needed, so give {FEWEST_ALARMS / rate:.0f} buckets or a higher rate"
        )
    incident = _solve(
        lambda threshold: len(incidents.find_incidents(stable.incident_scores, threshold, stable.training)),
        _peak(stable.incident_scores.score, stable, INCIDENT_SHARE * wanted),
        INCIDENT_SHARE * wanted,
    )
    found = incidents.find_incidents(stable.incident_scores, incident, stable.training)
    streams = Streams(regimes.without_incidents(stable.innovations, found, stable.period))
    scores = {family: streams.scores(family) for family in FAMILIES}
    base = {family: _peak(scores[family].score, stable, REGIME_SHARES[family] * wanted) for family in FAMILIES}

    def changes(factor: float) -> int:
        thresholds = {family: threshold * factor for family, threshold in base.items()}
        return len(regimes.find_changes(streams, thresholds, stable.training, scores=scores))

    factor = _solve(changes, 1.0, wanted - len(found))
    return Thresholds(incident, {family: threshold * factor for family, threshold in base.items()})


def _peak(score: Floats, stable: Prepared, alarms: float) -> float:
    """The score that about so many blocks of two days exceed."""
    block = 2 * stable.period
    after = score[:, stable.training :]
    blocks = after[:, : after.shape[1] // block * block].reshape(len(after), -1, block).max(axis=2).ravel()
    return float(np.sort(blocks)[-max(round(alarms), 1)])


def _solve(count: Callable[[float], int], start: float, wanted: float) -> float:
    """The smallest threshold, to 0.1 %, with at most so many alarms; it lies within a factor of 2 of the start."""
    low, high = start / 2, start * 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if count(middle) > wanted else (low, middle)
    return high
