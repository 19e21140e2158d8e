"""Following: the newest good version, soon, and never anything else."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cogorch_dagster.client import PolicyDocument, PolicyFollower
from cogorch_dagster.client.document import params_digest
from cogorch_dagster.platform import database
from cogorch_dagster.service import tokens
from cogorch_dagster.settings import Settings
from tests.client.conftest import Peer
from tests.service.processes import Service, create_router, free_port, put_into_force, token_for

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def until(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.005)


def document(version: str = "1.0.0", after_s: float = 0, **changes: Any) -> bytes:
    params = {"weight": 0.5, "limit": 3.0}
    fields = {
        "policy_id": "router-x",
        "kind": "router",
        "version": version,
        "digest": params_digest(params),
        "params": params,
        "activated_at": (MOMENT + timedelta(seconds=after_s)).isoformat(),
    }
    return json.dumps({**fields, **changes}).encode()


def test_each_activation_is_told_soon_and_in_order(shared: Service, tmp_path: Path) -> None:
    create_router(shared.settings, "router-told")
    put_into_force(shared.settings, 0.5, "router-told")
    seen: list[PolicyDocument] = []
    arrived = threading.Event()

    def on_change(changed: PolicyDocument) -> None:
        seen.append(changed)
        arrived.set()
        raise RuntimeError("a consumer's mistake")

    cache = tmp_path / "cache" / "policy.json"
    # The poll is far away, so what arrives came by an event.
    follower = PolicyFollower(
        shared.url, token_for(shared.settings, "read"), "router-told", cache, poll_interval_s=3600, on_change=on_change
    )
    with follower:
        assert follower.wait(20) is not None
        until(lambda: follower.connected)
        for first, version in ((0.4, "1.0.1"), (0.3, "1.0.2")):
            arrived.clear()
            activation = put_into_force(shared.settings, first, "router-told")
            assert arrived.wait(20)
            assert follower.current is not None and follower.current.version == version
            assert follower.current.params["modelWeights"]["small"] == first
            assert follower.current.activated_at == activation.activated_at
            assert follower.current.received_at >= activation.activated_at
    assert [each.version for each in seen] == ["1.0.0", "1.0.1", "1.0.2"]
    assert json.loads(cache.read_text())["version"] == "1.0.2"
    assert [path.name for path in cache.parent.iterdir()] == ["policy.json"]


def test_the_last_good_version_outlives_service_and_process(
    service: Service, settings: Settings, tmp_path: Path
) -> None:
    create_router(settings)
    put_into_force(settings, 0.5)
    token = token_for(settings, "read")
    with PolicyFollower(service.url, token, "router-x", tmp_path, poll_interval_s=0.2) as follower:
        first = follower.wait(20)
        assert first is not None
        service.kill()
        until(lambda: follower.error is not None and not follower.connected)
        assert follower.current is first
        with PolicyFollower(service.url, token, "router-x", tmp_path) as restarted:
            assert restarted.current == first
        put_into_force(settings, 0.4)
        service.start()
        until(lambda: follower.current is not None and follower.current.version == "1.0.1")
        until(lambda: follower.error is None)


def test_the_poll_is_the_net_beneath_the_events(peer: Peer) -> None:
    versions = ["1.0.0"]
    peer.answer = lambda path, body: (
        (404, b"") if path.endswith("/events") else (200, document(versions[-1], after_s=len(versions)))
    )
    with PolicyFollower(peer.url, "t", "router-x", poll_interval_s=0.05) as follower:
        until(lambda: follower.current is not None)
        versions.append("1.0.1")
        until(lambda: follower.current is not None and follower.current.version == "1.0.1")


GARBAGE = {
    "html": b"<html></html>",
    "list": b"[]",
    "another policy": document(policy_id="other"),
    "edited params": document(params={"weight": 0.9}),
    "no params": document(params=None),
    "no time": document(activated_at=None),
    "naive time": document(activated_at="2026-01-01T00:00:00"),
    "no version": document(version=None),  # type: ignore[arg-type]
    "digest of another kind": document(digest="md5:00"),
}


def test_garbage_changes_nothing(peer: Peer, tmp_path: Path) -> None:
    answers = [document()]
    peer.answer = lambda path, body: (
        (200, b"event: policy\ndata: " + answers[0] + b"\n\n") if path.endswith("/events") else (200, answers[0])
    )
    seen: list[PolicyDocument] = []
    cache = tmp_path / "policy.json"
    with PolicyFollower(peer.url, "t", "router-x", cache, poll_interval_s=0.05, on_change=seen.append) as follower:
        good = follower.wait(20)
        kept = cache.read_bytes()
        for name, body in GARBAGE.items():
            answers[0] = body
            asked = len(peer.requests)
            until(lambda asked=asked: len(peer.requests) >= asked + 4)
            assert follower.current is good, name
            assert follower.error is not None, name
        answers[0] = document("1.0.1", after_s=1)
        until(lambda: follower.current is not None and follower.current.version == "1.0.1")
    assert [each.version for each in seen] == ["1.0.0", "1.0.1"]
    assert cache.read_bytes() != kept


@pytest.mark.parametrize("content", [b"", b"{", document(), document(params={"weight": 1}), b"\xff"])
def test_a_cache_that_cannot_be_trusted_is_ignored(tmp_path: Path, content: bytes) -> None:
    cache = tmp_path / "policy.json"
    cache.write_bytes(content)
    with PolicyFollower(f"http://127.0.0.1:{free_port()}", "t", "router-x", cache) as follower:
        assert follower.current is None
        assert follower.wait(0.05) is None


def test_an_overtaken_event_is_old_and_an_answer_asked_for_later_is_the_truth(peer: Peer) -> None:
    follower = PolicyFollower(peer.url, "t", "router-x")
    assert follower._receive(document("1.0.1", after_s=10).decode(), asked_at=None)
    before = time.monotonic() - 60
    assert not follower._receive(document("1.0.0").decode(), asked_at=None)
    assert not follower._receive(document("1.0.0").decode(), asked_at=before)
    assert follower.current is not None and follower.current.version == "1.0.1"
    # The service's database was restored: an earlier activation is in force again.
    assert follower._receive(document("1.0.0").decode(), asked_at=time.monotonic() + 1)
    assert follower.current.version == "1.0.0"
    follower.close()


def test_a_refused_token_ends_the_following_and_keeps_the_version(shared: Service, tmp_path: Path) -> None:
    create_router(shared.settings, "router-denied")
    put_into_force(shared.settings, 0.5, "router-denied")
    token = token_for(shared.settings, "read", name="ended")
    with PolicyFollower(shared.url, token, "router-denied", poll_interval_s=0.2) as follower:
        assert follower.wait(20) is not None
        with database.transaction(shared.settings) as connection:
            tokens.revoke(connection, "ended")
        until(lambda: follower.error is not None and "was revoked at" in follower.error)
        assert follower.current is not None
    with PolicyFollower(shared.url, token_for(shared.settings, "ingest"), "router-denied") as follower:
        until(lambda: follower.error is not None and "needs scope read" in follower.error)
        assert follower.current is None


def test_close_does_not_wait_for_the_stream(shared: Service) -> None:
    create_router(shared.settings, "router-closed")
    put_into_force(shared.settings, 0.5, "router-closed")
    follower = PolicyFollower(shared.url, token_for(shared.settings, "read"), "router-closed").start()
    until(lambda: follower.connected and follower.current is not None)
    began = time.monotonic()
    follower.close()
    assert time.monotonic() - began < 4
    assert all(not thread.is_alive() for thread in follower._threads)
