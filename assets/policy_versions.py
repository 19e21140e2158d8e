"""Candidates: for every router policy whose data allow it, a better version, proposed with its evidence."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from assets.causal_graph import causal_graph
from assets.presentation import picture, shown, table
from assets.rolling_stats import rolling_stats
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.policies.store import PolicyVersion
    from cogorch_dagster.settings import Settings

COLUMNS = {
    "policy": "id of the policy",
    "active": "version in force",
    "outcome": "proposed, kept (a candidate waits already) or the reason of a refusal",
    "candidate": "version that waits for a decision",
    "estimate": "improvement of the mean reward, doubly robust",
    "ci95": "95 % interval of the improvement",
    "effective_sample_size": "decisions that speak for the candidate",
}


class ProposalConfig(dg.Config):
    """For what to propose, and when a candidate that waits is replaced by a newer one."""

    policies: list[str] = Field(default=[], description="Ids of router policies; empty: all of them.")
    since: str = Field(
        default="", description="Evidence from decisions after this moment, ISO 8601; empty: of the last 7 days."
    )
    keep_waiting_minutes: int = Field(
        default=360,
        ge=0,
        le=100_000,
        description="A candidate younger than this is left to those who decide; an older one is proposed anew.",
    )


@dg.asset(
    deps=[rolling_stats, causal_graph],
    group_name="learn",
    kinds={"postgres"},
    owners=["team:learning"],
)
def policy_versions(
    context: dg.AssetExecutionContext, config: ProposalConfig, cogorch: CogorchResource
) -> dg.MaterializeResult[None]:
    """Better versions of the router policies, as drafts that wait for a decision.

    The weights with the highest lower bound of the improvement, estimated from logged propensities on decisions that
    did not choose them. Too few decisions, missing overlap or too small a gain are normal results, named below.
    Nothing is activated here.
    """
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store
    from cogorch_dagster.proposals import figure

    settings = cogorch.settings
    with transaction(settings) as connection:
        ids = config.policies or [policy.policy_id for policy in store.policies(connection, kind="router")]
    rows, fresh = [], []
    for policy_id in ids:
        row, candidate = _propose(settings, policy_id, config)
        rows.append(row)
        fresh += [candidate] if candidate is not None else []
        context.log.info(f"{policy_id}: {row['outcome']}. {row['note']}")
    metadata: dict[str, dg.MetadataValue] = {
        "outcome": dg.MetadataValue.text(
            "; ".join(f"{row['policy']}: {row['outcome']}" for row in rows) or "no router"
        ),
        "proposals": table([{name: row.get(name, "") for name in COLUMNS} for row in rows], COLUMNS),
        "notes": dg.MetadataValue.md("\n".join(f"- **{row['policy']}**: {row['note']}" for row in rows) or "none"),
    }
    if fresh:
        metadata["candidate"] = dg.MetadataValue.md("\n\n".join(_in_words(settings, each) for each in fresh[:5]))
        pictured = next((each for each in fresh if "overlap" in (each.evidence or {})), None)
        if pictured is not None:
            metadata["evidence"] = picture(figure.proposal_figure(pictured.evidence or {}), pictured.ref)
    return dg.MaterializeResult(metadata=metadata)


def _propose(
    settings: "Settings", policy_id: str, config: ProposalConfig
) -> "tuple[dict[str, object], PolicyVersion | None]":
    """One row of the table, and the candidate that now waits for a decision."""
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store
    from cogorch_dagster.proposals import router

    with transaction(settings) as connection:
        active = store.active(connection, policy_id)
        drafts = store.versions(connection, policy_id, "draft")
    row: dict[str, object] = {"policy": policy_id, "active": active.version if active else ""}
    waiting = [draft for draft in drafts if active and draft.parent == active.version]
    if waiting and datetime.now(UTC) - waiting[-1].created_at < timedelta(minutes=config.keep_waiting_minutes):
        return _described(row, "kept", waiting[-1], "waits for a decision"), waiting[-1]
    since = _moment(config.since) if config.since else None
    result = router.propose(settings, policy_id, since=since)
    if isinstance(result, router.Refusal):
        return {**row, "outcome": result.reason, "note": result.message, **_numbers(result.evidence)}, None
    note = f"approved by {result.decision.actor}" if result.decision else "waits for a decision"
    outcome = "proposed" if result.created else "kept"
    return _described(row, outcome, result.version, note), result.version


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _described(row: dict[str, object], outcome: str, candidate: "PolicyVersion", note: str) -> dict[str, object]:
    numbers = _numbers(candidate.evidence or {})
    return {**row, "outcome": outcome, "candidate": candidate.version, "note": note, **numbers}


def _numbers(evidence: Mapping[str, Any]) -> dict[str, object]:
    interval = evidence.get("ci95")
    return {
        "estimate": shown(evidence.get("estimate")),
        "ci95": f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else "",
        "effective_sample_size": shown(evidence.get("effective_sample_size")),
    }


def _in_words(settings: "Settings", candidate: "PolicyVersion") -> str:
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import diff, store

    with transaction(settings) as connection:
        parent = store.version(connection, candidate.policy_id, candidate.parent) if candidate.parent else None
    changes = "\n".join(
        f"| `{change.path}` | {change.before} | {change.after} |"
        for change in diff.diff(parent.params if parent else {}, candidate.params)
    )
    numbers = _numbers(candidate.evidence or {})
    return (
        f"**{candidate.ref}** should change the mean reward by {numbers['estimate']} (95 %: {numbers['ci95']}).\n\n"
        f"| parameter | {candidate.parent or 'none'} | {candidate.version} |\n|---|---|---|\n{changes}\n\n"
        f"    cogorch policy approve {candidate.ref} --reason '...'"
    )
