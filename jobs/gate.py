"""The jobs around a decision: review what is proposed, activate what is decided, roll back what went wrong."""

from enum import Enum

import dagster as dg
from pydantic import Field

from assets.active_policy import active_policy
from assets.canary import canaries_sound, canary
from assets.checks import policy_approved
from assets.presentation import table
from jobs.lanes import GATE
from resources.installation import CogorchResource

activation = dg.define_asset_job(
    "activation",
    selection=dg.AssetSelection.checks(policy_approved) | dg.AssetSelection.assets(active_policy),
    description="Puts decided versions into force. The check shows the state of the gate; the claim enforces it.",
    tags=GATE,
)

canary_step = dg.define_asset_job(
    "canary_step",
    selection=dg.AssetSelection.assets(canary) | dg.AssetSelection.checks(canaries_sound),
    description="Judges every version that ramps and moves it if that follows. The service does so every two seconds; "
    "this shows its verdicts, and does its work where it does not run.",
    tags=GATE,
)


class Verdict(Enum):
    report = "report"
    approve = "approve"
    reject = "reject"


class ReviewConfig(dg.Config):
    """What to review and, for a decision, who decides what and why."""

    policy: str = Field(default="", description="Policy id; empty: every candidate (report only).")
    version: str = Field(default="", description="Version to decide on.")
    verdict: Verdict = Field(default=Verdict.report, description="report changes nothing.")
    digest: str = Field(default="", description="The digest that the report shows; a decision must name it.")
    actor: str = Field(default="", description="Who decides.")
    reason: str = Field(default="", description="Why.")


class RollbackConfig(dg.Config):
    """Which earlier version to return to."""

    policy: str = Field(description="Policy id, such as router-core.")
    version: str = Field(description="A version that was active before.")
    actor: str = Field(description="Who decides.")
    reason: str = Field(description="Why.")


CANDIDATE_COLUMNS = {
    "candidate": "policy and version",
    "changes": "against the active version",
    "estimate": "improvement of the mean reward",
    "ci95_low": "95 % interval",
    "ci95_high": "95 % interval",
    "effective_sample_size": "of the weighted decisions",
    "digest": "name it in the decision",
}


@dg.op
def review_candidates(context: dg.OpExecutionContext, config: ReviewConfig, cogorch: CogorchResource) -> None:
    """Shows every candidate with its evidence; decides on one when the configuration says so."""
    from cogorch_dagster.errors import CogorchError, InvalidInput
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import decisions

    metadata: dict[str, dg.MetadataValue] = {"candidates": table(_candidates(cogorch, config), CANDIDATE_COLUMNS)}
    if config.verdict is not Verdict.report:
        decide = decisions.approve if config.verdict is Verdict.approve else decisions.reject
        try:
            if not config.digest:
                raise InvalidInput(
                    "a decision names the digest that was reviewed; run the review without a verdict to see it"
                )
            with transaction(cogorch.settings) as connection:
                decision = decide(
                    connection, config.policy, config.version, config.actor, config.reason, digest=config.digest
                )
        except CogorchError as error:
            raise _failure(error, metadata) from error
        metadata["decision"] = dg.MetadataValue.text(f"{decision.action} {decision.ref} by {decision.actor}")
    context.log_event(dg.AssetObservation(asset_key="policy_versions", metadata=metadata))


@dg.op
def roll_back(context: dg.OpExecutionContext, config: RollbackConfig, cogorch: CogorchResource) -> None:
    """Decides to return to an earlier version and puts it into force in the same transaction."""
    from cogorch_dagster.errors import CogorchError
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import activation as activating
    from cogorch_dagster.policies import decisions

    try:
        with transaction(cogorch.settings) as connection:
            decision = decisions.rollback(connection, config.policy, config.version, config.actor, config.reason)
            done = activating.activate(connection, decision.decision_id, actor=f"dagster:{context.job_name}")
    except CogorchError as error:
        raise _failure(error, {}) from error
    context.log_event(
        dg.AssetMaterialization(
            asset_key="active_policy",
            description=f"rolled back to {done.policy_id}@{done.version}",
            metadata={
                "policy": done.policy_id,
                "from": done.previous or "none",
                "to": done.version,
                "actor": decision.actor,
                "reason": decision.reason,
                "decision": str(done.decision_id),
            },
        )
    )


@dg.job(tags=GATE)
def review() -> None:
    """Reports on the candidates, or approves or rejects one by its digest. The default changes nothing."""
    review_candidates()


@dg.job(tags=GATE)
def rollback() -> None:
    """Returns to a version that was active before, with who and why. Works while learning is off."""
    roll_back()


def _candidates(cogorch: CogorchResource, config: ReviewConfig) -> list[dict[str, object]]:
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import diff, store

    rows: list[dict[str, object]] = []
    with transaction(cogorch.settings) as connection:
        for draft in store.versions(connection, config.policy or None, status="draft"):
            current = store.active(connection, draft.policy_id)
            changes = diff.diff(current.params if current else {}, draft.params)
            evidence = draft.evidence or {}
            low, high = evidence.get("ci95") or (None, None)
            rows.append(
                {
                    "candidate": draft.ref,
                    "changes": "; ".join(f"{change.path} {change.before} -> {change.after}" for change in changes),
                    "estimate": evidence.get("estimate"),
                    "ci95_low": low,
                    "ci95_high": high,
                    "effective_sample_size": evidence.get("effective_sample_size"),
                    "digest": draft.digest,
                }
            )
    return rows


def _failure(error: Exception, metadata: dict[str, dg.MetadataValue]) -> dg.Failure:
    from cogorch_dagster.errors import Refused

    reason = error.reason if isinstance(error, Refused) else "invalid_input"
    return dg.Failure(
        description=f"{reason}: {error}",
        metadata={**metadata, "reason": dg.MetadataValue.text(reason)},
        allow_retries=False,
    )
