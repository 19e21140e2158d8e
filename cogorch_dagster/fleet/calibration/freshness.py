"""Whether a calibration still describes what comes in: how much is new since it was made, and whether that has moved.

Cheaper than calibrating again: nothing is fitted. What counts as moved is `drift.py`.
"""

from dataclasses import replace
from datetime import UTC, datetime

from cogorch_dagster.evaluation.measurement import DEFAULT_PERIOD
from cogorch_dagster.fleet.calibration import drift
from cogorch_dagster.fleet.calibration.calibration import Calibration
from cogorch_dagster.fleet.calibration.drift import Drift
from cogorch_dagster.fleet.calibration.frame import Frame
from cogorch_dagster.fleet.calibration.reading import read_lake
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.lake import catalogue, query
from cogorch_dagster.lake.hours import HOUR, floor_hour
from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA
from cogorch_dagster.observations.sources import dagster_runs
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings


def new_rows(settings: Settings, calibration: Calibration | None, *, now: datetime | None = None) -> int:
    """Observations from the beginning of the calibration's period until now that it did not read; late ones count.

    Without a calibration all those of the last 7 days are new. Runs of the installation itself are none of them.
    """
    until = (now or datetime.now(UTC)) + HOUR
    since = calibration.since if calibration else floor_hour(until - DEFAULT_PERIOD)
    with transaction(settings) as connection:
        entries = catalogue.entries(connection, "observations", since, until)
    with query.connected(settings) as duckdb:
        relation = query.scan(settings, entries, OBSERVATION_SCHEMA)
        own = query.quote(dagster_runs.SOURCE)
        found = query.table(duckdb, f"SELECT count(*) AS n FROM {relation} WHERE source <> {own}")  # noqa: S608
    return max(int(found["n"][0].as_py()) - (calibration.rows if calibration else 0), 0)


def hours_read(settings: Settings, calibration: Calibration) -> int:
    """Hours of the calibration's period that have observations."""
    with transaction(settings) as connection:
        return len(catalogue.entries(connection, "observations", calibration.since, calibration.until))


def recent_drift(settings: Settings, calibration: Calibration, *, now: datetime | None = None) -> Drift:
    """The latest observations against the calibration, over a period as long as its own, so that weekdays balance.

    Steady where there are no observations.
    """
    until = now or datetime.now(UTC)
    frame = read_lake(
        settings, until - (calibration.until - calibration.since), until, calibration.parameters, replicas=None
    )
    if frame is None or not calibration.quantities:
        return Drift("steady", (), 0)
    quantities = drift.quantities(frame, _placed(frame, calibration.parameters))
    return drift.distance(calibration, replace(calibration, quantities=quantities, rows=frame.total))


def _placed(frame: Frame, parameters: FleetParameters) -> FleetParameters:
    """The parameters with each tenant in the place that it has in the frame now; who is new takes what is left."""
    known = {tenant.name: tenant for tenant in parameters.tenants}
    left = [tenant for name, tenant in known.items() if name not in {group.name for group in frame.tenants}]
    tenants = tuple(known.get(group.name) or left.pop(0) for group in frame.tenants)
    return parameters.model_copy(update={"tenants": tenants})
