"""From parameters and evidence to a stored draft, whoever found them: when one may be made, and the same one again.

What a proposal must show is `requirements`; what becomes of a draft is `policies`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from cogorch_dagster.causal.insights.parameters import causal_evidence
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import autonomy, decisions, drafts, flags, store
from cogorch_dagster.policies.store import PolicyVersion
from cogorch_dagster.settings import Settings


@dataclass(frozen=True)
class Proposal:
    """A stored draft. `created` is false when the same inputs had already given it; `decision` is one by rule."""

    version: PolicyVersion
    created: bool
    decision: decisions.Decision | None

    @property
    def evidence(self) -> dict[str, Any]:
        return self.version.evidence or {}


@dataclass(frozen=True)
class Refusal:
    """Why there is no proposal; `evidence` holds what was found, as far as it came."""

    reason: str
    message: str
    evidence: dict[str, Any]


def improvable(settings: Settings, policy_id: str, kinds: Collection[str]) -> PolicyVersion:
    """The active version of a policy, if a draft that improves on it may be made now.

    Raises:
        InvalidInput: the policy is of another kind.
        Refused: `learning_disabled`, `unknown_policy`, `no_active_policy`, `decision_waiting`.
    """
    with transaction(settings) as connection:
        flags.require_learning(connection, f"a proposal for {policy_id}")
        policy = store.policy(connection, policy_id)
        active = store.active(connection, policy_id)
        waiting = decisions.waiting(connection, policy_id)
    if policy.kind not in kinds:
        raise InvalidInput(f"{policy_id} is of kind {policy.kind}; proposals are for kind {' and '.join(kinds)}")
    if active is None:
        raise Refused(
            "no_active_policy",
            f"{policy_id} has no active version to improve on; propose one by hand and activate it first",
        )
    if waiting:
        raise Refused(
            "decision_waiting",
            f"{waiting[0].ref} has been decided on ({waiting[0].action}) and waits for its activation; "
            "activate or reject it, then propose on what it brings",
        )
    return active


def same_draft(settings: Settings, active: PolicyVersion, inputs: str) -> Proposal | None:
    """The draft whose evidence names the same inputs; raises Refused(`rejected_before`) when a person rejected it."""
    with transaction(settings) as connection:
        earlier = [
            version
            for version in store.versions(connection, active.policy_id)
            if version.parent == active.version and (version.evidence or {}).get("inputs") == inputs
        ]
    for version in reversed(earlier):
        if version.status == "draft":
            return Proposal(version, False, None)
        if version.status == "rejected":
            raise Refused(
                "rejected_before",
                f"the same inputs have given {version.ref}, which was rejected; "
                "wait for new decisions or change a limit",
            )
    return None


def stored(
    settings: Settings, active: PolicyVersion, params: dict[str, Any], evidence: dict[str, Any], actor: str
) -> Proposal:
    """Store a draft and apply its policy's mode; raises what `policies.drafts.propose_version` refuses.

    Where the component has a graph of causes, the evidence has under `causal` what that says of changed parameters.
    """
    causal = causal_evidence(settings, active.component, active.params, params, evidence)
    evidence = evidence if causal is None else {**evidence, "causal": causal}
    with transaction(settings) as connection:
        version = drafts.propose_version(
            connection, active.policy_id, params, evidence, parent=active.version, actor=actor
        )
        decision = autonomy.apply_mode(connection, version.policy_id, version.version)
        return Proposal(store.version(connection, version.policy_id, version.version), True, decision)
