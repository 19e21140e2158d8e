"""A study's journal in PostgreSQL, as the backend of Optuna's journal storage: many processes, one order of entries.

A study has a journal of its own, so that opening it reads this study alone. Whoever writes holds the study's lock until
the transaction ends; within one, entries get their numbers and are seen before they are written, all by one statement.
So asking for a trial, drawing its parameters and noting who runs it happens wholly or not at all: a process that dies
leaves no half a trial, and no two begin the same one.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from cogorch_dagster.errors import Refused, Unavailable
from cogorch_dagster.platform import postgres
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    import psycopg

Entry = dict[str, Any]
Found = TypeVar("Found")

# For a server that is being started again.
PATIENCE_S = 30.0
# Times in a row that a connection may break.
_LOST = 5
_LONGEST_ERROR = 1000

_LOCK = "SELECT pg_advisory_xact_lock(%s)"
_END = "SELECT coalesce(max(number) + 1, 0) FROM study_journal WHERE study = %s"
_READ = "SELECT entry FROM study_journal WHERE study = %s AND number >= %s ORDER BY number"
_WRITE = """
INSERT INTO study_journal (study, number, entry)
SELECT %s, %s + place - 1, entry FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS new (entry, place)
"""
# Of a lock on 64 bits `classid` is the upper half and `objid` the lower one.
_HELD = """
SELECT classid::bigint, objid::bigint FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND datname = current_database()
"""


class ConnectionLost(Exception):
    """The connection broke within a transaction, committed or not: read the journal again before going on."""


class Journal:
    """The entries of one study, over a connection of its own; for one thread. Satisfies Optuna's `BaseJournalBackend`.

    Args:
        study: its name, a row of `studies`.
        worker: the name under which this process runs trials: `alive` knows it for as long as the connection lives,
            so that the death of the process is seen at once, without any pulse.
    """

    def __init__(self, settings: Settings, study: str, worker: str | None = None) -> None:
        self.study, self.worker = study, worker
        self._settings = settings
        self._connection: psycopg.Connection[Any] | None = None
        # Of the open transaction: entries from number `_base` on, and the last of them as text, not written yet.
        self._open, self._base = False, -1
        self._entries: list[Entry] = []
        self._fresh: list[str] = []

    def read_logs(self, log_number_from: int) -> list[Entry]:
        """The entries from a number on, in order; within a transaction with those that are not written yet.

        Raises:
            Unavailable: the server cannot be reached. ConnectionLost: within a transaction.
        """
        if not self._open:
            return [row[0] for row in self._alone(_READ, (self.study, log_number_from))]
        if self._base < 0 or log_number_from < self._base:
            fresh = self._entries[len(self._entries) - len(self._fresh) :]
            self._entries = self._read(log_number_from) + fresh
            self._base = log_number_from
        return self._entries[log_number_from - self._base :]

    def append_logs(self, logs: list[Entry]) -> None:
        """Add entries at the end, side by side and in order.

        Raises:
            As `transaction`.
        """
        if not self._open:
            with self.transaction():
                self.append_logs(logs)
            return
        if self._base < 0:
            self._base = int(self._connected().execute(_END, (self.study,)).fetchall()[0][0])
        texts = [json.dumps(entry, allow_nan=False) for entry in logs]
        # As they will be read, and no longer the caller's own.
        self._entries += map(json.loads, texts)
        self._fresh += texts

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the study's lock; what is appended meanwhile is written at the end, and nothing of it after an error.

        Raises:
            Refused: `unknown_study`: it was deleted meanwhile.
            Unavailable: the server cannot be reached.
            ConnectionLost: it went away meanwhile.
        """
        import psycopg

        connection = self._connected()
        try:
            with connection.transaction():
                connection.execute(_LOCK, (_key("journal", self.study),))
                self._open, self._base, self._fresh, self._entries = True, -1, [], []
                yield
                self._write(connection)
        except psycopg.errors.ForeignKeyViolation as error:
            raise unknown_study(self.study) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self._drop()
            raise ConnectionLost(str(error)) from error
        finally:
            self._open = False

    def whole(
        self,
        act: Callable[[], Found],
        *,
        forget: Callable[[], None],
        ready: Callable[[], object] = lambda: None,
    ) -> Found:
        """Do something in one transaction, and again where the connection broke, for it may not have been written.

        Args:
            forget: called after any error: what is in memory may hold what was not written.
            ready: called before each transaction.

        Raises:
            As `transaction`; Unavailable too where the connection breaks again and again.
        """
        for _ in range(_LOST):
            try:
                ready()
                with self.transaction():
                    return act()
            except ConnectionLost:
                forget()
            except BaseException:
                forget()
                raise
        raise Unavailable(f"the connection to PostgreSQL broke {_LOST} times in a row; run `cogorch doctor`")

    def alive(self, workers: Iterable[str]) -> set[str]:
        """Which of these workers of the study still have a connection."""
        keys = {_key("worker", self.study, worker): worker for worker in workers}
        if not keys:
            return set()
        held = {_signed((upper << 32) | lower) for upper, lower in self._connected().execute(_HELD).fetchall()}
        return {worker for key, worker in keys.items() if key in held}

    def hold(self, what: str) -> bool:
        """Whether nobody else holds a thing of this study; then this connection does for as long as it lives."""
        query = "SELECT pg_try_advisory_lock(%s)"
        return bool(self._alone(query, (_key("held", self.study, what),))[0][0])

    def close(self) -> None:
        """Give the connection back; the worker counts as dead until the next use."""
        import psycopg

        if self._connection is not None:
            # At once, not when the server gets to ending the connection.
            with suppress(psycopg.Error):
                self._connection.execute("SELECT pg_advisory_unlock_all()")
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _write(self, connection: "psycopg.Connection[Any]") -> None:
        if self._fresh:
            first = self._base + len(self._entries) - len(self._fresh)
            connection.execute(_WRITE, (self.study, first, f"[{','.join(self._fresh)}]"))

    def _read(self, number: int) -> list[Entry]:
        return [row[0] for row in self._connected().execute(_READ, (self.study, number)).fetchall()]

    def _alone(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The rows of a statement outside of a transaction."""
        import psycopg

        try:
            return self._connected().execute(query, values).fetchall()
        except (psycopg.OperationalError, psycopg.InterfaceError):
            # It may have broken long ago, while the process trained.
            self._drop()
            return self._connected().execute(query, values).fetchall()

    def _connected(self) -> "psycopg.Connection[Any]":
        if self._connection is None or self._connection.closed:
            self._connection = _connect(self._settings)
            if self.worker is not None:
                # Waits for the server to notice that an earlier connection of this worker is gone.
                self._connection.execute("SELECT pg_advisory_lock(%s)", (_key("worker", self.study, self.worker),))
                # Shared by all workers of the study: who has it alone knows that there are none.
                self._connection.execute("SELECT pg_advisory_lock_shared(%s)", (_key("workers", self.study),))
        return self._connection


def unknown_study(name: str) -> Refused:
    """The error where there is no study of a name."""
    return Refused("unknown_study", f"there is no study {name!r}; `cogorch tune list` names those that there are")


def left_alone(connection: sa.Connection, study: str) -> bool:
    """Whether no worker is connected to a study; if so, none connects until the transaction ends."""
    query = sa.text("SELECT pg_try_advisory_xact_lock(:key)")
    return bool(connection.execute(query, {"key": _key("workers", study)}).scalar_one())


def error_text(error: Exception) -> str:
    """An error as a journal keeps it: with its reason or its class, in at most 1000 characters, none of them NUL."""
    what = error.reason if isinstance(error, Refused) else type(error).__name__
    return f"{what}: {error}".replace("\0", "")[:_LONGEST_ERROR]


def _connect(settings: Settings) -> "psycopg.Connection[Any]":
    import psycopg

    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            postgres.ensure_running(settings)
            return psycopg.connect(
                postgres.server_url(settings, settings.database),
                autocommit=True,
                application_name="cogorch tuning",
                connect_timeout=10,
                # So that both ends notice within a minute that the other machine is gone.
                keepalives_idle=20,
                keepalives_interval=10,
                keepalives_count=3,
            )
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"PostgreSQL has refused the connection for {PATIENCE_S:.0f} s: {str(error).strip()}. "
                    "Run `cogorch doctor`; the study goes on where it stopped."
                ) from error
            time.sleep(0.5)


def _key(*parts: str) -> int:
    return _signed(int.from_bytes(hashlib.sha256("\n".join(parts).encode()).digest()[:8], "big"))


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number
