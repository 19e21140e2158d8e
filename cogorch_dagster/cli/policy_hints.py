"""What the commands of `cogorch policy` tell beyond the outcome: what is possible now, what else follows from it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cogorch_dagster.errors import InvalidInput

if TYPE_CHECKING:
    import sqlalchemy as sa

    from cogorch_dagster.policies.store import Policy, PolicyVersion


def possible_now(connection: "sa.Connection", policy: "Policy", message: str) -> list[str]:
    """For each hyperparameter that the problems of a parameter file name: the values that the next version may have."""
    from cogorch_dagster.policies import hyperparameters, ranges, store

    if policy.kind not in hyperparameters.PARAMETERS:
        return []
    active = store.active(connection, policy.policy_id)
    start = f", from {active.version}" if active else ""
    reach = ranges.allowed(policy.kind, active.params if active else None, policy.strictness)
    return [
        f"at level {policy.strictness}{start}, {name} may be {low:.9g} to {high:.9g}"
        for name, (low, high) in reach.items()
        if f": {name}: " in message
    ]


def require_learnable(policy: "Policy") -> None:
    """Raises InvalidInput for hyperparameters: what is learned of them comes from a study, not from decisions."""
    from cogorch_dagster.policies.hyperparameters import AGENT_KINDS

    for agent, kind in AGENT_KINDS.items():
        if kind == policy.kind:
            raise InvalidInput(
                f"{policy.policy_id} is of kind {kind}, which is not learned from observed decisions: search with "
                f"`cogorch tune run {agent} --propose`, or propose a version of your own with `--params FILE`"
            )


def new_architecture(before: "PolicyVersion | None", after: "PolicyVersion") -> str | None:
    """What follows where a version changes the architecture of an agent's network; None: it does not."""
    from cogorch_dagster.policies.hyperparameters import ARCHITECTURE, PARAMETERS

    if before is None or after.kind not in PARAMETERS:
        return None
    changed = [name for name in ARCHITECTURE if before.params.get(name) != after.params.get(name)]
    if not changed:
        return None
    return (
        f"{after.ref} changes {', '.join(changed)}: running agents refuse it as a whole; "
        "it takes effect with the next training"
    )


def why_expired(connection: "sa.Connection", version: "PolicyVersion") -> str | None:
    """Why a version expired, as the audit log says; None: it did not."""
    from cogorch_dagster.policies import audit

    if version.status != "expired":
        return None
    found = audit.records(connection, subject=version.ref, event="version.expired", limit=1)
    return str(found[0].payload["why"]) if found else None


def require_bounded(policy: "Policy") -> None:
    """Raises InvalidInput for a kind whose versions no level of strictness binds."""
    from cogorch_dagster.policies.hyperparameters import PARAMETERS

    if policy.kind not in PARAMETERS:
        raise InvalidInput(
            f"policies of kind {policy.kind} have no bounds that depend on it, so {policy.policy_id} needs no "
            f"strictness; it is for the kinds {', '.join(PARAMETERS)}"
        )


def outside(policy: "Policy", params: Mapping[str, Any]) -> list[str]:
    """What of the parameters in force the policy's level of strictness does not allow."""
    from cogorch_dagster.policies import ranges

    if ranges.invalid(policy.kind, params):
        return []
    return ranges.out_of_bounds(policy.kind, params, policy.strictness, params)


def require_version(connection: "sa.Connection", target: str) -> None:
    """Raises InvalidInput for a policy without a version, naming the version whose decision waits, or the newest."""
    from cogorch_dagster.policies import decisions, store

    policy_id = target.strip()
    if "@" in policy_id:
        return
    store.policy(connection, policy_id)
    waiting = decisions.waiting(connection, policy_id)
    if waiting:
        raise InvalidInput(f"{policy_id!r} names no version; {waiting[0].ref} waits for its activation")
    newest = [each.ref for each in store.versions(connection, policy_id)][-1:]
    such = f", such as {newest[0]}" if newest else ""
    raise InvalidInput(
        f"{policy_id!r} names no version; write POLICY@VERSION{such}. No decision on it waits for its activation"
    )
