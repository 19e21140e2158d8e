"""A calibration: the parameters of a simulated fleet from observations, with how well they fit.

How each part is fitted stands in the module of its name; where a calibration is kept is `store.py`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pyarrow as pa

from cogorch_dagster.fleet.calibration import drift
from cogorch_dagster.fleet.calibration.arrivals import fit_arrivals
from cogorch_dagster.fleet.calibration.durations import fit_durations
from cogorch_dagster.fleet.calibration.failures import fit_failures
from cogorch_dagster.fleet.calibration.found import Found, kept
from cogorch_dagster.fleet.calibration.frame import Frame
from cogorch_dagster.fleet.calibration.goodness import Fit, goodness
from cogorch_dagster.fleet.calibration.lengths import fit_lengths
from cogorch_dagster.fleet.calibration.prices import fit_prices
from cogorch_dagster.fleet.calibration.reading import read_lake, read_table
from cogorch_dagster.fleet.parameters import (
    FleetParameters,
    ModelParameters,
    TenantParameters,
    default_parameters,
)
from cogorch_dagster.policies.document import as_document, digest
from cogorch_dagster.settings import Settings

HELD_OUT = 0.25
LEAST_MINUTES = 40


@dataclass(frozen=True)
class Calibration:
    """Parameters, and what they come from.

    Attributes:
        parameters: `origin` in them says of each value whether it comes from observations or kept its default.
        fits: distances between data and parameters, of each distribution with enough data.
        quantities: by which `drift.distance` tells two calibrations apart.
        rows: observations read.
        since, until: the period, UTC.
        inputs: digest of the observations.
        seed: of the draws behind `fits`.
        warnings: what a reader should know before trusting the parameters.
    """

    parameters: FleetParameters
    fits: tuple[Fit, ...]
    quantities: tuple[drift.Quantity, ...]
    rows: int
    since: datetime
    until: datetime
    inputs: str
    seed: int
    warnings: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Everything as a JSON document, times as text."""
        values = {name: getattr(self, name) for name in ("rows", "inputs", "seed", "warnings")}
        return as_document(
            {
                **values,
                "since": self.since.astimezone(UTC).isoformat(),
                "until": self.until.astimezone(UTC).isoformat(),
                "parameters": self.parameters.model_dump(mode="json"),
                "fits": [asdict(each) for each in self.fits],
                "quantities": [asdict(each) for each in self.quantities],
            }
        )

    @cached_property
    def digest(self) -> str:
        """`sha256:` and the hash of `document`: the same observations give the same one."""
        return digest(self.document())


def calibrate(
    settings: Settings,
    since: datetime,
    until: datetime,
    *,
    base: FleetParameters | None = None,
    seed: int = 0,
    replicas: Mapping[str, int] | None = None,
) -> Calibration:
    """Calibrate from the lake's observations in [since, until).

    Args:
        base: defaults for what the data do not tell; `default_parameters()` if None.
        seed: of the draws that the fits compare with.
        replicas: how many replicas served a model in the period, by the name of the model. Without it nobody knows how
            many requests shared a replica, and `batch_slowdown` keeps its default.

    Raises:
        InvalidInput: the period is empty or longer than 400 days, or a number of replicas is below 1.
    """
    base = base or default_parameters()
    return calibrate_frame(read_lake(settings, since, until, base, replicas), since, until, base=base, seed=seed)


def calibrate_table(
    table: pa.Table,
    since: datetime,
    until: datetime,
    *,
    base: FleetParameters | None = None,
    seed: int = 0,
    replicas: Mapping[str, int] | None = None,
) -> Calibration:
    """The same from a table with some of the columns of an observation (`occurred_at` at least), without a lake."""
    base = base or default_parameters()
    return calibrate_frame(read_table(table, since, until, base, replicas), since, until, base=base, seed=seed)


def calibrate_frame(
    frame: Frame | None, since: datetime, until: datetime, *, base: FleetParameters | None = None, seed: int = 0
) -> Calibration:
    """The same from a frame that was read with the same `base`; None keeps all defaults."""
    base = base or default_parameters()
    if frame is None:
        said = f"no observations from {since:%Y-%m-%dT%H:%MZ} to {until:%Y-%m-%dT%H:%MZ}; all values are defaults"
        return Calibration(base, (), (), 0, since, until, digest([]), seed, (said,))
    parameters, warnings = fit_parameters(frame, base)
    cut = round(frame.minutes * (1 - HELD_OUT))
    early, late = None, frame
    if frame.minutes >= LEAST_MINUTES:
        early, late = fit_parameters(frame.between(0, cut), base)[0], frame.between(cut, frame.minutes)
    fits = goodness(frame, parameters, base, early, late, seed)
    poor = [each.name for each in fits if each.verdict == "poor"]
    if poor:
        warnings += (f"the family of distributions fits poorly: {', '.join(poor)}",)
    return Calibration(
        parameters,
        fits,
        drift.quantities(frame, parameters),
        frame.total,
        since,
        until,
        frame.inputs,
        seed,
        warnings,
    )


def fit_parameters(frame: Frame, base: FleetParameters) -> tuple[FleetParameters, tuple[str, ...]]:
    """The parameters that fit a frame, and warnings."""
    origin: dict[str, str] = {}
    warnings: tuple[str, ...] = ()
    tenants, models = [], []
    for place, default in enumerate(base.tenants):
        found = _tenant(frame, place, default)
        tenants.append(TenantParameters(**{**dict(default), **found.values}))
        origin |= {f"tenants.{place}.{field}": said for field, said in found.origin.items()}
        warnings += found.warnings
    for place, own in enumerate(base.models):
        found = _model(frame, place, own)
        models.append(ModelParameters(**{**dict(own), **found.values}))
        origin |= {f"models.{place}.{field}": said for field, said in found.origin.items()}
        warnings += found.warnings
    parts = {"tenants": tuple(tenants), "models": tuple(models), "origin": {**base.origin, **origin}}
    return FleetParameters(**{**dict(base), **parts}), warnings


def _tenant(frame: Frame, place: int, base: TenantParameters) -> Found:
    group = frame.tenants[place]
    fields = tuple(TenantParameters.model_fields)
    if not group.members and not group.rest:
        count = sum(bool(each.members) for each in frame.tenants)
        absent = {"requests_per_second": f"absent: the data have {count} tenants"}
        rest = tuple(field for field in fields if field not in absent)
        return (
            Found({"requests_per_second": 0.0}, absent) | kept(rest, "of a tenant without traffic") | _name(group.name)
        )
    return fit_arrivals(frame, place, base) | fit_lengths(frame, place) | _name(group.name)


def _model(frame: Frame, place: int, base: ModelParameters) -> Found:
    group = frame.models[place]
    unseen = kept(tuple(ModelParameters.model_fields), "observations do not show it")
    if not group.members:
        count = sum(bool(each.members) for each in frame.models)
        return kept(tuple(ModelParameters.model_fields), f"the data have {count} models") | _name(group.name)
    failures, incidents = fit_failures(frame, place, base)
    durations = fit_durations(frame, place, base, incidents)
    return unseen | failures | durations | fit_prices(frame, place) | _name(group.name)


def _name(name: str) -> Found:
    return Found({"name": name}, {"name": "observations" if "(absent)" not in name else "absent"})
