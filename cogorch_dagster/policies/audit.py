"""The append-only audit log: each record holds the hash of the one before, and the head names the last.

The chain shows a changed, removed, inserted or reordered record to whoever verifies it. Someone who may disable
triggers could rewrite the whole chain together with its head; against that, note the head that `verify` reports
somewhere else and pass it as `anchor` later.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.platform import database, pipeline
from cogorch_dagster.platform.pipeline import Step
from cogorch_dagster.platform.tables import audit_head, audit_log, policies
from cogorch_dagster.policies.document import as_document, canonical_json, check_text

GENESIS = "0" * 64
_ANCHOR = re.compile(r"(\d{1,18}):([0-9a-f]{64})")

# Made once: the log grows within the short time for which everybody waits for its lock.
HEAD = Step(
    sa.select(
        sa.func.clock_timestamp().label("at"),
        sa.select(audit_head.c.seq).scalar_subquery().label("seq"),
        sa.select(audit_head.c.hash).scalar_subquery().label("hash"),
    )
)
"""Reads where the chain ends now, under the lock of `hold`: the row is what `appended` takes."""
HOLD = database.locking("audit")
"""`hold` as a step of a pipeline."""
_APPEND = sa.insert(audit_log).values(
    {
        **{column.name: sa.bindparam(f"new_{column.name}") for column in audit_log.c},
        "payload": sa.cast(sa.bindparam("new_payload", type_=sa.Text), JSONB),
    }
)
_SET_HEAD = insert(audit_head).values(seq=sa.bindparam("new_seq"), hash=sa.bindparam("new_hash"))
_SET_HEAD = _SET_HEAD.on_conflict_do_update(
    index_elements=["singleton"], set_={"seq": _SET_HEAD.excluded.seq, "hash": _SET_HEAD.excluded.hash}
)


@dataclass(frozen=True)
class AuditRecord:
    """One line of the log; `at` is UTC, `hash` is the SHA-256 of everything else in the record."""

    seq: int
    at: datetime
    actor: str
    event: str
    subject: str
    payload: dict[str, Any]
    previous_hash: str
    hash: str


@dataclass(frozen=True)
class AuditReport:
    """What verification found: `first_bad` is the first sequence number that is wrong or missing.

    `head` is `seq:hash` of the last record, for keeping elsewhere; empty for an empty log.
    """

    ok: bool
    records: int
    first_bad: int | None
    problem: str | None
    head: str


def hold(connection: sa.Connection) -> None:
    """Take the one lock under which the log grows, until the transaction ends.

    Every step of the life cycle takes it before any row lock, so that steps composed into one transaction cannot
    deadlock each other. Hold it briefly: no computation and no network between this and the commit.
    """
    database.lock(connection, "audit")


def append(
    connection: sa.Connection, actor: str, event: str, subject: str, payload: Mapping[str, Any] | None = None
) -> AuditRecord:
    """Append one record to the chain within the caller's transaction.

    Args:
        event: what happened, such as `version.activated`.
        subject: what it happened to: `router-core@1.0.1`, `flag:learning.enabled`, `token:router`.
        payload: JSON; never a secret.

    Raises:
        InvalidInput: an empty text, or a payload that JSON cannot hold.
    """
    return append_all(connection, actor, [(event, subject, payload or {})])[0]


def append_all(
    connection: sa.Connection, actor: str, entries: Sequence[tuple[str, str, Mapping[str, Any]]]
) -> list[AuditRecord]:
    """Append several records, each with event, subject and payload, in their order and at one time; see `append`."""
    # Statements of their own: what the second one sees must be younger than the lock.
    (head,) = pipeline.run(connection, [HOLD, HEAD])[1]
    made, steps = appended(head, actor, entries)
    pipeline.run(connection, steps)
    return made


def appended(
    head: Mapping[str, Any], actor: str, entries: Sequence[tuple[str, str, Mapping[str, Any]]]
) -> tuple[list[AuditRecord], list[Step]]:
    """The records that follow the head of the chain, and the steps that write them; see `append_all`.

    Args:
        head: the row of `HEAD`, read under the lock; nothing was appended since. Otherwise the steps fail.
    """
    actor, at = check_text("actor", actor), head["at"].astimezone(UTC)
    seq, previous_hash = head["seq"] or 0, head["hash"] or GENESIS
    made, steps = [], []
    for event, subject, payload in entries:
        seq += 1
        fields = (seq, at, actor, check_text("event", event), check_text("subject", subject), as_document(payload))
        record = AuditRecord(*fields, previous_hash, _hash(*fields, previous_hash))
        made.append(record)
        row = {**vars(record), "payload": canonical_json(record.payload)}
        steps.append(Step(_APPEND, {f"new_{name}": value for name, value in row.items()}))
        previous_hash = record.hash
    steps.append(Step(_SET_HEAD, {"new_seq": seq, "new_hash": previous_hash}))
    return made, steps


def records(
    connection: sa.Connection,
    *,
    subject: str | None = None,
    event: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[AuditRecord]:
    """The newest records first.

    Args:
        subject: only of this subject; `router-core` also finds its versions, `router-core@...`.
        event: only of this event.
        before: only records with a smaller sequence number, for paging.
        limit: 1 to 100,000.
    """
    if not 1 <= limit <= 100_000:
        raise InvalidInput(f"limit must be 1 to 100000, got {limit}")
    query = sa.select(audit_log).order_by(audit_log.c.seq.desc()).limit(limit)
    if subject is not None:
        versions = audit_log.c.subject.startswith(f"{subject}@", autoescape=True)
        query = query.where(sa.or_(audit_log.c.subject == subject, versions))
    if event is not None:
        query = query.where(audit_log.c.event == event)
    if before is not None:
        query = query.where(audit_log.c.seq < before)
    return [_record(row) for row in connection.execute(query)]


def verify(connection: sa.Connection, anchor: str | None = None) -> AuditReport:
    """Walk the whole chain and say where it first breaks.

    Takes no lock and reads in pages; records appended meanwhile are left for the next time.

    Args:
        anchor: a `head` noted after an earlier verification; the chain must still hold that record.

    Raises:
        InvalidInput: the anchor is not of the form `seq:hash`.
    """
    anchor_seq, anchor_hash = _parse_anchor(anchor)
    # One statement, hence one snapshot: the head and the last record can only differ if someone changed them.
    ends = connection.execute(
        sa.select(
            sa.select(audit_head.c.seq).scalar_subquery().label("head_seq"),
            sa.select(audit_head.c.hash).scalar_subquery().label("head_hash"),
            sa.select(sa.func.max(audit_log.c.seq)).scalar_subquery().label("last_seq"),
            sa.select(sa.func.count()).select_from(policies).scalar_subquery().label("policies"),
        )
    ).one()
    last_seq = ends.last_seq or 0
    query = (
        sa.select(audit_log)
        .where(audit_log.c.seq <= last_seq)
        .order_by(audit_log.c.seq)
        .execution_options(stream_results=True, yield_per=2000)
    )
    count, previous_hash, head = 0, GENESIS, ""
    with connection.execute(query) as rows:
        for row in rows:
            record = _record(row)
            problem = _problem(record, count + 1, previous_hash)
            if problem is None and record.seq == anchor_seq and record.hash != anchor_hash:
                problem = f"record {record.seq} is not the one that the anchor names"
            if problem is not None:
                return AuditReport(False, count, count + 1, problem, head)
            count, previous_hash, head = record.seq, record.hash, f"{record.seq}:{record.hash}"
    end_problem = _end_problem(count, previous_hash, ends)
    if end_problem is None and anchor_seq > count:
        end_problem = f"the anchor names record {anchor_seq}, the log ends at {count}"
    if end_problem is not None:
        return AuditReport(False, count, count + 1, end_problem, head)
    return AuditReport(True, count, None, None, head)


def _problem(record: AuditRecord, expected_seq: int, previous_hash: str) -> str | None:
    if record.seq != expected_seq:
        return f"record {expected_seq} is missing: the next one is {record.seq}"
    if record.previous_hash != previous_hash:
        return f"record {record.seq} does not follow the one before it: removed, inserted or reordered"
    try:
        expected = _hash(*(getattr(record, name) for name in _HASHED))
    except InvalidInput as error:
        return f"record {record.seq} holds what no record can: {error}"
    return None if record.hash == expected else f"record {record.seq} was changed: its hash does not match its content"


def _end_problem(count: int, last_hash: str, ends: sa.Row[Any]) -> str | None:
    if ends.head_seq is None:
        if count:
            return "the head of the chain is missing"
        return "the log is empty although there are policies" if ends.policies else None
    if ends.head_seq > count:
        return f"the head names record {ends.head_seq}, the log ends at {count}: records were removed at the end"
    if ends.head_seq < count:
        return f"the head names record {ends.head_seq}, the log goes on to {count}: the head was set back"
    return None if ends.head_hash == last_hash else f"the head does not hold the hash of record {count}"


_HASHED = ("seq", "at", "actor", "event", "subject", "payload", "previous_hash")


def _hash(*values: object) -> str:
    fields = dict(zip(_HASHED, values, strict=True))
    at = fields["at"]
    if not isinstance(at, datetime):
        raise InvalidInput(f"at is {at!r}, not a time")
    fields["at"] = at.astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(canonical_json(fields).encode()).hexdigest()


def _record(row: sa.Row[Any]) -> AuditRecord:
    fields = dict(row._mapping)
    return AuditRecord(**{**fields, "at": fields["at"].astimezone(UTC)})


def _parse_anchor(anchor: str | None) -> tuple[int, str]:
    if anchor is None:
        return 0, ""
    match = _ANCHOR.fullmatch(anchor.strip())
    if match is None:
        raise InvalidInput(f"anchor {anchor!r} is not of the form SEQ:HASH that `cogorch audit verify` prints as head")
    return int(match[1]), match[2]
