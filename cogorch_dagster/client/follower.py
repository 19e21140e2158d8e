"""Follow the active version of a policy: told at once by events, asked for regularly as a net, kept on disk.

While a version ramps, the document names both. The canary is held by a lease: a follower that has not heard from the
service for `CANARY_LEASE_S` goes by the active version alone, since nobody could take the canary back from it.
"""

import json
import logging
import math
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.parse import quote

import httpx

from cogorch_dagster.client.assignment import Assignment, CanaryDocument, takes_part
from cogorch_dagster.client.document import PolicyDocument, parse_document, read_time
from cogorch_dagster.client.http import Backoff, connect, describe
from cogorch_dagster.client.sse import read_events

log = logging.getLogger("cogorch.client")

_DENIED = (401, 403)
# The service writes a keep-alive every 15 s; three missing ones mean that the connection is dead.
_SILENCE_S = 45.0

CANARY_LEASE_S = 30.0
"""How long a canary is believed without a word from the service, seconds; two keep-alives of the stream."""


class PolicyFollower:
    """Holds the newest active version of one policy; a dead service leaves the last good one in force.

    Args:
        url: of the service.
        token: bearer token with scope `read`.
        policy_id: e.g. `router-core`.
        cache: file that keeps the last good version for the next start; a directory gets `<policy_id>.json`.
        poll_interval_s: seconds between two questions beneath the events, 0.05 to 3600.
        on_change: called with each new document, from a thread of the follower; an exception in it is logged.
        seed: of the draws in `assignment` for requests without a unit key; None: different in every process.
    """

    def __init__(
        self,
        url: str,
        token: str,
        policy_id: str,
        cache: Path | None = None,
        *,
        poll_interval_s: float = 5.0,
        on_change: Callable[[PolicyDocument], None] | None = None,
        seed: int | None = None,
    ) -> None:
        if not 0.05 <= poll_interval_s <= 3600:
            raise ValueError(f"poll_interval_s is {poll_interval_s}; it must be 0.05 to 3600")
        self._policy_id = policy_id
        self._path = f"/api/v1/policies/{quote(policy_id, safe='')}"
        self._cache = cache / f"{policy_id}.json" if cache is not None and cache.is_dir() else cache
        self._poll_interval_s = poll_interval_s
        self._on_change = on_change
        self._http = connect(url, token, timeout_s=10.0)
        self._closing = threading.Event()
        self._changed = threading.Condition(threading.RLock())
        self._current: PolicyDocument | None = None
        self._applied_at = 0.0
        self._heard_at = -math.inf
        self._generator = random.Random(seed)
        self._socket: socket.socket | None = None
        self._threads = [
            threading.Thread(target=self._follow_events, name=f"cogorch-events-{policy_id}", daemon=True),
            threading.Thread(target=self._poll, name=f"cogorch-poll-{policy_id}", daemon=True),
        ]
        self.connected = False
        """True while the stream of events is open."""
        self.error: str | None = None
        """The last error; stays when the token is refused, after which the follower no longer asks."""

    @property
    def current(self) -> PolicyDocument | None:
        """The newest good version; None until one was received or found in the cache."""
        return self._current

    @property
    def canary(self) -> CanaryDocument | None:
        """The version that is tried beside `current` now; None when there is none, or its lease has run out."""
        document = self._current
        believed = time.monotonic() - self._heard_at < CANARY_LEASE_S
        return document.canary if document is not None and believed else None

    def assignment(self, unit_key: str | None = None) -> Assignment | None:
        """The version for one request; None until a first one was received.

        Args:
            unit_key: what must keep its version while the canary lasts, such as a session; None: a draw for itself.
        """
        document, canary = self._current, self.canary
        if document is None:
            return None
        if canary is None:
            return Assignment(document.policy_id, document.version, document.digest, document.params, False, None, 0.0)
        chosen = takes_part(document.policy_id, canary.version, canary.share, unit_key, self._generator)
        of = canary if chosen else document
        return Assignment(document.policy_id, of.version, of.digest, of.params, chosen, canary.version, canary.share)

    def start(self) -> Self:
        """Load the cache, then follow the service from threads; returns at once."""
        self._load_cache()
        for thread in self._threads:
            thread.start()
        return self

    def wait(self, timeout: float = 10.0) -> PolicyDocument | None:
        """The current version, after waiting at most `timeout` seconds for a first one."""
        with self._changed:
            self._changed.wait_for(lambda: self._current is not None, timeout)
            return self._current

    def close(self) -> None:
        """Stop following; `current` stays as it is."""
        self._closing.set()
        if self._socket is not None:
            # The thread is inside a read that only the end of the connection wakes.
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                log.debug("the stream had ended before it was closed")
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(timeout=5.0)
        self._http.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _follow_events(self) -> None:
        backoff = Backoff(first_s=0.05, most_s=5.0)
        while not self._closing.is_set():
            try:
                self._read_stream(backoff)
            except _Refused as refusal:
                self._stop(str(refusal))
                return
            except (httpx.HTTPError, ValueError, OSError) as error:
                if not self._closing.is_set():
                    self.error = f"{type(error).__name__}: {error}"
            finally:
                self.connected = False
                self._socket = None
            self._closing.wait(backoff.next_s())

    def _read_stream(self, backoff: Backoff) -> None:
        timeout = httpx.Timeout(10.0, read=_SILENCE_S)
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        with self._http.stream("GET", f"{self._path}/events", headers=headers, timeout=timeout) as response:
            _check(response)
            network = response.extensions.get("network_stream")
            self._socket = network.get_extra_info("socket") if network is not None else None
            if self._closing.is_set():
                return
            self.connected = True
            for event in read_events(self._heard(response.iter_lines())):
                if event.name == "policy":
                    self._receive(event.data, asked_at=None)
                    backoff.reset()

    def _heard(self, lines: Iterator[str]) -> Iterator[str]:
        """The same lines; each, a keep-alive too, shows that the service could have told of a change."""
        for line in lines:
            self._heard_at = time.monotonic()
            yield line

    def _poll(self) -> None:
        etag: str | None = None
        tagged: PolicyDocument | None = None
        while not self._closing.is_set():
            asked_at = time.monotonic()
            # A tag is worth sending only while the document it came with is the one in force.
            headers = {"If-None-Match": etag} if etag and tagged is self._current else {}
            try:
                response = self._http.get(f"{self._path}/active", headers=headers)
                if response.status_code == httpx.codes.NOT_MODIFIED:
                    # The tag names what was in force when it was asked for, canary included.
                    self._heard_at = max(self._heard_at, asked_at)
                    self.error = None
                else:
                    _check(response)
                    if self._receive(response.text, asked_at):
                        etag, tagged = response.headers.get("ETag"), self._current
                        self.error = None
            except _Refused as refusal:
                self._stop(str(refusal))
                return
            except (httpx.HTTPError, ValueError, OSError) as error:
                self.error = f"{type(error).__name__}: {error}"
            self._closing.wait(self._poll_interval_s)

    def _stop(self, message: str) -> None:
        log.error("the service refuses the token, policy %s is no longer followed: %s", self._policy_id, message)
        self.error = message
        self._closing.set()

    def _receive(self, text: str, asked_at: float | None) -> bool:
        """Take the document in unless it is garbage or older than what is in force; True when it is now in force.

        Args:
            asked_at: monotonic time of the question; None for an event.
        """
        try:
            document = parse_document(text, self._policy_id, datetime.now(UTC))
        except ValueError as error:
            log.warning("policy %s: ignored a document: %s", self._policy_id, error)
            self.error = str(error)
            return False
        heard_at = time.monotonic() if asked_at is None else asked_at
        with self._changed:
            now = self._current
            if now is not None:
                if now.state == document.state:
                    self._heard_at = max(self._heard_at, heard_at)
                    return True
                # An answer overtaken by an event is old; a question put after the last change is the truth, even
                # when it names an earlier activation (the service's database was restored).
                is_newer = document.revised_at >= now.revised_at
                asked_since = asked_at is not None and asked_at > self._applied_at
                if not is_newer and not asked_since:
                    return False
            self._heard_at = heard_at
            self._apply(document)
            # Under the lock, so that the file never ends with the older of two versions.
            self._save_cache(document)
        return True

    def _apply(self, document: PolicyDocument) -> None:
        with self._changed:
            self._current = document
            self._applied_at = time.monotonic()
            self._changed.notify_all()
            log.info("policy %s is now %s", document.policy_id, document.version)
            if self._on_change is not None:
                # Called under the lock, so that two changes arrive in their order.
                try:
                    self._on_change(document)
                except Exception:
                    log.exception("on_change failed for %s@%s", document.policy_id, document.version)

    def _load_cache(self) -> None:
        if self._cache is None or not self._cache.exists():
            return
        try:
            text = self._cache.read_text(encoding="utf-8")
            received_at = read_time(json.loads(text), "received_at")
            self._apply(parse_document(text, self._policy_id, received_at))
        except (OSError, ValueError) as error:
            log.warning("policy %s: the cache %s is not usable: %s", self._policy_id, self._cache, error)
        # An answer to any later question may replace what the cache said.
        self._applied_at = 0.0

    def _save_cache(self, document: PolicyDocument) -> None:
        if self._cache is None:
            return
        fields = {name: value for name, value in vars(document).items() if name != "canary"}
        for name in ("activated_at", "received_at", "revised_at"):
            fields[name] = fields[name].isoformat()
        scratch = self._cache.with_name(f"{self._cache.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps(fields, ensure_ascii=False), encoding="utf-8")
            scratch.replace(self._cache)
        except OSError as error:
            log.warning("policy %s: the cache %s cannot be written: %s", self._policy_id, self._cache, error)


class _Refused(Exception):
    """The token is unknown, revoked or lacks the scope."""


def _check(response: httpx.Response) -> None:
    if response.status_code == httpx.codes.OK:
        return
    response.read()
    if response.status_code in _DENIED:
        raise _Refused(describe(response))
    raise ValueError(describe(response))
