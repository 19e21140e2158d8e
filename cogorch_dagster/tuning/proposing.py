"""A confirmed winner as a proposal: a draft of the agent's policy, with the measured difference as its evidence.

Evidence of method `simulated` is never approved by a rule, because a simulation stands for traffic that was not there.
Hyperparameters act on training, and training is done in the simulated fleet whatever they are: what was measured on
fresh seeds is the very thing that they change. So its method is `trained`, and the policy's mode decides on it.
"""

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from cogorch_dagster.errors import Refused
from cogorch_dagster.policies import autonomy, drafts, store
from cogorch_dagster.policies.decisions import Decision
from cogorch_dagster.policies.hyperparameters import policy_of
from cogorch_dagster.policies.store import PolicyVersion
from cogorch_dagster.tuning.confirmation import Confirmation
from cogorch_dagster.tuning.studies import Planned, Study

METHOD = "trained"


def propose(
    connection: sa.Connection, study: Study[Planned], confirmation: Confirmation, *, actor: str
) -> tuple[PolicyVersion, Decision | None]:
    """Propose the confirmed winner, and let the policy's mode decide; the decision is None where a person has to.

    Raises:
        Refused: `not_better`: the difference on fresh seeds is not above 0. `stale_parent`: another version is in force
            than when the study began. Else what `drafts.propose_version` and `autonomy.apply_mode` refuse: bounds,
            largest steps, guards, `no_change`, `learning_disabled`.
    """
    found = confirmation.found
    if found.verdict != "better":
        raise Refused(
            "not_better",
            f"trial {confirmation.trial} of study {study.name} is not proposed: on {len(confirmation.seeds)} fresh "
            f"seeds its return differs by {found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}], "
            "which does not lie above 0",
        )
    policy_id = policy_of(study.plan.agent)
    store.lock_policy(connection, policy_id)
    store.require_parent_active(
        f"a proposal of study {study.name}", confirmation.version, store.active(connection, policy_id)
    )
    draft = drafts.propose_version(
        connection, policy_id, confirmation.params, evidence(study, confirmation), confirmation.version, actor=actor
    )
    decision = autonomy.apply_mode(connection, policy_id, draft.version)
    return store.version(connection, policy_id, draft.version), decision


def evidence(study: Study[Planned], confirmation: Confirmation) -> dict[str, Any]:
    """What the proposal rests on; returns are normalised, so .03 is three percentage points."""
    plan, found = study.plan, confirmation.found
    return {
        "method": METHOD,
        "estimate": found.mean,
        "ci95": [found.low, found.high],
        "baseline": None if confirmation.version is None else f"{policy_of(plan.agent)}@{confirmation.version}",
        "returns": {"candidate": found.candidate, "baseline": found.baseline},
        "differences": list(found.differences),
        "seeds": list(confirmation.seeds),
        "study": study.name,
        "trial": confirmation.trial,
        "budget": asdict(plan.budget),
        "calibration": plan.parameters.digest,
        "code": plan.code,
    }
