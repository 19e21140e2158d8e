"""The audit chain: every way of tampering that leaves the head alone is found, at the record where it begins."""

from typing import Any

import pytest
import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, audit
from cogorch_dagster.settings import Settings


def write(settings: Settings, count: int) -> None:
    for number in range(1, count + 1):
        with transaction(settings) as connection:
            audit.append(connection, "ada", "test.event", f"thing:{number}", {"n": number, "x": 0.1, "big": 1e20})


def verify(settings: Settings, anchor: str | None = None) -> audit.AuditReport:
    with transaction(settings) as connection:
        return audit.verify(connection, anchor)


def test_an_untouched_log_verifies(settings: Settings) -> None:
    assert verify(settings) == audit.AuditReport(True, 0, None, None, "")
    write(settings, 5)
    report = verify(settings)
    assert (report.ok, report.records, report.first_bad) == (True, 5, None)
    assert report.head.startswith("5:")


TAMPERING = [
    ("UPDATE audit_log SET actor = 'eve' WHERE seq = 3", 3, "changed"),
    ("UPDATE audit_log SET payload = jsonb_set(payload, '{n}', '4') WHERE seq = 3", 3, "changed"),
    ("UPDATE audit_log SET at = at + interval '1 microsecond' WHERE seq = 5", 5, "changed"),
    ("UPDATE audit_log SET hash = repeat('a', 64) WHERE seq = 2", 2, "changed"),
    ("DELETE FROM audit_log WHERE seq = 1", 1, "missing"),
    ("DELETE FROM audit_log WHERE seq = 3", 3, "missing"),
    ("DELETE FROM audit_log WHERE seq = 5", 5, "removed at the end"),
    ("DELETE FROM audit_log WHERE seq >= 3", 3, "removed at the end"),
    ("DELETE FROM audit_log", 1, "removed at the end"),
    # Removed, and the numbers closed up.
    ("DELETE FROM audit_log WHERE seq = 3; UPDATE audit_log SET seq = seq - 1 WHERE seq > 3", 3, "does not follow"),
    # Records 3 and 4 exchanged, as whole records and with the links repaired.
    ("UPDATE audit_log SET seq = -seq WHERE seq IN (3, 4); UPDATE audit_log SET seq = 7 + seq WHERE seq < 0",
     3, "does not follow"),
    ("UPDATE audit_log a SET (subject, payload) = (SELECT subject, payload FROM audit_log b "
     "WHERE b.seq = 7 - a.seq) WHERE a.seq IN (3, 4)", 3, "changed"),
    ("UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit_log WHERE seq = 4)", 6, "set back"),
    ("UPDATE audit_head SET hash = repeat('a', 64)", 6, "does not hold the hash"),
    ("DELETE FROM audit_head", 6, "head of the chain is missing"),
    ("INSERT INTO audit_log SELECT 6, at, actor, event, subject, payload, hash, hash FROM audit_log WHERE seq = 5",
     6, "changed"),
]  # fmt: skip


def test_tampering_is_found(settings: Settings) -> None:
    write(settings, 5)
    for sql, first_bad, problem in TAMPERING:
        with transaction(settings) as superuser:
            superuser.execute(sa.text("SET LOCAL session_replication_role = replica"))
            for statement in sql.split("; "):
                superuser.execute(sa.text(statement))
            report = audit.verify(superuser)
            superuser.rollback()
        assert not report.ok, sql
        assert (report.first_bad, report.records) == (first_bad, first_bad - 1), sql
        assert report.problem is not None and problem in report.problem, sql
    assert verify(settings).ok


def test_a_rewritten_chain_is_found_by_an_anchor_kept_elsewhere(settings: Settings, unguarded: Any) -> None:
    write(settings, 4)
    anchor = verify(settings).head
    write(settings, 2)
    assert verify(settings, anchor).ok
    unguarded("TRUNCATE audit_log, audit_head")
    write(settings, 6)
    assert verify(settings).ok
    report = verify(settings, anchor)
    assert (report.ok, report.first_bad) == (False, 4)
    unguarded("TRUNCATE audit_log, audit_head")
    write(settings, 2)
    assert not verify(settings, anchor).ok


def test_an_emptied_log_is_found_by_the_policies_that_it_should_tell_of(settings: Settings, unguarded: Any) -> None:
    with transaction(settings) as connection:
        administration.create_policy(connection, "p", "reward", actor="ada")
    unguarded("TRUNCATE audit_log, audit_head")
    assert verify(settings).first_bad == 1


def test_triggers_refuse_changes(settings: Settings) -> None:
    write(settings, 2)
    for sql in (
        "UPDATE audit_log SET actor = 'eve'",
        "DELETE FROM audit_log WHERE seq = 2",
        "TRUNCATE audit_log",
    ):
        with pytest.raises(sa.exc.IntegrityError, match="refused"), transaction(settings) as connection:
            connection.execute(sa.text(sql))
    assert verify(settings).records == 2


def test_a_rolled_back_transaction_leaves_no_gap(settings: Settings) -> None:
    write(settings, 1)
    with pytest.raises(RuntimeError), transaction(settings) as connection:
        audit.append(connection, "ada", "test.event", "x")
        raise RuntimeError
    write(settings, 1)
    assert verify(settings).records == 2


def test_appends_meanwhile_do_not_disturb_verification(settings: Settings) -> None:
    write(settings, 3)
    with transaction(settings) as writer:
        audit.append(writer, "ada", "test.event", "unfinished")
        assert verify(settings).records == 3
    assert verify(settings).records == 4


def test_records_filters_and_pages(settings: Settings, router: str) -> None:
    with transaction(settings) as connection:
        everything = audit.records(connection)
        assert [each.event for each in reversed(everything)] == [
            "policy.created", "version.proposed", "version.approved", "version.activated",
        ]  # fmt: skip
        assert audit.records(connection, subject=router) == everything
        assert len(audit.records(connection, subject=f"{router}@1.0.0")) == 3
        assert audit.records(connection, subject="router") == []
        assert [each.event for each in audit.records(connection, event="policy.created")] == ["policy.created"]
        assert audit.records(connection, before=3, limit=1)[0].seq == 2


def test_bad_arguments_are_refused(connection: sa.Connection) -> None:
    with pytest.raises(InvalidInput, match="actor"):
        audit.append(connection, " ", "e", "s")
    with pytest.raises(InvalidInput, match="SEQ:HASH"):
        audit.verify(connection, "nonsense")
