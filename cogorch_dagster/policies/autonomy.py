"""The modes of a policy in which a rule, and not a person, approves what is proposed."""

from typing import Any

import sqlalchemy as sa

from cogorch_dagster.policies import flags, store
from cogorch_dagster.policies.decisions import Decision, approve, waiting

# Evidence of this `method` has been measured on no traffic: a person decides on it in every mode.
SIMULATED = "simulated"


def apply_mode(connection: sa.Connection, policy_id: str, version: str) -> Decision | None:
    """Let the policy's mode approve a draft, as actor `rule:<mode>`.

    `manual` never does; `autonomous_threshold` when the lower end of evidence `ci95` reaches the policy's threshold;
    `autonomous_all` always. A rule never overrides a decision that waits for its activation, and never approves what
    has been shown in simulation alone (evidence `method` is `simulated`), whatever intervals its evidence names.

    Returns:
        The decision, or None when a person has to decide.

    Raises:
        Refused: `learning_disabled`, or what `approve` refuses.
    """
    policy = store.lock_policy(connection, policy_id)
    target = store.version(connection, policy_id, version)
    if policy.mode == "manual" or target.status != "draft" or waiting(connection, policy_id):
        return None
    if (target.evidence or {}).get("method") == SIMULATED:
        return None
    if policy.mode == "autonomous_threshold":
        bound = _lower_bound(target.evidence)
        if bound is None or bound < policy.threshold:
            return None
        reason = f"lower bound of the improvement {bound:.4g} reaches the threshold {policy.threshold:.4g}"
    else:
        reason = "the policy's mode approves every proposal"
    flags.require_learning(connection, f"an approval of {target.ref} by rule")
    return approve(connection, policy_id, version, f"rule:{policy.mode}", reason, digest=target.digest)


def _lower_bound(evidence: dict[str, Any] | None) -> float | None:
    interval = (evidence or {}).get("ci95")
    if not isinstance(interval, list) or len(interval) != 2:
        return None
    low = interval[0]
    return float(low) if isinstance(low, int | float) and not isinstance(low, bool) else None
