"""Coordinated steps in the database: kept once, whole, and never changed."""

from dataclasses import replace

import pytest
import sqlalchemy as sa
from psycopg.errors import RestrictViolation

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.games import store
from cogorch_dagster.games.conflict_resolution import FoundConflict
from cogorch_dagster.games.coordination_result import Answer, CoordinationResult, Degraded, Figures, Settled, Veto
from cogorch_dagster.games.discretisation import NO_OPERATION, named
from cogorch_dagster.games.intentions import Intention
from cogorch_dagster.platform import database
from cogorch_dagster.platform.tables import coordinations
from cogorch_dagster.settings import Settings

UTILITIES = {"policy": 0.5, "consensus": 0.25, "ethical": 1.0, "resource": 0.125}
RESULT = CoordinationResult(
    parameters="sha256:p",
    seed=2**62,
    intentions=(Intention("resource", (0.1, 0.2, 0.3, 0.4), (0.0, 0.0, 0.1, 0.0), 0.8, "sha256:c"),),
    degraded=(Degraded("policy", "its process was killed by signal 9", "no operation", "none"),),
    intended=named(NO_OPERATION),
    equilibrium=Answer(
        "pure nash", "pure", 0.0, 0.0, True, 1.5, {"policy": {"none": 1.0}}, "pure equilibrium", named(NO_OPERATION)
    ),
    conflicts=(Settled(FoundConflict("loss", ("policy",), "loses", 0.1), "intentions", UTILITIES, UTILITIES),),
    vetoes=(Veto(named((8, 0, 0, 0)), ("violations",)),),
    decided="bargain",
    remark="the equilibrium was vetoed",
    actions=named(NO_OPERATION),
    joint={"policy": 0, "consensus": 0, "ethical": 0},
    resource=(0.1, 0.2, 0.3, 0.4),
    figures={"played": Figures(UTILITIES, 0.9, 0.1, 0.95, 0.004)},
    payoffs="sha256:g",
    scenarios=16,
    horizon=8,
    common=0.5,
    seconds={"total": 1.25},
    payoff_cpu_seconds=1.0,
    limit_s=10.0,
)


def test_what_was_saved_is_found_whole(settings: Settings) -> None:
    other = replace(RESULT, seed=1)
    with database.transaction(settings) as connection:
        assert store.save(connection, [RESULT], run_id="run-1") == 1
        assert store.save(connection, [RESULT, other], run_id="run-2") == 1
        assert store.save(connection, []) == 0
    with database.transaction(settings) as connection:
        found = store.get(connection, RESULT.digest)
        assert found.result == RESULT.document() and found.run_id == "run-1"
        assert found.created_at.utcoffset() is not None
        assert [each.digest for each in store.listing(connection, run_id="run-2")] == [other.digest]
        assert len(store.listing(connection)) == 2 and len(store.listing(connection, limit=1)) == 1


def test_an_unknown_one_and_no_limit_are_refused(settings: Settings) -> None:
    with database.transaction(settings) as connection:
        with pytest.raises(Refused, match="there is no coordination sha256:0") as raised:
            store.get(connection, "sha256:0")
        assert raised.value.reason == "unknown_coordination"
        with pytest.raises(InvalidInput, match="limit is 0"):
            store.listing(connection, limit=0)


def test_rows_are_never_changed(settings: Settings) -> None:
    with database.transaction(settings) as connection:
        store.save(connection, [RESULT])
    with (
        pytest.raises(sa.exc.IntegrityError, match="is immutable; coordinate anew") as raised,
        database.transaction(settings) as connection,
    ):
        connection.execute(sa.update(coordinations).values(run_id="other"))
    assert isinstance(raised.value.orig, RestrictViolation)
