"""From the lake to findings: what went wrong, when, by how much and for whom; and the gate that it closes."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.evaluation.drift import watch
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import activation, audit, decisions, drafts, findings
from cogorch_dagster.settings import Settings
from tests.evaluation.drift.fleet import COMPONENT, Columns, serve
from tests.evaluation.traffic import POLICY, ROUTER, install

START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 8
END = START + timedelta(days=DAYS)
LAST_HOURS = DAYS * 24


def acme_fails(hours: float) -> "object":
    """For the last hours two in three requests of acme fail."""

    def trouble(columns: Columns) -> None:
        hit = (columns["at"] >= LAST_HOURS - hours) & (columns["tenant"] == "acme")
        columns["failed"] |= hit & (columns["duration_ms"] < 500)
        columns["error_type"][hit] = "quota"

    return trouble


def approved(settings: Settings) -> str:
    install(settings)
    with transaction(settings) as connection:
        version = drafts.propose_version(connection, POLICY, {**ROUTER, "timeoutMs": 900}, actor="test")
        decisions.approve(connection, POLICY, version.version, "ada", "better", digest=version.digest)
    return version.ref


def test_an_incident_is_explained_blocks_activation_and_closes_by_itself(settings: Settings) -> None:
    ref = approved(settings)
    serve(settings, START, END, acme_fails(1.0))
    found = watch.look(settings, END)
    opened = {each.metric: each for each in found.opened}
    assert "failures" in opened and found.changed == () and found.too_young == ()
    incident = opened["failures"]
    assert abs(incident.began_at - (END - timedelta(hours=1))) <= timedelta(minutes=20)
    assert incident.before == pytest.approx(0.02, abs=0.02) and incident.after is not None and incident.after > 0.12
    assert incident.because.startswith("tenant acme")
    reward = opened.get("reward")
    assert reward is None or "quota" in reward.because or "acme" in reward.because
    message = rf"(?s){COMPONENT}.*cogorch incidents close"
    with pytest.raises(Refused, match=message) as refused, transaction(settings) as connection:
        activation.activate(connection, ref, "test")
    assert refused.value.reason == "incident_open"
    assert watch.look(settings, END).opened == (), "looking again finds the same"
    serve_on = acme_fails(0)
    serve(settings, END, END + timedelta(hours=2), serve_on)  # type: ignore[arg-type]
    later = watch.look(settings, END + timedelta(hours=2))
    assert {each.finding_id for each in later.closed} == {each.finding_id for each in found.opened}
    with transaction(settings) as connection:
        assert activation.activate(connection, ref, "test").version == ref.partition("@")[2]
        events = {record.event for record in audit.records(connection, subject=f"component:{COMPONENT}")}
    assert events == {"incident.opened", "incident.closed"}


def test_rolling_back_stays_possible_and_a_person_may_close(settings: Settings) -> None:
    ref = approved(settings)
    with transaction(settings) as connection:
        activation.activate(connection, ref, "test")
        (incident,) = findings.insert(connection, [_open(END)])
        back = decisions.rollback(connection, POLICY, "1.0.0", "ada", "it hurts")
        assert activation.activate(connection, back.decision_id, "test").version == "1.0.0"
        with pytest.raises(InvalidInput):
            findings.close(connection, "no-id", actor="ada", reason="over")
        closed = findings.close(connection, str(incident.finding_id), actor="ada", reason="provider is back")
        assert (closed.closed_by, closed.close_reason) == ("ada", "provider is back")
        assert findings.close(connection, incident.finding_id, actor="bob", reason="again") == closed
        assert findings.findings(connection, open_only=True) == []


def test_a_slower_arm_is_a_regime_change_with_its_size(settings: Settings) -> None:
    def trouble(columns: Columns) -> None:
        columns["duration_ms"][(columns["at"] >= LAST_HOURS - 30) & (columns["action"] == "large")] *= 1.5

    serve(settings, START, END, trouble)
    found = watch.look(settings, END)
    changed = {each.metric: each for each in found.changed}
    assert found.opened == () and set(changed) <= {"latency", "reward"}
    latency = changed["latency"]
    assert latency.kind == "level" and latency.size > 1
    assert abs(latency.began_at - (END - timedelta(hours=30))) <= timedelta(hours=3)
    assert latency.because.startswith("action large")
    assert latency.after is not None and latency.before is not None
    assert latency.after / latency.before == pytest.approx(1.5**0.4, rel=0.08)
    assert watch.look(settings, END + timedelta(minutes=30)).changed == ()


def test_a_changed_mix_is_found(settings: Settings) -> None:
    def trouble(columns: Columns) -> None:
        moved = (columns["at"] >= LAST_HOURS - 30) & (columns["tenant"] == "globex")
        moved &= np.arange(len(moved)) % 3 == 0
        columns["action"][moved] = "large"

    serve(settings, START, END, trouble)
    changed = {each.metric: each for each in watch.look(settings, END).changed}
    assert changed["mix:large"].size > 1 > -1 > changed["mix:small"].size
    assert changed["mix:large"].because.startswith("tenant globex")


def test_steady_traffic_is_quiet_and_young_traffic_is_not_judged(settings: Settings) -> None:
    serve(settings, START, START + timedelta(days=2), acme_fails(0))  # type: ignore[arg-type]
    young = watch.look(settings, START + timedelta(days=2))
    assert young.too_young == (COMPONENT,) and young.opened == young.changed == ()
    serve(settings, START + timedelta(days=2), END, acme_fails(-1000))  # type: ignore[arg-type]
    assert (quiet := watch.look(settings, END)).opened == quiet.changed == ()


def _open(at: datetime) -> dict[str, object]:
    return {
        "sort": "incident",
        "component": COMPONENT,
        "metric": "failures",
        "kind": "incident",
        "began_at": at,
        "known_at": at,
        "ended_at": None,
        "size": 7.0,
        "before": 0.02,
        "after": 0.4,
        "details": {"explanations": []},
    }
