"""The versions in force: activation claims what was decided, and nothing else comes into force here."""

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from assets.policy_versions import policy_versions
from assets.presentation import moment, table
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.policies.activation import Activation

ACTIVE_COLUMNS = {
    "policy": "id of the policy",
    "version": "version in force",
    "kind": "what it steers",
    "since": "UTC",
    "approved_by": "actor of the decision",
    "reason": "why",
    "digest": "of the parameters, its beginning",
}


class ActivationConfig(dg.Config):
    """Which decisions to claim."""

    decision_id: str = Field(default="", description="Id of one waiting decision; empty: every waiting decision.")
    only_if_waiting: bool = Field(
        default=False, description="For automation: succeed when the decision was used or replaced meanwhile."
    )


@dg.asset(
    deps=[policy_versions],
    group_name="act",
    kinds={"postgres"},
    owners=["team:operations"],
    tags={"cogorch/gate": "approval"},
)
def active_policy(
    context: dg.AssetExecutionContext, config: ActivationConfig, cogorch: CogorchResource
) -> dg.MaterializeResult[None]:
    """Puts decided versions into force; the fleet hears of it within milliseconds.

    Each waiting decision is claimed in a transaction of its own, which verifies the approval and the digest again, so
    it does not matter whether this asset runs behind its check, alone, or twice. With a candidate that nobody has
    approved it fails and says so; with nothing to do it reports the versions in force.
    """
    from cogorch_dagster.errors import Refused
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import activation, decisions, store

    settings = cogorch.settings
    with transaction(settings) as connection:
        waiting = [str(decision.decision_id) for decision in decisions.waiting(connection)]
        undecided = [draft.ref for draft in store.versions(connection, status="draft")]
    if config.decision_id:
        overtaken = config.only_if_waiting and config.decision_id not in waiting
        targets = [] if overtaken else [config.decision_id]
    else:
        # A candidate without a decision goes through the same gate, which names the reason why it stays shut.
        targets = waiting or undecided
    done, refused = [], []
    for target in targets:
        try:
            with transaction(settings) as connection:
                done.append(activation.activate(connection, target, actor=f"dagster:{context.run.job_name}"))
        except Refused as refusal:
            refused.append(refusal)
    _follow(context, cogorch, done)
    metadata: dict[str, dg.MetadataValue] = {
        "active_versions": _active_table(cogorch),
        "activated": dg.MetadataValue.text(
            ", ".join(f"{each.policy_id} {each.previous or 'none'} -> {each.version}" for each in done) or "nothing"
        ),
    }
    if refused:
        reasons = ", ".join(sorted({refusal.reason for refusal in refused}))
        raise dg.Failure(
            description=f"{reasons}: " + " ".join(str(refusal) for refusal in refused),
            metadata={**metadata, "reason": dg.MetadataValue.text(reasons)},
            allow_retries=False,
        )
    return dg.MaterializeResult(metadata=metadata)


def _follow(context: dg.AssetExecutionContext, cogorch: CogorchResource, done: "list[Activation]") -> None:
    """Let the registry call hyperparameters that came into force its champion; nothing in force depends on it."""
    from cogorch_dagster.errors import CogorchError
    from cogorch_dagster.policies.hyperparameters import AGENT_KINDS, policy_of

    of_agents = {policy_of(agent) for agent in AGENT_KINDS}
    for each in done:
        if each.policy_id in of_agents:
            from cogorch_dagster.tuning.registration import follow

            try:
                follow(cogorch.settings, each.policy_id)
            except CogorchError as error:
                context.log.warning(f"The registry does not name {each.policy_id}@{each.version} its champion: {error}")


def _active_table(cogorch: CogorchResource) -> dg.TableMetadataValue:
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import decisions, store

    rows = []
    with transaction(cogorch.settings) as connection:
        for version in store.versions(connection, status="active"):
            claimed = [
                decision
                for decision in decisions.decisions_of(connection, version.policy_id, version.version)
                if decision.claimed_at is not None
            ]
            rows.append(
                {
                    "policy": version.policy_id,
                    "version": version.version,
                    "kind": version.kind,
                    "since": moment(version.activated_at),
                    "approved_by": claimed[-1].actor if claimed else "",
                    "reason": claimed[-1].reason if claimed else "",
                    "digest": version.digest[:19],
                }
            )
    return table(rows, ACTIVE_COLUMNS)
