"""The journal: one order of entries whoever writes, all of a transaction or nothing, and who is alive."""

import multiprocessing
import os
import signal
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from cogorch_dagster.errors import Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import studies
from cogorch_dagster.tuning.journal import ConnectionLost, Journal
from tests.tuning.tiny import begun

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def journal(settings: Settings) -> Iterator[Journal]:
    begun(settings)
    found = Journal(settings, "tiny", "me")
    yield found
    found.close()


def numbers(settings: Settings) -> list[int]:
    with transaction(settings) as connection:
        return list(connection.execute(sa.text("SELECT number FROM study_journal ORDER BY number")).scalars())


def cut(settings: Settings) -> None:
    """End every connection of the journals, as a server that starts anew does."""
    with transaction(settings) as connection:
        connection.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cogorch tuning'")
        )


def test_entries_come_back_as_they_were_in_order_from_any_number(journal: Journal, settings: Settings) -> None:
    entries = [{"a": 0.1 + 0.2, "b": [1e-300, None, "ü"]}, {"a": 1}, {"a": {"b": True}}]
    journal.append_logs(entries[:2])
    journal.append_logs(entries[2:])
    assert [journal.read_logs(number) for number in range(4)] == [entries[number:] for number in range(4)]
    other = Journal(settings, "tiny")
    assert other.read_logs(0) == entries
    other.close()
    begun(settings, "other")
    assert Journal(settings, "other").read_logs(0) == []


def _append(settings: Settings, writer: int, count: int) -> None:
    journal = Journal(settings, "tiny")
    for number in range(count):
        journal.append_logs([{"writer": writer, "number": number, "half": half} for half in (0, 1)])
    os._exit(0)


def test_processes_that_write_at_once_lose_nothing_and_keep_their_batches_together(
    journal: Journal, settings: Settings
) -> None:
    processes = [FORK.Process(target=_append, args=(settings, writer, 25)) for writer in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    found = journal.read_logs(0)
    assert numbers(settings) == list(range(200))
    for writer in range(4):
        own = [(each["number"], each["half"]) for each in found if each["writer"] == writer]
        assert own == [(number, half) for number in range(25) for half in (0, 1)]
    assert all(first["writer"] == second["writer"] for first, second in zip(found[::2], found[1::2], strict=True))


def test_a_transaction_sees_what_it_will_write_and_others_see_it_after(journal: Journal, settings: Settings) -> None:
    journal.append_logs([{"n": 0}])
    other = Journal(settings, "tiny")
    with journal.transaction():
        assert journal.read_logs(0) == [{"n": 0}]
        journal.append_logs([{"n": 1}])
        journal.append_logs([{"n": 2}])
        assert journal.read_logs(1) == [{"n": 1}, {"n": 2}]
        assert journal.read_logs(3) == []
        assert journal.read_logs(0) == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert other.read_logs(0) == [{"n": 0}]
    assert other.read_logs(0) == [{"n": 0}, {"n": 1}, {"n": 2}]
    other.close()


def test_nothing_is_left_of_a_transaction_that_fails(journal: Journal) -> None:
    journal.append_logs([{"n": 0}])
    with pytest.raises(ZeroDivisionError), journal.transaction():
        journal.append_logs([{"n": 1}])
        _ = 1 / 0
    with pytest.raises(ValueError, match="Out of range float"):
        journal.append_logs([{"n": 1}, {"n": float("nan")}])
    assert journal.read_logs(0) == [{"n": 0}]
    journal.append_logs([{"n": 1}])
    assert journal.read_logs(0) == [{"n": 0}, {"n": 1}]


def test_it_survives_a_broken_connection(journal: Journal, settings: Settings) -> None:
    journal.append_logs([{"n": 0}])
    cut(settings)
    assert journal.read_logs(0) == [{"n": 0}]
    with pytest.raises(ConnectionLost), journal.transaction():
        journal.append_logs([{"n": 1}])
        cut(settings)
    assert journal.read_logs(0) == [{"n": 0}]
    journal.append_logs([{"n": 1}])
    assert journal.alive(["me"]) == {"me"}
    assert numbers(settings) == [0, 1]


def test_a_deleted_study_is_named(journal: Journal, settings: Settings) -> None:
    journal.append_logs([{"n": 0}])
    with transaction(settings) as connection:
        studies.delete(connection, "tiny")
    with pytest.raises(Refused, match="there is no study 'tiny'") as refused:
        journal.append_logs([{"n": 1}])
    assert refused.value.reason == "unknown_study"
    assert numbers(settings) == []


def _live(settings: Settings, ready: "multiprocessing.synchronize.Event") -> None:
    journal = Journal(settings, "tiny", "child")
    journal.read_logs(0)
    ready.set()
    signal.pause()


def test_a_killed_worker_is_dead_at_once(journal: Journal, settings: Settings) -> None:
    ready = FORK.Event()
    child = FORK.Process(target=_live, args=(settings, ready))
    child.start()
    assert ready.wait(30)
    journal.read_logs(0)
    assert journal.alive(["me", "child", "nobody"]) == {"me", "child"}
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join(30)
    for _ in range(200):
        if journal.alive(["child"]) == set():
            break
        signal.sigtimedwait([], 0.02)
    assert journal.alive(["me", "child"]) == {"me"}


def test_a_worker_that_gives_its_connection_back_is_dead_at_once(journal: Journal, settings: Settings) -> None:
    other = Journal(settings, "tiny", "other")
    journal.read_logs(0)
    for _ in range(20):
        other.read_logs(0)
        assert journal.alive(["me", "other"]) == {"me", "other"}
        other.close()
        assert journal.alive(["me", "other"]) == {"me"}
    cut(settings)
    journal.close()
