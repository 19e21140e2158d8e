"""The simulated fleet's parameters, fitted to what was observed; what the data do not tell keeps its default."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from assets.observations import observations
from assets.presentation import moment, picture, shown, table
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.fleet.calibration.calibration import Calibration
    from cogorch_dagster.fleet.calibration.drift import Drift
    from cogorch_dagster.fleet.calibration.goodness import Distance, Fit

FIT_COLUMNS = {
    "distribution": "whose and what",
    "fit": "good, fair or poor, by the Kolmogorov-Smirnov distance",
    "ks": "distance of the data from the calibrated parameters, 0 to 1",
    "ks_default": "from the defaults",
    "ks_held_out": "of the last quarter, from parameters fitted to the rest",
    "wasserstein": "share of the data's mean by which a value is off on average",
    "values": "requests or minutes of the data",
}
MOVED_COLUMNS = {
    "whose": "tenant or model",
    "what": "mean of the data",
    "old": "in the calibration before",
    "new": "in this one",
    "change": "relative; of failure rates and shares absolute",
}
ORIGIN_COLUMNS = {
    "parameter": "path in the parameters",
    "value": "in the unit of the parameter",
    "from": "observations, or why it kept its default",
}
# Distributions that fit into one picture.
PANELS = 8


class CalibrationConfig(dg.Config):
    """Which observations to fit."""

    days: int = Field(default=7, ge=1, le=400, description="Period until now.")
    seed: int = Field(default=0, ge=0, description="Of the draws that the goodness of fit compares with.")
    replicas: dict[str, int] = Field(
        default={}, description="How many replicas served a model, by its name; tells how company slows requests down."
    )


@dg.asset(
    # It reads a week; naming all partitions would make Dagster list every one of them.
    deps=[dg.AssetDep(observations, partition_mapping=dg.LastPartitionMapping())],
    group_name="agents",
    kinds={"duckdb", "postgres"},
    owners=["team:learning"],
)
def fleet_calibration(
    context: dg.AssetExecutionContext, config: CalibrationConfig, cogorch: CogorchResource
) -> dg.MaterializeResult[None]:
    """Parameters of the simulated fleet that the agents train in: arrivals, lengths, work, failures, prices.

    Fitted to the observations of the last days, with the distance of each distribution from the data, also on a
    stretch that was held out. Where there is nothing to fit, the documented default stays and the table says so; with
    no observation at all nothing is stored, and the calibration before, or else the defaults, stay in use.
    """
    from cogorch_dagster.fleet.calibration import calibration, drift, store
    from cogorch_dagster.fleet.calibration.figure import distributions
    from cogorch_dagster.lake.hours import HOUR, floor_hour
    from cogorch_dagster.platform.database import transaction

    settings = cogorch.settings
    until = datetime.now(UTC) + HOUR
    since = floor_hour(until - timedelta(days=config.days))
    found = calibration.calibrate(settings, since, until, seed=config.seed, replicas=config.replicas)
    with transaction(settings) as connection:
        before = store.latest(connection)
        added = store.save(connection, found) if found.rows else False
    in_use = found if found.rows else before or found
    moved = drift.distance(before, found) if before is not None and found.rows else None
    outcome = _outcome(found, before, moved)
    context.log.info(outcome)
    metadata: dict[str, dg.MetadataValue] = {
        "outcome": dg.MetadataValue.text(outcome),
        "digest": dg.MetadataValue.text(in_use.digest if found.rows or before else "none"),
        "parameters_digest": dg.MetadataValue.text(in_use.parameters.digest),
        "stored": dg.MetadataValue.bool(added),
        "period": dg.MetadataValue.text(f"{moment(in_use.since)} to {moment(in_use.until)}"),
        "dagster/row_count": dg.MetadataValue.int(in_use.rows),
        "fits": table([_fit_row(each) for each in in_use.fits], FIT_COLUMNS),
        "parameters": table(_origins(in_use), ORIGIN_COLUMNS, limit=200),
        "warnings": dg.MetadataValue.md("\n".join(f"- {each}" for each in found.warnings) or "none"),
    }
    for number, first in enumerate(range(0, len(in_use.fits), PANELS), start=1):
        part = replace(in_use, fits=in_use.fits[first : first + PANELS])
        title = "distributions of the data, calibrated and default"
        metadata[f"distributions_{number}"] = picture(distributions(part), title)
    if moved is not None:
        metadata["against_the_one_before"] = dg.MetadataValue.text(
            f"{moved.verdict}: {len(moved.moved)} of {moved.compared} means moved beyond chance and their bound"
        )
        metadata["moved"] = table(
            [{**vars(each), "change": shown(each.change, 3)} for each in moved.moved], MOVED_COLUMNS
        )
    return dg.MaterializeResult(metadata=metadata)


class FitConfig(dg.Config):
    """What a calibration must show."""

    most_poor: float = Field(default=0.25, ge=0, le=1, description="Share of the distributions that may fit poorly.")


@dg.asset_check(asset=fleet_calibration)
def calibration_fits(config: FitConfig, cogorch: CogorchResource) -> dg.AssetCheckResult:
    """Not too many of the fitted distributions lie far from the data, and none farther than the defaults did.

    A warning: agents may train in a fleet that is only roughly like the observed one, but somebody should know.
    """
    latest = _latest(cogorch)
    fits = latest.fits if latest else ()
    poor = [each.name for each in fits if each.verdict == "poor"]
    # A fit may lose a little to the default by the chance of its draws.
    worse = [each.name for each in fits if each.calibrated.ks > each.default.ks + 0.02]
    said = [f"{len(poor)} of {len(fits)} distributions fit poorly: {', '.join(poor)}."] if poor else []
    said += [f"Farther from the data than the defaults: {', '.join(worse)}."] if worse else []
    return dg.AssetCheckResult(
        passed=len(poor) <= config.most_poor * len(fits) and not worse,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(said) or ("Every distribution fits." if fits else "Nothing is fitted; defaults are used."),
        metadata={"fits": table([_fit_row(each) for each in fits], FIT_COLUMNS), "poor": len(poor)},
    )


class InputsConfig(dg.Config):
    """How much a calibration must rest on."""

    least_rows: int = Field(default=1000, ge=1, description="Observations.")
    least_hours: float = Field(default=24, ge=0, description="Length of the period with data; a day has a shape.")
    most_days_old: float = Field(default=7, gt=0, description="Age of the period's end.")


@dg.asset_check(asset=fleet_calibration)
def calibration_inputs(config: InputsConfig, cogorch: CogorchResource) -> dg.AssetCheckResult:
    """The parameters in use rest on enough recent observations; without them agents train on documented defaults."""
    from cogorch_dagster.fleet.calibration.freshness import hours_read

    latest = _latest(cogorch)
    if latest is None:
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description="Nothing was observed yet; the agents train in the fleet of the documented defaults.",
            metadata={"observations": 0},
        )
    hours = hours_read(cogorch.settings, latest)
    age = (datetime.now(UTC) - latest.until) / timedelta(days=1)
    short = [f"{latest.rows} observations of at least {config.least_rows}"] if latest.rows < config.least_rows else []
    short += [f"{hours} hours with data of at least {config.least_hours:g}"] if hours < config.least_hours else []
    short += [f"{age:.1f} days old, at most {config.most_days_old:g}"] if age > config.most_days_old else []
    origins = _origins(latest)
    kept = sum(str(each["from"]).startswith("default") for each in origins)
    return dg.AssetCheckResult(
        passed=not short,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Too little: {'; '.join(short)}." if short else f"{latest.rows} observations of {hours} hours.",
        metadata={
            "observations": latest.rows,
            "hours_with_data": hours,
            "parameters_at_their_default": f"{kept} of {len(origins)}",
            "warnings": dg.MetadataValue.md("\n".join(f"- {each}" for each in latest.warnings) or "none"),
        },
    )


def _latest(cogorch: CogorchResource) -> "Calibration | None":
    from cogorch_dagster.fleet.calibration import store
    from cogorch_dagster.platform.database import transaction

    with transaction(cogorch.settings) as connection:
        return store.latest(connection)


def _outcome(found: "Calibration", before: "Calibration | None", moved: "Drift | None") -> str:
    if not found.rows:
        kept = f"the calibration {before.digest[:19]} stays" if before else "the documented defaults are used"
        return f"no observations from {moment(found.since)} on; {kept}"
    verdicts = [each.verdict for each in found.fits]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ("good", "fair", "poor"))
    return f"{found.rows} observations; fits: {counts}" + (f"; {moved.verdict}" if moved else "")


def _fit_row(fit: "Fit") -> dict[str, object]:
    return {
        "distribution": fit.name,
        "fit": fit.verdict,
        "ks": shown(fit.calibrated.ks, 3),
        "ks_default": shown(fit.default.ks, 3),
        "ks_held_out": _ks(fit.held_out),
        "wasserstein": shown(fit.calibrated.wasserstein, 3),
        "values": fit.rows,
    }


def _ks(distance: "Distance | None") -> float | None:
    return None if distance is None else shown(distance.ks, 3)


def _origins(found: "Calibration") -> list[dict[str, object]]:
    """Every parameter of the models and tenants with where its value comes from."""
    origin = found.parameters.origin
    rows: list[dict[str, object]] = []
    for kind in ("tenants", "models"):
        for place, part in enumerate(getattr(found.parameters, kind)):
            for name, value in part:
                path = f"{kind}.{place}.{name}"
                rows.append(
                    {"parameter": f"{path} ({part.name})", "value": _value(value), "from": origin.get(path, "default")}
                )
    return rows


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"{min(value):.3g} to {max(value):.3g}"
    if isinstance(value, float):
        return f"{value:.4g}"
    mean = getattr(value, "mean", None)
    return str(value) if mean is None else f"{mean:.4g} (mean)"
