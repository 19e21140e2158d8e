"""Creating a policy, and who may approve its versions and how far they may go: each change is audited.

Functions take the connection of the caller's transaction and never commit.
"""

from typing import get_args

import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.tables import policies
from cogorch_dagster.policies import audit, kinds, store
from cogorch_dagster.policies.document import check_policy_id, check_text
from cogorch_dagster.policies.parameter import Level, check_level
from cogorch_dagster.policies.store import Mode, Policy

MODES: tuple[Mode, ...] = get_args(Mode)


def create_policy(
    connection: sa.Connection,
    policy_id: str,
    kind: str,
    component: str | None = None,
    *,
    mode: Mode = "manual",
    threshold: float = 0.03,
    strictness: Level = "standard",
    actor: str,
) -> Policy:
    """Create a policy without versions.

    Raises:
        InvalidInput: the id, kind, mode, threshold or strictness is not possible.
        Refused: `policy_exists`.
    """
    check_policy_id(policy_id)
    kinds.model_of(kind)
    _check_mode(mode, threshold)
    check_level(strictness)
    actor = check_text("actor", actor)
    audit.hold(connection)
    there = sa.select(policies.c.policy_id).where(policies.c.policy_id == policy_id)
    if connection.execute(there).one_or_none() is not None:
        raise Refused("policy_exists", f"policy {policy_id} exists already; propose a version of it instead")
    values = {
        "kind": kind,
        "component": component,
        "mode": mode,
        "threshold": threshold,
        "strictness": strictness,
    }
    connection.execute(sa.insert(policies).values(policy_id=policy_id, **values))
    audit.append(connection, actor, "policy.created", policy_id, values)
    return store.policy(connection, policy_id)


def set_mode(
    connection: sa.Connection,
    policy_id: str,
    mode: Mode,
    *,
    threshold: float | None = None,
    actor: str,
    reason: str,
) -> Policy:
    """Change who may approve the policy's versions; recorded with the reason.

    Args:
        threshold: lower bound of the improvement for `autonomous_threshold`, 0 to 1; None keeps the present one.

    Raises:
        InvalidInput: no such mode, a threshold out of bounds, or no reason.
        Refused: `unknown_policy`.
    """
    actor, reason = check_text("actor", actor), check_text("reason", reason)
    before = store.lock_policy(connection, policy_id)
    new_threshold = before.threshold if threshold is None else threshold
    _check_mode(mode, new_threshold)
    if (mode, new_threshold) == (before.mode, before.threshold):
        return before
    connection.execute(
        sa.update(policies).where(policies.c.policy_id == policy_id).values(mode=mode, threshold=new_threshold)
    )
    payload = {
        "from": {"mode": before.mode, "threshold": before.threshold},
        "to": {"mode": mode, "threshold": new_threshold},
        "reason": reason,
    }
    audit.append(connection, actor, "policy.mode_set", policy_id, payload)
    return store.policy(connection, policy_id)


def set_strictness(connection: sa.Connection, policy_id: str, level: Level, *, actor: str, reason: str) -> Policy:
    """Change how far the policy's versions may go from now on; recorded with the reason.

    What is in force stays, also where the new level would not allow it; the next version then has to come back.
    Approvals that wait for their activation are held to the new level.

    Raises:
        InvalidInput: no such level, or no reason.
        Refused: `unknown_policy`.
    """
    actor, reason = check_text("actor", actor), check_text("reason", reason)
    check_level(level)
    before = store.lock_policy(connection, policy_id)
    if level == before.strictness:
        return before
    connection.execute(sa.update(policies).where(policies.c.policy_id == policy_id).values(strictness=level))
    payload = {"from": before.strictness, "to": level, "reason": reason}
    audit.append(connection, actor, "policy.strictness_set", policy_id, payload)
    return store.policy(connection, policy_id)


def _check_mode(mode: str, threshold: float) -> None:
    if mode not in MODES:
        raise InvalidInput(f"mode {mode!r} is none of {', '.join(MODES)}")
    if not 0 <= threshold <= 1:
        raise InvalidInput(f"threshold must be 0 to 1, got {threshold}")
