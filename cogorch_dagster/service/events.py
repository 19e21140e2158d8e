"""Server-sent events of activations: one read per change, one serialisation, a bounded queue for each client."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable

from starlette.concurrency import run_in_threadpool

from cogorch_dagster.service.answers import Busy
from cogorch_dagster.service.documents import ActiveDocument
from cogorch_dagster.service.metrics import Metrics

log = logging.getLogger("cogorch.service")

KEEP_ALIVE_S = 15.0
QUEUE_EVENTS = 16
MAX_SUBSCRIBERS = 2_000

Read = Callable[[str], ActiveDocument | None]


class Subscription:
    """One client's stream. A client that does not keep up is sent away: on reconnecting it gets the current version."""

    def __init__(self) -> None:
        self._events: deque[bytes] = deque()
        self._last: str | None = None
        self._farewell: bytes | None = None
        self._changed = asyncio.Event()

    @property
    def is_ended(self) -> bool:
        return self._farewell is not None

    def offer(self, document: ActiveDocument) -> bool:
        """Queue the document unless it was the last one; False when the queue is full and the stream therefore ends."""
        if self.is_ended or document.etag == self._last:
            return True
        if len(self._events) >= QUEUE_EVENTS:
            self.end("too slow: reconnect for the current version")
            return False
        self._events.append(document.event)
        self._changed.set()
        self._last = document.etag
        return True

    def end(self, reason: str) -> None:
        """End the stream at once with a comment; what is queued is dropped."""
        if not self.is_ended:
            self._farewell = f": {reason}\n\n".encode()
            self._changed.set()

    async def stream(self) -> AsyncIterator[bytes]:
        """The bytes to send: events as they come, a comment after each `KEEP_ALIVE_S` seconds of silence."""
        yield b": following\nretry: 1000\n\n"
        while not self.is_ended:
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    await self._changed.wait()
            except TimeoutError:
                yield b": keep-alive\n\n"
                continue
            self._changed.clear()
            while self._events and not self.is_ended:
                yield self._events.popleft()
        yield self._farewell or b""


class _Topic:
    def __init__(self) -> None:
        self.subscriptions: set[Subscription] = set()
        self.latest: ActiveDocument | None = None
        # Reads of one policy follow each other, so that what is published later was read later.
        self.reading = asyncio.Lock()


class Hub:
    """Who follows which policy. Everything runs on the event loop but the reads, which have a thread.

    Args:
        read: the active document of a policy from the database; may raise.
    """

    def __init__(self, read: Read, metrics: Metrics) -> None:
        self._read = read
        self._metrics = metrics
        self._topics: dict[str, _Topic] = {}
        self._closed = False

    @property
    def subscribers(self) -> int:
        return sum(len(topic.subscriptions) for topic in self._topics.values())

    async def subscribe(self, policy_id: str) -> Subscription:
        """A stream whose first event is the current version, as soon as there is one.

        Raises:
            Busy: the process has `MAX_SUBSCRIBERS` streams, or is stopping.
            Refused: `unknown_policy`.
            Unavailable: PostgreSQL cannot be reached.
        """
        if self._closed or self.subscribers >= MAX_SUBSCRIBERS:
            raise Busy("the service is stopping" if self._closed else f"{MAX_SUBSCRIBERS} event streams are open")
        subscription = Subscription()
        topic = self._topics.setdefault(policy_id, _Topic())
        topic.subscriptions.add(subscription)
        try:
            await self._refresh(policy_id, topic)
        except BaseException:
            self.unsubscribe(policy_id, subscription)
            raise
        if topic.latest is not None:
            subscription.offer(topic.latest)
        self._metrics.subscribers.labels(policy_id).set(len(topic.subscriptions))
        return subscription

    def unsubscribe(self, policy_id: str, subscription: Subscription) -> None:
        topic = self._topics.get(policy_id)
        if topic is None:
            return
        topic.subscriptions.discard(subscription)
        if topic.subscriptions:
            self._metrics.subscribers.labels(policy_id).set(len(topic.subscriptions))
            return
        del self._topics[policy_id]
        # Policies come and go; a label that nobody uses would stay for ever.
        self._metrics.subscribers.remove(policy_id)

    async def refresh(self, policy_id: str) -> None:
        """Read the policy, if anybody follows it, and tell the followers when it changed; a failure is logged."""
        topic = self._topics.get(policy_id)
        if topic is None:
            return
        try:
            await self._refresh(policy_id, topic)
        except Exception as error:
            log.warning("policy %s cannot be read for its followers: %s", policy_id, str(error).partition("\n")[0])

    async def refresh_all(self) -> None:
        """`refresh` every policy that is followed: what a missed notification is caught with."""
        for policy_id in list(self._topics):
            await self.refresh(policy_id)

    def close(self) -> None:
        """End every stream at once and open no further one."""
        self._closed = True
        for topic in self._topics.values():
            for subscription in topic.subscriptions:
                subscription.end("the service stops: reconnect")

    async def _refresh(self, policy_id: str, topic: _Topic) -> None:
        async with topic.reading:
            document = await run_in_threadpool(self._read, policy_id)
            if document is None or (topic.latest is not None and topic.latest.etag == document.etag):
                return
            topic.latest = document
            for subscription in list(topic.subscriptions):
                if not subscription.offer(document):
                    self._metrics.dropped_subscribers.inc()
                    log.warning("a slow follower of policy %s was sent away", policy_id)
            self._metrics.events.inc(len(topic.subscriptions))
