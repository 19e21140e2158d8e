"""What must hold of the candidates and the statistics: the approval gate, and that no hour waits to be scored.

A check reads; it never repairs. The gate's check is the face of a rule that the control plane enforces by itself.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from assets.policy_versions import policy_versions
from assets.presentation import moment, table
from assets.rolling_stats import rolling_stats
from resources.installation import CogorchResource

if TYPE_CHECKING:
    import sqlalchemy as sa

    from cogorch_dagster.policies.store import PolicyVersion

LONGEST_WAIT = timedelta(minutes=15)

GATE_COLUMNS = {
    "version": "policy and version",
    "status": "in its life cycle",
    "finding": "what the gate says",
    "decided_by": "actor of the last decision",
    "reason": "of the last decision",
}


@dg.asset_check(asset=policy_versions, blocking=True)
def policy_approved(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """Every candidate is decided, and what is in force is what was approved.

    A candidate that waits for a decision is a warning: nothing is wrong, a person is needed. An active, approved or
    proposed version whose parameters are not those of its digest, or an active one without a decision on that digest,
    is an error: somebody went around the gate.
    """
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store

    rows, pending, broken = [], [], []
    with transaction(cogorch.settings) as connection:
        for version in store.versions(connection):
            if version.status not in ("draft", "approved", "canary", "active"):
                continue
            finding, row = _gate_row(connection, version)
            rows.append(row)
            pending += [version] if finding == "pending" else []
            broken += [version] if finding.startswith("error") else []
    commands = "; ".join(f"cogorch policy approve {version.ref} --reason '...'" for version in pending)
    description = "Every candidate is decided and every active version is the one that was approved."
    if pending:
        description = f"Waiting for a decision: {', '.join(version.ref for version in pending)}."
    if broken:
        description = f"Not what was approved: {', '.join(version.ref for version in broken)}."
    return dg.AssetCheckResult(
        passed=not pending and not broken,
        severity=dg.AssetCheckSeverity.ERROR if broken else dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={
            "gate": table(rows, GATE_COLUMNS),
            "pending": len(pending),
            "next": commands or "nothing to decide",
        },
    )


@dg.asset_check(asset=rolling_stats)
def statistics_current(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """No hour waits to be scored for longer than 15 minutes, be it for late rows, feedback or configuration."""
    from cogorch_dagster.lake import catalogue
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.rewards import materialise

    stale = materialise.stale_hours(cogorch.settings)
    limit = datetime.now(UTC) - LONGEST_WAIT
    with transaction(cogorch.settings) as connection:
        entries = [
            *catalogue.entries_of(connection, "observations", stale),
            *catalogue.entries_of(connection, "feedback", stale),
        ]
    just_written = {entry.hour for entry in entries if entry.committed_at > limit}
    late = [hour for hour in stale if hour not in just_written]
    return dg.AssetCheckResult(
        passed=not late,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(late)} hours wait to be scored." if late else "Every hour is scored.",
        metadata={
            "stale_hours": len(stale),
            "oldest": moment(min(late, default=None)),
            "newest": moment(max(late, default=None)),
        },
    )


def _gate_row(connection: "sa.Connection", version: "PolicyVersion") -> tuple[str, dict[str, object]]:
    from cogorch_dagster.policies import decisions

    taken = decisions.decisions_of(connection, version.policy_id, version.version)
    claimed = [decision for decision in taken if decision.claimed_at is not None]
    if not version.digest_matches:
        finding = "error: the parameters are not those of the digest"
    elif version.status == "active":
        approved = any(decision.digest == version.digest for decision in claimed)
        finding = "in force as approved" if approved else "error: in force without a decision on this digest"
    elif version.status == "draft":
        finding = "pending"
    elif version.status == "canary":
        finding = "on a share of the traffic, as approved"
    else:
        finding = "approved, waits for its activation"
    last = taken[-1] if taken else None
    return finding, {
        "version": version.ref,
        "status": version.status,
        "finding": finding,
        "decided_by": last.actor if last else "",
        "reason": last.reason if last else "",
    }
