"""Where calibrations are kept: the table `fleet_calibrations`, whose rows never change."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.calibration.calibration import Calibration
from cogorch_dagster.fleet.calibration.drift import Quantity
from cogorch_dagster.fleet.calibration.goodness import Distance, Fit
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.platform.tables import fleet_calibrations as table


def save(connection: sa.Connection, calibration: Calibration) -> bool:
    """Keep a calibration; False when it is there already."""
    document = calibration.document()
    values = {
        "digest": calibration.digest,
        "since": calibration.since,
        "until": calibration.until,
        "rows": calibration.rows,
        "inputs": calibration.inputs,
        "parameters": document["parameters"],
        "fits": {"fits": document["fits"], "quantities": document["quantities"], "seed": calibration.seed},
        "warnings": document["warnings"],
    }
    added = insert(table).values(values).on_conflict_do_nothing().returning(table.c.digest)
    return connection.execute(added).first() is not None


def latest(connection: sa.Connection) -> Calibration | None:
    """The one that was saved last, None before the first."""
    query = sa.select(table).order_by(table.c.created_at.desc(), table.c.until.desc(), table.c.digest).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else _calibration(row)


def get(connection: sa.Connection, digest: str) -> Calibration:
    """The calibration with this digest, `sha256:` and 64 hexadecimal digits.

    Raises:
        InvalidInput: none has it.
    """
    row = connection.execute(sa.select(table).where(table.c.digest == digest)).mappings().first()
    if row is None:
        raise InvalidInput(f"no calibration has the digest {digest!r}; `cogorch fleet show` names the latest")
    return _calibration(row)


def created_at(connection: sa.Connection, digest: str) -> datetime | None:
    """When a calibration was first saved, None if it was not."""
    found: datetime | None = connection.execute(
        sa.select(table.c.created_at).where(table.c.digest == digest)
    ).scalar_one_or_none()
    return found


def _calibration(row: Mapping[Any, Any]) -> Calibration:
    held = row["fits"]
    return Calibration(
        parameters=FleetParameters.model_validate(row["parameters"]),
        fits=tuple(_fit(each) for each in held["fits"]),
        quantities=tuple(Quantity(**each) for each in held["quantities"]),
        rows=row["rows"],
        since=row["since"],
        until=row["until"],
        inputs=row["inputs"],
        seed=held["seed"],
        warnings=tuple(row["warnings"]),
    )


def _fit(document: Mapping[str, Any]) -> Fit:
    distances = {
        name: None if document[name] is None else Distance(**document[name])
        for name in ("calibrated", "default", "held_out", "held_out_default")
    }
    return Fit(**{**document, **distances, "quantiles": tuple(tuple(each) for each in document["quantiles"])})
