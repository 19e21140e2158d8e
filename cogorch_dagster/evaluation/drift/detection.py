"""The whole detector: values of many streams in, incidents and regime changes out, at a chosen false-alarm rate."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cogorch_dagster.evaluation.drift import baseline, incidents, regimes
from cogorch_dagster.evaluation.drift.baseline import SMALLEST_SCALE, Baseline, Floats
from cogorch_dagster.evaluation.drift.incidents import Incident, IncidentScores
from cogorch_dagster.evaluation.drift.regimes import Change
from cogorch_dagster.evaluation.drift.scanning import Family, Streams


@dataclass(frozen=True)
class Thresholds:
    """Scores from which something is reported; see `scanning` and `incidents` for what a score is.

    The defaults give one false alarm in 10,000 buckets on streams with daily seasonality, noise with the tails of
    Student's t with 8 degrees of freedom and autocorrelation up to 0.3 (`benchmarks/drift.py`).
    """

    incident: float = 30.1
    regime: Mapping[Family, float] = field(default_factory=lambda: {"level": 27.5, "spread": 37.2, "trend": 22.4})

    def scaled(self, factor: float) -> "Thresholds":
        """All of them times a factor: above 1 for fewer false alarms, below for more."""
        return Thresholds(self.incident * factor, {family: t * factor for family, t in self.regime.items()})


@dataclass(frozen=True)
class Prepared:
    """Values freed of season, scale and autocorrelation, and the first pass over them; any thresholds may follow."""

    period: int
    training: int
    baseline: Baseline
    innovations: Floats
    incident_scores: IncidentScores


@dataclass(frozen=True)
class Detected:
    """Two different things, apart."""

    incidents: tuple[Incident, ...]
    changes: tuple[Change, ...]


def prepare(
    values: Floats,
    period: int,
    training_days: int,
    *,
    least_scale: Floats | float = SMALLEST_SCALE,
    reliability: Floats | None = None,
) -> Prepared:
    """Learn the baseline from the first days and apply it to all.

    Args:
        values: (streams, buckets), column 0 being slot 0 of a day; NaN where a bucket is missing.
        period: buckets in a day.
        training_days: at least 3; nothing is reported about them.
        least_scale: see `baseline.fit`.
        reliability: see `Baseline.deviations`; all 1 unless given.
    """
    training = training_days * period
    of_training = None if reliability is None else reliability[:, :training]
    fitted = baseline.fit(values[:, :training], period, least_scale=least_scale, reliability=of_training)
    innovations = fitted.innovations(values, reliability)
    return Prepared(period, training, fitted, innovations, incidents.incident_scores(innovations, period))


def detect(prepared: Prepared, thresholds: Thresholds | None = None) -> Detected:
    """Incidents and regime changes after the training days."""
    thresholds = thresholds or Thresholds()
    found = incidents.find_incidents(prepared.incident_scores, thresholds.incident, prepared.training)
    cut = regimes.without_incidents(prepared.innovations, found, prepared.period)
    changes = regimes.find_changes(Streams(cut), thresholds.regime, prepared.training)
    return Detected(tuple(found), tuple(changes))
