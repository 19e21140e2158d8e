"""Events: the current version first, each activation soon after, however PostgreSQL and the clients behave."""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import sqlalchemy as sa

from cogorch_dagster.platform import database
from cogorch_dagster.policies import store
from cogorch_dagster.service import events
from cogorch_dagster.service.answers import Busy
from cogorch_dagster.service.documents import ActiveDocument
from cogorch_dagster.service.metrics import Metrics
from cogorch_dagster.settings import Settings
from tests.service.processes import Service, create_router, propose, put_into_force, token_for


@contextlib.contextmanager
def stream(service: Service, token: str, policy_id: str = "router-x") -> Iterator[Iterator[str]]:
    """The lines of an open event stream; a silence of 20 s is a failure."""
    headers = {"Authorization": f"Bearer {token}"}
    timeout = httpx.Timeout(20)
    with httpx.stream(
        "GET", f"{service.url}/api/v1/policies/{policy_id}/events", headers=headers, timeout=timeout, trust_env=False
    ) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield response.iter_lines()


def next_version(lines: Iterator[str]) -> str:
    return next(line.removeprefix("id: ") for line in lines if line.startswith("id: "))


def test_a_stream_begins_with_the_current_version_and_hears_of_each_activation(shared: Service) -> None:
    create_router(shared.settings, "router-begins")
    put_into_force(shared.settings, 0.5, "router-begins")
    token = token_for(shared.settings, "read")
    with stream(shared, token, "router-begins") as one, stream(shared, token, "router-begins") as other:
        assert [next_version(one), next_version(other)] == ["1.0.0", "1.0.0"]
        assert 'cogorch_event_subscribers{policy_id="router-begins"} 2.0' in shared.get("/metrics").text
        for first, version in ((0.4, "1.0.1"), (0.3, "1.0.2")):
            put_into_force(shared.settings, first, "router-begins")
            assert [next_version(one), next_version(other)] == [version, version]
    shared.wait_until(lambda: "cogorch_event_subscribers{" not in shared.get("/metrics").text)


def test_a_missed_notification_is_caught_by_the_poll(shared: Service) -> None:
    create_router(shared.settings, "router-missed")
    put_into_force(shared.settings, 0.5, "router-missed")
    with stream(shared, token_for(shared.settings, "read"), "router-missed") as lines:
        next_version(lines)
        version = store_silently(shared.settings, 0.4, "router-missed")
        assert next_version(lines) == version


def store_silently(settings: Settings, first: float, policy_id: str) -> str:
    """Put a version into force without a notification; returns its number."""
    version = propose(settings, first, policy_id)
    status = "UPDATE policy_versions SET status = :status, activated_at = now() WHERE policy_id = :id"
    with database.transaction(settings) as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        connection.execute(sa.text(status), {"status": "archived", "id": policy_id})
        values = {"status": "active", "id": policy_id, "version": version.version}
        connection.execute(sa.text(f"{status} AND version = :version"), values)
    return version.version


def test_the_listening_connection_is_renewed(shared: Service) -> None:
    create_router(shared.settings, "router-renewed")
    put_into_force(shared.settings, 0.5, "router-renewed")
    shared.wait_until(lambda: "cogorch_listening 1.0" in shared.get("/metrics").text)
    with stream(shared, token_for(shared.settings, "read"), "router-renewed") as lines:
        next_version(lines)
        with database.transaction(shared.settings) as connection:
            ended = connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'cogorch-listener' AND datname = current_database()"
                )
            ).scalars()
            assert list(ended) == [True]
        put_into_force(shared.settings, 0.4, "router-renewed")
        assert next_version(lines) == "1.0.1"
    shared.wait_until(lambda: "cogorch_listening 1.0" in shared.get("/metrics").text)
    assert "it is renewed" in shared.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_although_clients_follow(
    service: Service, settings: Settings, number: signal.Signals
) -> None:
    create_router(settings)
    put_into_force(settings, 0.5)
    rest: list[str] = []
    with stream(service, token_for(settings, "read")) as lines:
        next_version(lines)
        reader = threading.Thread(target=lambda: rest.extend(lines))
        reader.start()
        began = time.monotonic()
        assert service.signal(number) == 0
        assert time.monotonic() - began < 4
        reader.join(timeout=10)
    assert ": the service stops: reconnect" in rest
    assert "Traceback" not in service.log


def document(number: int) -> ActiveDocument:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    return ActiveDocument(
        store.PolicyVersion(
            policy_id="p",
            version=f"1.0.{number}",
            kind="router",
            component=None,
            params={},
            digest="sha256:0",
            parent=None,
            evidence=None,
            status="active",
            created_at=moment,
            created_by="ada",
            activated_at=moment,
            ended_at=None,
        ),
        moment,
    )


def test_a_client_that_does_not_read_is_sent_away_and_the_others_stay() -> None:
    reads = 0

    def read(_: str) -> ActiveDocument:
        nonlocal reads
        reads += 1
        return document(reads)

    async def scenario() -> tuple[list[bytes], bytes, int]:
        hub = events.Hub(read, Metrics())
        slow = await hub.subscribe("p")
        fast = await hub.subscribe("p")
        received = fast.stream()
        last = await anext(received)
        for _ in range(events.QUEUE_EVENTS + 3):
            await hub.refresh("p")
            while b"1.0.%d\n" % reads not in last:
                last = await anext(received)
        return [part async for part in slow.stream()], last, hub.subscribers

    parts, last, subscribers = asyncio.run(scenario())
    assert parts[1:] == [b": too slow: reconnect for the current version\n\n"]
    assert f"1.0.{reads}".encode() in last
    assert subscribers == 2


def test_a_change_is_read_and_serialised_once_for_all_followers() -> None:
    versions = [document(1)]
    reads = 0

    def read(_: str) -> ActiveDocument:
        nonlocal reads
        reads += 1
        return versions[-1]

    async def scenario() -> list[bytes]:
        nonlocal reads
        hub = events.Hub(read, Metrics())
        streams = [(await hub.subscribe("p")).stream() for _ in range(50)]
        for each in streams:
            assert b"1.0.1" in await anext(each) + await anext(each)
        versions.append(document(2))
        reads = 0
        await hub.refresh("p")
        await hub.refresh("unfollowed")
        received = [await anext(each) for each in streams]
        hub.close()
        with pytest.raises(Busy):
            await hub.subscribe("p")
        return received

    received = asyncio.run(scenario())
    assert reads == 1
    assert all(part is received[0] for part in received) and b"1.0.2" in received[0]


def test_silence_is_filled_with_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEP_ALIVE_S", 0.01)

    async def scenario() -> list[bytes]:
        subscription = events.Subscription()
        stream = subscription.stream()
        return [await anext(stream) for _ in range(4)]

    assert asyncio.run(scenario())[1:] == [b": keep-alive\n\n"] * 3
