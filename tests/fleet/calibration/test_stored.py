"""Calibrations from the lake: the same as from a table, kept for ever, compared."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.calibration import drift, store
from cogorch_dagster.fleet.calibration.calibration import calibrate, calibrate_table
from cogorch_dagster.fleet.calibration.figure import distributions
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.observations.append import append
from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from tests.fleet.calibration.traffic import BEGIN, observations

END = BEGIN + timedelta(hours=6)


def fill(settings: Settings) -> None:
    import pyarrow as pa

    from cogorch_dagster.observations.identity import derive

    table = observations(default_parameters(), 0.25, scale=0.03)
    rows = zip(*(table[name].to_pylist() for name in ("source", "source_id", "occurred_at")), strict=True)
    table = table.append_column("observation_id", pa.array([derive(*row) for row in rows]))
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in OBSERVATION_SCHEMA
    ]
    append(settings, pa.table(columns, schema=OBSERVATION_SCHEMA))


def test_from_the_lake_as_from_a_table(settings: Settings) -> None:
    fill(settings)
    found = calibrate(settings, BEGIN, END)
    table = calibrate_table(observations(default_parameters(), 0.25, scale=0.03), BEGIN, END)
    assert found.parameters == table.parameters
    assert found.digest == calibrate(settings, BEGIN, END).digest != table.digest

    with transaction(settings) as connection:
        assert store.latest(connection) is None
        assert store.save(connection, found)
        assert not store.save(connection, found)
        again = store.latest(connection)
        assert again is not None and again.digest == found.digest
        assert again.parameters == found.parameters and again.parameters.digest == found.parameters.digest
        assert store.get(connection, found.digest).fits == again.fits
        with pytest.raises(InvalidInput, match="no calibration has the digest"):
            store.get(connection, "sha256:0")
    with pytest.raises(sa.exc.IntegrityError, match="immutable"), transaction(settings) as connection:
        connection.execute(sa.text("UPDATE fleet_calibrations SET rows = 0"))


def test_an_empty_lake_gives_the_defaults(settings: Settings) -> None:
    found = calibrate(settings, BEGIN, END)
    assert found.parameters == default_parameters()
    assert found.rows == 0 and "no observations" in found.warnings[0]
    assert len(distributions(found)) < 20_000
    with transaction(settings) as connection:
        assert store.save(connection, found)
        assert store.latest(connection) == found


def test_drift_is_told_from_chance() -> None:
    truth = default_parameters()
    slower = truth.model_copy(
        update={
            "models": tuple(m.model_copy(update={"decode_ms_per_token": 18.0}) for m in truth.models[:1])
            + truth.models[1:]
        }
    )
    first, second, third = (
        calibrate_table(observations(each, 0.4, seed=seed, scale=0.03), BEGIN, BEGIN + timedelta(days=1))
        for seed, each in enumerate((truth, truth, slower))
    )
    steady = drift.distance(first, second)
    assert (steady.verdict, steady.moved) == ("steady", ()) and steady.compared > 15
    moved = drift.distance(first, third)
    assert moved.verdict == "drifted"
    assert [(each.whose, each.what) for each in moved.moved] == [("model small", "work ms")]
    assert moved.moved[0].change > 0.8
