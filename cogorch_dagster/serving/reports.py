"""What a running process tells PostgreSQL: acknowledgements and returns, written in the background and in order.

A step never waits for a database. What cannot be written yet waits in memory; acknowledgements are never dropped while
the process lives, returns only beyond `MOST_RETURNS`. The connection is its own and never starts a server that was
stopped.
"""

import logging
import threading
from collections import deque
from typing import Any, Self

import psycopg

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.platform import postgres
from cogorch_dagster.serving.reload import Reload
from cogorch_dagster.serving.returns import Earned
from cogorch_dagster.settings import Settings

log = logging.getLogger("cogorch.serving")

MOST_RETURNS = 10_000
FIRST_WAIT_S = 0.05
MOST_WAIT_S = 2.0

# Repeating a statement whose answer was lost changes nothing.
_ACKNOWLEDGE = """INSERT INTO acknowledgements (policy_id, version, process, accepted, reason, steps)
    SELECT %(policy_id)s::text, %(version)s::text, %(process)s::text, %(accepted)s::boolean, %(reason)s::text,
           %(steps)s::bigint
    WHERE NOT EXISTS (SELECT FROM acknowledgements WHERE policy_id = %(policy_id)s AND version = %(version)s
                      AND process = %(process)s AND steps = %(steps)s AND accepted = %(accepted)s
                      AND reason IS NOT DISTINCT FROM %(reason)s::text AND acknowledged_at > %(since)s)"""
_RETURN = """INSERT INTO agent_returns (policy_id, version, process, steps, measured_at, value)
    SELECT policy_id, version, %(process)s, %(steps)s, %(measured_at)s, %(value)s
    FROM unnest(%(policies)s::text[], %(versions)s::text[]) AS known (policy_id, version)
    WHERE EXISTS (SELECT FROM policy_versions AS v WHERE v.policy_id = known.policy_id AND v.version = known.version)
    AND NOT EXISTS (SELECT FROM agent_returns AS r WHERE r.policy_id = known.policy_id
                    AND r.measured_at = %(measured_at)s AND r.process = %(process)s)"""

Row = dict[str, Any]


class Reports:
    """Writes from one thread; `acknowledge` and `earned` return at once.

    Args:
        process: the name under which the process reports.
    """

    def __init__(self, settings: Settings, process: str) -> None:
        self._settings = settings
        self._process = process
        self._acknowledgements: deque[Row] = deque()
        self._returns: deque[Row] = deque(maxlen=MOST_RETURNS)
        self._changed = threading.Condition()
        self._closing = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write, name="cogorch-reports", daemon=True)
        self._connection: psycopg.Connection[Any] | None = None
        self._began: Any = None

    @property
    def waiting(self) -> int:
        """Rows that are not written yet."""
        return len(self._acknowledgements) + len(self._returns)

    @property
    def connected(self) -> bool:
        """Whether the last attempt reached PostgreSQL."""
        return self._connection is not None

    def acknowledge(self, reload: Reload) -> None:
        """Report what became of a version."""
        self._add(self._acknowledgements, {"process": self._process, **vars(reload)})

    def earned(self, earned: Earned) -> None:
        """Report a window's return, for each version that was in force in it."""
        if not earned.versions:
            return
        policies, versions = list(earned.versions), list(earned.versions.values())
        row = {"process": self._process, "policies": policies, "versions": versions, "value": earned.value}
        self._add(self._returns, {**row, "steps": earned.steps, "measured_at": earned.measured_at})

    def _add(self, queue: "deque[Row]", row: Row) -> None:
        with self._changed:
            queue.append(row)
            self._changed.notify()

    def flush(self, timeout: float) -> bool:
        """Wait until everything is written; False when that took longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.waiting, timeout)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits, for at most five seconds."""
        self.flush(5.0)
        if self.waiting:
            log.error("%d reports were not written: PostgreSQL is away", self.waiting)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._ended.set()
        self._thread.join(timeout=10.0)
        self._disconnect()

    def _write(self) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.waiting or self._closing)
                if self._closing:
                    return
                # Acknowledgements first: somebody waits for them, and they are few.
                queue, statement = (
                    (self._acknowledgements, _ACKNOWLEDGE) if self._acknowledgements else (self._returns, _RETURN)
                )
                row = queue[0]
            try:
                self._execute(statement, row)
            except (psycopg.OperationalError, psycopg.InterfaceError, Unavailable, OSError) as error:
                self._disconnect()
                if wait_s == FIRST_WAIT_S:  # once in an outage
                    log.warning("reports wait for PostgreSQL: %s", str(error).strip().partition("\n")[0])
                self._ended.wait(wait_s)
                wait_s = min(2 * wait_s, MOST_WAIT_S)
                continue
            except psycopg.Error as error:
                # Of a version that the database does not know (it was restored): no repetition makes that good.
                log.error("a report is refused: %s", str(error).strip().partition("\n")[0])
            wait_s = FIRST_WAIT_S
            with self._changed:
                if queue and queue[0] is row:
                    queue.popleft()
                self._changed.notify_all()

    def _execute(self, statement: str, row: Row) -> None:
        if self._connection is None:
            url = postgres.server_url(self._settings, self._settings.database)
            # A server that vanished without a word is noticed within half a minute.
            self._connection = psycopg.connect(
                url,
                autocommit=True,
                connect_timeout=5,
                application_name="cogorch-serving",
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
            )
            if self._began is None:
                self._began = self._connection.execute("SELECT clock_timestamp()").fetchone()[0]  # type: ignore[index]
        self._connection.execute(statement, {**row, "since": self._began}, prepare=True)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
