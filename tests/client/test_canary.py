"""Following a canary: both versions at once, held by a lease, never from garbage and never from the cache."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cogorch_dagster.client import PolicyFollower
from cogorch_dagster.client.document import params_digest, parse_document
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, canary, decisions, drafts, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.service.documents import read_active
from cogorch_dagster.settings import Settings
from tests.service.processes import Service, create_router, put_into_force, router_params, token_for

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = {"weight": 0.5}, {"weight": 0.7}
PLAN = {
    "stages": [0.3, 0.6],
    "stageDurationMs": 3_600_000,
    "minSamples": 1000,
    "maxRewardDrop": 0.05,
    "maxErrorRateIncrease": 0.05,
}


def document(share: float | None = 0.3, revised_after_s: float = 0, **changes: Any) -> str:
    trial = None if share is None else {"version": "1.0.1", "digest": params_digest(NEW), "params": NEW, "share": share}
    fields = {
        "policy_id": "router-x",
        "kind": "router",
        "version": "1.0.0",
        "digest": params_digest(OLD),
        "params": OLD,
        "activated_at": MOMENT.isoformat(),
        "revised_at": (MOMENT + timedelta(seconds=revised_after_s)).isoformat(),
        "canary": trial,
    }
    return json.dumps({**fields, **changes})


@pytest.fixture
def follower(tmp_path: Path) -> PolicyFollower:
    """Follows nobody; documents are handed to it."""
    return PolicyFollower("http://127.0.0.1:9", "t", "router-x", tmp_path / "policy.json", seed=1)


def test_requests_are_split_and_units_keep_their_version(follower: PolicyFollower) -> None:
    assert follower.assignment() is None
    assert follower._receive(document(), asked_at=None)
    drawn = [follower.assignment() for _ in range(4000)]
    part = sum(each.is_canary for each in drawn if each) / 4000
    assert abs(part - 0.3) < 0.03
    for each in drawn[:50]:
        assert each is not None and each.tags == {"canary": "1.0.1", "canary_share": 0.3}
        assert (each.version, each.params) == (("1.0.1", NEW) if each.is_canary else ("1.0.0", OLD))
    for unit in range(50):
        kept = {each.version for _ in range(5) if (each := follower.assignment(f"session-{unit}"))}
        assert len(kept) == 1


def test_without_a_word_from_the_service_the_canary_ends_and_the_policy_stays(
    follower: PolicyFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert follower._receive(document(), asked_at=None)
    assert follower.canary is not None
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + 31)
    assert follower.canary is None and follower.current is not None
    alone = follower.assignment("session-1")
    assert alone is not None and (alone.version, alone.is_canary, alone.tags) == ("1.0.0", False, {})
    # The same document again, heard now, renews it.
    assert follower._receive(document(), asked_at=None)
    assert follower.canary is not None


def test_an_overtaken_answer_does_not_bring_a_canary_back(follower: PolicyFollower) -> None:
    assert follower._receive(document(), asked_at=None)
    asked_before = time.monotonic()
    assert follower._receive(document(None, revised_after_s=5), asked_at=None)
    assert not follower._receive(document(), asked_at=asked_before)
    assert follower.canary is None


def test_a_restart_begins_without_the_canary(follower: PolicyFollower, tmp_path: Path) -> None:
    assert follower._receive(document(), asked_at=None)
    later = PolicyFollower("http://127.0.0.1:9", "t", "router-x", tmp_path / "policy.json")
    later._load_cache()
    assert later.current is not None and (later.current.version, later.current.canary) == ("1.0.0", None)
    assert later._receive(document(), asked_at=None) and later.canary is not None


@pytest.mark.parametrize(
    "garbage",
    [
        {"version": "1.0.1"},
        "1.0.1",
        {"version": "1.0.1", "digest": params_digest(NEW), "params": NEW, "share": 1.0},
        {"version": "1.0.1", "digest": params_digest(NEW), "params": NEW, "share": None},
        {"version": "1.0.1", "digest": params_digest(OLD), "params": NEW, "share": 0.3},
    ],
)
def test_a_canary_that_is_garbage_is_a_document_that_is(garbage: Any) -> None:
    with pytest.raises(ValueError, match="canary"):
        parse_document(document(canary=garbage), "router-x", MOMENT)


def _ramp(settings: Settings, policy_id: str) -> None:
    with transaction(settings) as connection:
        if "pace" not in {each.policy_id for each in store.policies(connection)}:
            administration.create_policy(connection, "pace", "canary", actor="ada")
            drafts.propose_version(connection, "pace", {**PLAN, "appliesTo": policy_id}, actor="ada")
            decisions.approve(connection, "pace", "1.0.0", "ada", "good")
            activate(connection, "pace@1.0.0", "ada")
        draft = drafts.propose_version(connection, policy_id, router_params(0.4), actor="ada")
        decisions.approve(connection, policy_id, draft.version, "ada", "good")
        assert activate(connection, draft.ref, "ada").share == 0.3


def test_every_move_of_a_ramp_is_told_soon(service: Service, settings: Settings) -> None:
    create_router(settings)
    put_into_force(settings, 0.5)
    token = token_for(settings, "read")
    with PolicyFollower(service.url, token, "router-x", poll_interval_s=3600) as follower:
        assert follower.wait(20) is not None
        service.wait_until(lambda: follower.connected)

        def share() -> float | None:
            return follower.canary.share if follower.canary else None

        _ramp(settings, "router-x")
        service.wait_until(lambda: share() == 0.3)
        answer = service.get("/api/v1/policies/router-x/active", token).json()
        assert answer["version"] == "1.0.0" and answer["canary"]["version"] == "1.0.1"
        with transaction(settings) as connection:
            canary.advance(connection, canary.running(connection, "router-x"), "ada", "go on", {})
        service.wait_until(lambda: share() == 0.6)
        with transaction(settings) as connection:
            canary.abort(connection, canary.running(connection, "router-x"), "ada", "enough", {})
        service.wait_until(lambda: share() is None)
        assert follower.current is not None and follower.current.version == "1.0.0"


def test_a_canary_that_nobody_judges_is_not_served(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    create_router(settings)
    put_into_force(settings, 0.5)
    _ramp(settings, "router-x")
    served = read_active(settings, "router-x")
    assert served is not None and served.canary is not None
    monkeypatch.setattr("cogorch_dagster.policies.ramps.UNJUDGED", timedelta(0))
    dropped = read_active(settings, "router-x")
    assert dropped is not None and dropped.canary is None and dropped.etag != served.etag
