"""Send observations and feedback: at least once, in batches, without ever making the caller wait for the network."""

import logging
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from cogorch_dagster.client.delivery import Denied, Indigestible, Retry, post
from cogorch_dagster.client.http import Backoff, connect
from cogorch_dagster.client.identity import with_identity
from cogorch_dagster.client.rejected import RejectedFile
from cogorch_dagster.client.rows import encoded
from cogorch_dagster.client.spool import FEEDBACK, OBSERVATION, Batch, Spool
from cogorch_dagster.client.stats import ClientStats, State

log = logging.getLogger("cogorch.client")


class ObservationClient:
    """Writes rows to a bounded spool on disk at once and delivers them from a thread of its own.

    `send` returns after one write to the operating system, so a row survives `kill -9` of this process from then on.
    Each row gets a `source_id` unless it has one, which lets the service drop what is delivered twice.

    Args:
        url: of the service, e.g. `http://127.0.0.1:8710`.
        token: bearer token with scope `ingest`.
        spool: directory of this process alone.
        batch_size: rows in one request, 1 to 5000.
        flush_interval_s: longest time that a row waits for a batch to fill, seconds.
        max_spool_bytes: bound of the spool; past it the oldest rows are dropped and counted.
        timeout_s: of one request, seconds.

    Raises:
        ValueError: the url or a bound is out of range.
        RuntimeError: another client uses the spool.
    """

    def __init__(
        self,
        url: str,
        token: str,
        spool: Path,
        *,
        batch_size: int = 200,
        flush_interval_s: float = 0.5,
        max_spool_bytes: int = 64 << 20,
        timeout_s: float = 10.0,
    ) -> None:
        if not 1 <= batch_size <= 5000:
            raise ValueError(f"batch_size is {batch_size}; it must be 1 to 5000")
        if not 0 < flush_interval_s <= 60:
            raise ValueError(f"flush_interval_s is {flush_interval_s}; it must be over 0 and at most 60")
        self._http = connect(url, token, timeout_s)
        self._spool = Spool(Path(spool), max_spool_bytes)
        self._rejected_file = RejectedFile(Path(spool))
        self._batch_size = batch_size
        self._most_rows = batch_size
        self._flush_interval_s = flush_interval_s
        self._sent = self._accepted = self._duplicates = self._rejected = self._refused_by_disk = self._retries = 0
        self._count_lock = threading.Lock()
        self._state: State = "running"
        self._error: str | None = None
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._closing = threading.Event()
        self._progress = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="cogorch-observations", daemon=True)
        self._thread.start()

    def send(self, observation: Mapping[str, Any]) -> str | None:
        """Keep one observation for delivery; returns at once and never raises for what is in the row.

        Returns:
            Its `observation_id`, for later feedback; None when `occurred_at` is missing or not an aware time.
        """
        row = with_identity(observation)
        self._append(OBSERVATION, row)
        value = row.get("observation_id", row.get("observationId"))
        return None if value is None else str(value)

    def feedback(self, feedback: Mapping[str, Any]) -> None:
        """Keep one feedback row (`observation_id`, `metric`, `value`); `occurred_at` is now unless given."""
        row = dict(feedback)
        if row.get("occurred_at") is None and row.get("occurredAt") is None:
            row["occurred_at"] = datetime.now(UTC)
        self._append(FEEDBACK, row)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until the service has every row, at most `timeout` seconds; False when some still wait."""
        deadline = time.monotonic() + timeout
        self._hurry.set()
        self._wake.set()
        with self._progress:
            while self._spool.rows and self._state in ("running", "retrying"):
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._progress.wait(min(left, 0.5))
        return self._spool.rows == 0

    def close(self, timeout: float = 5.0) -> None:
        """Deliver for at most `timeout` seconds and stop; what is left waits in the spool for the next client."""
        if self._closing.is_set():
            return
        self.flush(timeout)
        self._closing.set()
        self._hurry.set()
        self._wake.set()
        self._thread.join(timeout=max(timeout, 1.0))
        self._http.close()
        self._spool.close()
        self._become("closed", self._error)

    @property
    def stats(self) -> ClientStats:
        return ClientStats(
            sent=self._sent,
            accepted=self._accepted,
            duplicates=self._duplicates,
            rejected=self._rejected,
            dropped=self._spool.dropped + self._refused_by_disk,
            corrupted=self._spool.corrupted,
            retries=self._retries,
            waiting=self._spool.rows,
            spool_bytes=self._spool.size,
            state=self._state,
            error=self._error,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, kind: bytes, row: dict[str, Any]) -> None:
        if self._closing.is_set():
            raise RuntimeError("this ObservationClient is closed")
        try:
            line = encoded(row)
        except (TypeError, ValueError) as error:
            self._reject(kind, repr(row), None, f"not JSON: {error}")
            return
        if len(line) > self._spool.max_row_bytes:
            message = f"{len(line)} bytes; a row has at most {self._spool.max_row_bytes}"
            self._reject(kind, line[:1000].decode(errors="replace"), None, message)
            return
        try:
            self._spool.append(kind, line)
        except OSError as error:
            with self._count_lock:
                self._refused_by_disk += 1
            if self._error is None:
                log.error("the spool cannot be written, rows are dropped: %s", error)
            self._error = str(error)
            return
        with self._count_lock:
            self._sent += 1
        if self._spool.rows >= self._batch_size and not self._wake.is_set():
            self._wake.set()

    def _run(self) -> None:
        backoff = Backoff()
        while True:
            self._wake.wait(self._flush_interval_s)
            self._wake.clear()
            self._hurry.clear()
            try:
                self._deliver_all(backoff)
            except Exception as error:
                # The thread must outlive any surprise, or rows would pile up unseen.
                log.exception("delivery failed; it is tried again")
                self._wait_after(str(error), backoff.next_s())
            if self._closing.is_set():
                return

    def _deliver_all(self, backoff: Backoff) -> None:
        """Send batches until the spool is empty, the token is refused or the client closes."""
        while self._state != "denied" and (batch := self._spool.read(self._most_rows)) is not None:
            try:
                self._deliver(batch)
            except Retry as failure:
                self._wait_after(str(failure), backoff.next_s(failure.wait_s))
                if self._closing.is_set():
                    return
                continue
            except Denied as failure:
                log.error("the service refuses the token, nothing more is sent: %s", failure)
                self._become("denied", str(failure))
                return
            except Indigestible as failure:
                if batch.rows > 1:
                    self._most_rows = max(1, batch.lines // 2)
                    continue
                kind, row = (OBSERVATION, batch.observations) if batch.observations else (FEEDBACK, batch.feedback)
                self._reject(kind, row[0].decode(errors="replace"), None, str(failure))
            self._spool.acknowledge(batch)
            self._most_rows = min(self._batch_size, self._most_rows * 2)
            backoff.reset()
            if self._state == "retrying":
                log.warning("the service is back; %d rows wait", self._spool.rows)
            self._become("running", None)

    def _deliver(self, batch: Batch) -> None:
        # Feedback names observations, so these go first.
        if batch.observations:
            self._send("observations", OBSERVATION, batch.observations)
        if batch.feedback:
            self._send("feedback", FEEDBACK, batch.feedback)

    def _send(self, stream: str, kind: bytes, rows: list[bytes]) -> None:
        receipt = post(self._http, stream, rows)
        for each in receipt.refused:
            self._reject(kind, each.row.decode(errors="replace"), each.field, each.message)
        self._accepted += receipt.accepted
        self._duplicates += receipt.duplicates

    def _reject(self, kind: bytes, row: str, field: str | None, message: str) -> None:
        name = "feedback" if kind == FEEDBACK else "observation"
        log.warning("rejected %s, field %s: %s", name, field, message)
        with self._count_lock:
            self._rejected += 1
            try:
                self._rejected_file.write(name, row, field, message)
            except OSError as error:
                log.error("the rejected row cannot be written aside: %s", error)

    def _wait_after(self, message: str, seconds: float) -> None:
        self._retries += 1
        if self._state != "retrying":
            log.warning("the service is away, rows are kept in the spool: %s", message)
        self._become("retrying", message)
        if not self._closing.is_set():
            self._hurry.wait(seconds)
            self._hurry.clear()

    def _become(self, state: State, error: str | None) -> None:
        with self._progress:
            self._state = state
            self._error = error
            self._progress.notify_all()
