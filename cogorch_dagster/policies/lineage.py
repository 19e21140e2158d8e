"""The chain from a version to its decisions, its evidence, the reward configuration, the hours and the sources."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from cogorch_dagster.errors import Refused
from cogorch_dagster.policies import audit, decisions, store
from cogorch_dagster.policies.audit import AuditRecord
from cogorch_dagster.policies.decisions import Decision
from cogorch_dagster.policies.document import digest
from cogorch_dagster.policies.store import PolicyVersion


@dataclass(frozen=True)
class Lineage:
    """Everything that led to a version, each link checked against what was recorded when it was made.

    `problems` names every link that is broken: edited parameters or evidence, a missing record, a missing decision.
    An empty `hours` with an empty `sources` belongs to a version that a person or the seed proposed without evidence.
    """

    version: PolicyVersion
    ancestors: tuple[PolicyVersion, ...]
    decisions: tuple[Decision, ...]
    evidence: dict[str, Any] | None
    reward: PolicyVersion | None
    hours: tuple[datetime, ...]
    sources: dict[str, int]
    records: tuple[AuditRecord, ...]
    problems: tuple[str, ...]


def lineage(connection: sa.Connection, policy_id: str, version: str) -> Lineage:
    """Collect and check the lineage of one version.

    `ancestors` begins with the parent, `decisions` and `records` are oldest first, `hours` are UTC and ascending.

    Raises:
        Refused: `unknown_policy`, `unknown_version`.
    """
    of = store.version(connection, policy_id, version)
    made = tuple(decisions.decisions_of(connection, policy_id, version))
    newest_first = audit.records(connection, subject=of.ref, limit=100_000)
    records = tuple(record for record in reversed(newest_first) if record.subject == of.ref)
    evidence = of.evidence or {}
    problems: list[str] = []
    reward = _reward(connection, evidence, problems)
    hours = _hours(evidence, problems)
    problems.extend(_document_problems(of, records))
    problems.extend(_decision_problems(of, made, records))
    return Lineage(
        version=of,
        ancestors=_ancestors(connection, of),
        decisions=made,
        evidence=of.evidence,
        reward=reward,
        hours=hours,
        sources=_sources(evidence),
        records=records,
        problems=tuple(problems),
    )


def _ancestors(connection: sa.Connection, of: PolicyVersion) -> tuple[PolicyVersion, ...]:
    by_number = {each.version: each for each in store.versions(connection, of.policy_id)}
    found: list[PolicyVersion] = []
    # A parent is always an older version, so the chain ends; the bound holds for edited rows as well.
    while of.parent in by_number and len(found) < len(by_number):
        of = by_number[of.parent]
        found.append(of)
    return tuple(found)


def _reward(connection: sa.Connection, evidence: dict[str, Any], problems: list[str]) -> PolicyVersion | None:
    named = evidence.get("reward")
    if not isinstance(named, dict):
        return None
    try:
        return store.version(connection, str(named.get("policy_id")), str(named.get("version")))
    except Refused as error:
        problems.append(f"the evidence names a reward configuration that does not exist: {error}")
        return None


def _hours(evidence: dict[str, Any], problems: list[str]) -> tuple[datetime, ...]:
    hours = []
    for text in evidence.get("hours") or ():
        try:
            hour = datetime.fromisoformat(str(text))
        except ValueError:
            problems.append(f"the evidence names {text!r}, which is not an hour")
            continue
        hours.append((hour.replace(tzinfo=UTC) if hour.tzinfo is None else hour).astimezone(UTC))
    return tuple(sorted(hours))


def _sources(evidence: dict[str, Any]) -> dict[str, int]:
    named = evidence.get("sources")
    rows = named.items() if isinstance(named, dict) else ()
    return {source: int(count) for source, count in sorted(rows) if isinstance(count, int | float)}


def _document_problems(of: PolicyVersion, records: tuple[AuditRecord, ...]) -> list[str]:
    problems = []
    if not of.digest_matches:
        problems.append("the stored parameters do not match their digest: the row was edited")
    proposed = next((each.payload for each in records if each.event == "version.proposed"), None)
    if proposed is None:
        return [*problems, "the audit log has no record of the proposal"]
    if proposed.get("digest") != of.digest:
        problems.append("the digest is not the one that was recorded when the version was proposed")
    if proposed.get("evidence_digest") != (None if of.evidence is None else digest(of.evidence)):
        problems.append("the evidence is not what was recorded when the version was proposed")
    return problems


def _decision_problems(of: PolicyVersion, made: tuple[Decision, ...], records: tuple[AuditRecord, ...]) -> list[str]:
    problems = []
    claimed = [each for each in made if each.claimed_at is not None and each.action not in ("reject", "abort")]
    if of.status == "active" and not any(each.digest == of.digest for each in claimed):
        problems.append("the version is active without a used decision on its digest")
    used = ("version.activated", "canary.began")
    activations = {each.payload.get("decision_id") for each in records if each.event in used}
    problems.extend(
        f"decision {each.decision_id} was used without a record of the activation"
        for each in claimed
        if str(each.decision_id) not in activations
    )
    return problems
