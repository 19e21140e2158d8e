"""Statements by one round trip: their order, what each sees, and that a failure leaves nothing behind."""

import threading

import psycopg
import pytest
import sqlalchemy as sa

from cogorch_dagster.platform import database
from cogorch_dagster.platform.pipeline import Step, atomically, run
from cogorch_dagster.platform.tables import flags
from cogorch_dagster.settings import Settings

_ADD = sa.insert(flags).values(name=sa.bindparam("new"), value=sa.text("'true'"), updated_by="test")
_NAMES = Step(sa.select(flags.c.name).where(flags.c.updated_by == "test").order_by(flags.c.name))


def add(name: str | None) -> Step:
    return Step(_ADD, {"new": name})


def names(connection: sa.Connection) -> list[str]:
    return [row["name"] for row in run(connection, [_NAMES])[0]]


def test_each_step_sees_what_those_before_it_wrote(settings: Settings) -> None:
    with database.transaction(settings) as connection:
        steps = [_NAMES, add("a"), _NAMES, add("b"), _NAMES]
        found = run(connection, steps)
    assert [[row["name"] for row in rows] for rows in found] == [[], [], ["a"], [], ["a", "b"]]
    with database.transaction(settings) as connection:
        assert names(connection) == ["a", "b"]


def test_a_step_after_a_lock_sees_what_its_last_holder_committed(settings: Settings) -> None:
    held, seen = threading.Event(), []

    def wait_for_the_lock() -> None:
        with database.transaction(settings) as connection:
            held.wait(30)
            seen.extend(run(connection, [database.locking("flags"), _NAMES])[1])

    thread = threading.Thread(target=wait_for_the_lock)
    thread.start()
    waits = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with database.transaction(settings) as connection:
        run(connection, [database.locking("flags"), add("late")])
        held.set()
        while not connection.execute(waits).scalar_one():
            thread.join(0.01)
    thread.join(30)
    assert seen == [{"name": "late"}]


def test_a_failure_undoes_all_and_the_transaction_goes_on(settings: Settings) -> None:
    with database.transaction(settings) as connection:
        run(connection, [add("before")])
        with pytest.raises(sa.exc.IntegrityError, match="null value") as failure:
            atomically(connection, [add("a"), add(None), add("b")])
        assert isinstance(failure.value.orig, psycopg.errors.NotNullViolation)
        assert names(connection) == ["before"]
        assert atomically(connection, [add("after"), _NAMES])[1] == [{"name": "after"}, {"name": "before"}]
    with database.transaction(settings) as connection:
        assert names(connection) == ["after", "before"]


def test_a_failure_in_a_plain_run_ends_the_transaction(settings: Settings) -> None:
    with pytest.raises(sa.exc.IntegrityError), database.transaction(settings) as connection:
        run(connection, [add("a"), add(None)])
    with database.transaction(settings) as connection:
        assert names(connection) == []


def test_a_lost_connection_is_told_as_such_and_the_next_one_works(settings: Settings) -> None:
    for send in (run, atomically):
        with pytest.raises(sa.exc.OperationalError) as failure, database.transaction(settings) as connection:
            pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
            with database.engine(settings).connect() as other:
                other.execute(sa.text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})
            send(connection, [add("lost")])
        assert failure.value.connection_invalidated
        with database.transaction(settings) as connection:
            assert names(connection) == []
