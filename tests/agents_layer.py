"""What tests of the agents' part of the Dagster layer share: recent traffic of a known fleet, and small trainings."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from cogorch_dagster.fleet.calibration.calibration import calibrate
from cogorch_dagster.fleet.calibration.store import save
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters
from cogorch_dagster.observations.append import append
from cogorch_dagster.observations.identity import derive
from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from tests.fleet.calibration.traffic import observations

HOURS = 6
BEGIN = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS)
# A few seconds; enough to mend the worst of the static defaults.
TINY = {"fleets": 16, "steps": 40, "evaluate_every": 20, "validation_seeds": 1}
SMALL = {"fleets": 32, "steps": 60, "evaluate_every": 20, "validation_seeds": 1}


def observed(
    settings: Settings, fleet: FleetParameters | None = None, *, seed: int = 0, hours: int = HOURS, scale: float = 0.03
) -> int:
    """Hours of a fleet's traffic until now in the lake; returns how many rows."""
    table = observations(fleet or default_parameters(), hours / 24, seed=seed, scale=scale, begin=BEGIN)
    rows = zip(*(table[name].to_pylist() for name in ("source", "source_id", "occurred_at")), strict=True)
    table = table.append_column("observation_id", pa.array([derive(*row) for row in rows]))
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in OBSERVATION_SCHEMA
    ]
    append(settings, pa.table(columns, schema=OBSERVATION_SCHEMA))
    return int(table.num_rows)


def short_episodes(settings: Settings) -> str:
    """A calibration of the default fleet with episodes of 20 steps, so that evaluations are quick; its digest."""
    found = calibrate(settings, BEGIN, BEGIN + timedelta(hours=1))
    found = replace(found, parameters=default_parameters().model_copy(update={"horizon": 20}))
    with transaction(settings) as connection:
        save(connection, found)
    return found.digest


def training(**changes: Any) -> dict[str, Any]:
    """The configuration of a run that trains, and holds what came out of it against the defaults in a few fleets."""
    return {
        "ops": {
            "agent_checkpoints": {"config": {**TINY, **changes}},
            "agent_checkpoints_beats_static": {"config": {"seeds": 5}},
        }
    }
