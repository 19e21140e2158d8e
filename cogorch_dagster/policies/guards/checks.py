"""The rules in force, held against a version that is to be stored, approved or activated.

Called within the caller's transaction under the lock that every step of the life cycle takes, so the rules are those
active at that moment: one that comes into force between an approval and its activation stops the activation.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import sqlalchemy as sa

from cogorch_dagster.errors import Refused
from cogorch_dagster.platform.tables import policies, policy_versions
from cogorch_dagster.policies.document import digest, version_key
from cogorch_dagster.policies.guards.answers import messages_of
from cogorch_dagster.policies.guards.engine import ENGINE, EngineFailure

KIND = "guard"
MAX_INPUT = 1_000_000
"""Characters of the input document; parameters are small, so a larger one is refused rather than evaluated."""

Step = Literal["propose", "approve", "activate", "rollback"]
STEPS: tuple[Step, ...] = get_args(Step)


class Versioned(Protocol):
    """What a rule is told of a version."""

    @property
    def policy_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def component(self) -> str | None: ...
    @property
    def version(self) -> str: ...
    @property
    def params(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Candidate:
    """A version that is not stored yet."""

    policy_id: str
    kind: str
    component: str | None
    version: str
    params: dict[str, Any]


@dataclass(frozen=True)
class Guard:
    """A rule in force."""

    policy_id: str
    version: str
    params: dict[str, Any]
    digest: str

    @property
    def ref(self) -> str:
        """`weight-cap@1.0.0`."""
        return f"{self.policy_id}@{self.version}"


@dataclass(frozen=True)
class Finding:
    """What one rule says of a version: its objections, or why it gave no answer; neither: it holds."""

    guard: str
    messages: tuple[str, ...] = ()
    failure: str | None = None

    @property
    def holds(self) -> bool:
        return not self.messages and self.failure is None


def require(
    connection: sa.Connection, step: Step, candidate: Versioned, active: Versioned | None, *, actor: str
) -> None:
    """Refuse a version that a rule in force objects to.

    Args:
        active: the version in force of the same policy; None when there is none.
        actor: who proposes, approves or activates.

    Raises:
        Refused: `guard_violated`, with each rule's reference and message; `guard_failed` when rules gave no answer.
    """
    wrong = [each for each in findings(connection, step, candidate, active, actor=actor) if not each.holds]
    if not wrong:
        return
    name = f"{candidate.policy_id}@{candidate.version}"
    violated = [f"{each.guard}: {'; '.join(each.messages)}" for each in wrong if each.messages]
    failed = [f"{each.guard} gave no answer: {each.failure}" for each in wrong if each.failure is not None]
    if violated:
        raise Refused(
            "guard_violated",
            f"to {step} {name} is refused by guard rules: {'. '.join([*violated, *failed])}. Propose parameters "
            f"that keep the rules, or a new version of the rule: `cogorch guard test {name}`",
        )
    raise Refused(
        "guard_failed",
        f"to {step} {name} is refused, because a rule that fails counts as broken: {'. '.join(failed)}. "
        "Correct the rule and propose it as a new version",
    )


def findings(
    connection: sa.Connection, step: Step, candidate: Versioned, active: Versioned | None, *, actor: str
) -> tuple[Finding, ...]:
    """What each rule that applies says of a version, by the rule's policy id."""
    applying = [guard for guard in in_force(connection) if _applies(connection, guard, candidate, active)]
    if not applying:
        return ()
    document = input_document(step, candidate, active, actor)
    return tuple(
        finding(guard.ref, guard.params, document)
        if digest(guard.params) == guard.digest
        else Finding(guard.ref, failure="its stored parameters are not those that were approved: the row was edited")
        for guard in applying
    )


def finding(name: str, params: Mapping[str, Any], document: Mapping[str, Any]) -> Finding:
    """What one rule, the parameters of kind `guard`, says of an input document."""
    text = json.dumps(document)
    if len(text) > MAX_INPUT:
        return Finding(name, failure=f"the version has {len(text)} characters, more than {MAX_INPUT}")
    try:
        return Finding(name, messages_of(ENGINE.deny(params["rego"], text), params["description"]))
    except EngineFailure as failure:
        return Finding(name, failure=str(failure))


def in_force(connection: sa.Connection) -> list[Guard]:
    """The active rules by policy id."""
    query = (
        sa.select(
            policy_versions.c.policy_id, policy_versions.c.version, policy_versions.c.params, policy_versions.c.digest
        )
        .join_from(policy_versions, policies)
        .where(policies.c.kind == KIND, policy_versions.c.status == "active")
    )
    found = [Guard(**row._mapping) for row in connection.execute(query)]
    return sorted(found, key=lambda guard: (guard.policy_id, version_key(guard.version)))


def input_document(step: Step, candidate: Versioned, active: Versioned | None, actor: str) -> dict[str, Any]:
    """What a rule sees as `input`; `soundness.input_fields` names the same keys. `active` is null at first."""
    return {
        "policy": {"id": candidate.policy_id, "kind": candidate.kind, "component": candidate.component},
        "active": None if active is None else {"version": active.version, "params": active.params},
        "candidate": {"version": candidate.version, "params": candidate.params},
        "step": step,
        "actor": actor,
    }


def _applies(connection: sa.Connection, guard: Guard, candidate: Versioned, active: Versioned | None) -> bool:
    scope = guard.params["appliesTo"]
    if candidate.kind == KIND and _guards_guards(connection, active):
        return False
    if scope is None:
        return candidate.kind != KIND
    if scope["policy"] is not None:
        return bool(scope["policy"] == candidate.policy_id)
    return bool(scope["kind"] == candidate.kind)


def _guards_guards(connection: sa.Connection, active: Versioned | None) -> bool:
    """Whether a rule in force is about guards; whoever decides may always replace it, so no two can lock each other."""
    scope: Mapping[str, Any] | None = None if active is None else active.params["appliesTo"]
    if scope is None:
        return False
    if scope["policy"] is None:
        return bool(scope["kind"] == KIND)
    named = sa.select(policies.c.kind).where(policies.c.policy_id == scope["policy"])
    return connection.execute(named).scalar_one_or_none() == KIND
