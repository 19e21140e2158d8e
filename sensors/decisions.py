"""Decisions that wait for their activation: an approval by a person or by the policy's mode, or a rollback."""

from datetime import UTC, datetime

import dagster as dg
from dagster import RunsFilter
from pydantic import BaseModel

from jobs.gate import activation
from resources.installation import CogorchResource
from sensors import attempts, cursors

DECISION_TAG = "cogorch/decision"
DECISIONS_PER_TICK = 20
# A decision that the gate refuses so often needs a person; a later decision replaces it.
MOST_ATTEMPTS = 8


class DecisionsState(BaseModel):
    """`after` is the decision where the next page begins."""

    after: str = ""


@dg.sensor(
    job=activation,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs the activation for every decision that waits; an unapproved candidate never starts anything.",
)
def waiting_decisions(context: dg.SensorEvaluationContext, cogorch: CogorchResource) -> dg.SensorResult:
    """Asks for one run for each waiting decision, and again with growing pauses while it fails."""
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import decisions, findings, flags, ramps, store

    budget = cursors.Budget()
    state = cursors.read(context, DecisionsState)
    with transaction(cogorch.settings) as connection:
        waiting = decisions.waiting(connection)
        learning = flags.get_flag(connection, flags.LEARNING)
        troubled = {each.component for each in findings.findings(connection, sort="incident", open_only=True)}
        held = {policy.policy_id for policy in store.policies(connection) if policy.component in troubled}
        held |= {ramp.policy_id for ramp in ramps.all_running(connection)}
    # The kill switch, open incidents and a version that ramps hold approvals back, without using up their attempts; a
    # rollback never waits.
    claimable = [
        decision
        for decision in waiting
        if decision.action == "rollback" or (learning and decision.policy_id not in held)
    ]
    keyed = [(str(decision.decision_id), decision) for decision in claimable]
    page = cursors.page(keyed, state.after, DECISIONS_PER_TICK)
    requests: list[dg.RunRequest] = []
    last = ""
    for decision_id, decision in page:
        if budget.spent:
            break
        last = decision_id
        attempt = _next_attempt(context, decision_id)
        if attempt is not None:
            requests.append(
                dg.RunRequest(
                    run_key=f"{decision.ref}:{decision_id}:{attempt}",
                    run_config={
                        "ops": {"active_policy": {"config": {"decision_id": decision_id, "only_if_waiting": True}}}
                    },
                    tags={DECISION_TAG: decision_id, "cogorch/version": decision.ref},
                )
            )
    cursors.write(context, DecisionsState(after=last if len(keyed) > len(page) or budget.spent else ""))
    if requests:
        return dg.SensorResult(run_requests=requests)
    by = "the kill switch" if not learning else "an open incident or a version that ramps"
    back = f"; {len(waiting) - len(claimable)} held back by {by}" if len(waiting) > len(claimable) else ""
    return dg.SensorResult(skip_reason=f"{len(claimable)} decisions wait, none is due{back}")


def _next_attempt(context: dg.SensorEvaluationContext, decision_id: str) -> int | None:
    """The number of the attempt that is due now; None while one is under way, or none is due."""
    of_decision = RunsFilter(tags={DECISION_TAG: decision_id})
    runs = context.instance.get_run_records(of_decision, limit=MOST_ATTEMPTS)
    if any(run.dagster_run.status in attempts.UNFINISHED for run in runs):
        return None
    if len(runs) >= MOST_ATTEMPTS:
        context.log.warning(f"Decision {decision_id} was refused {len(runs)} times; it needs a person.")
        return None
    if runs and attempts.ended(runs[0]) + attempts.pause_after(len(runs)) > datetime.now(UTC):
        return None
    return len(runs) + 1
