"""A mean reward below what its configuration accepts: look for a better version at once."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
from dagster import RunsFilter
from pydantic import BaseModel, Field

from jobs.learning import learning_loop, tuning
from resources.installation import CogorchResource
from sensors import attempts, cursors
from sensors.mean_reward import scored_mark, too_low

if TYPE_CHECKING:
    from cogorch_dagster.policies.store import PolicyVersion

QUIET = timedelta(minutes=15)
POLICIES_PER_TICK = 20


class Asked(BaseModel):
    """When a proposal was last asked for, and the scored hours as they were then."""

    at: datetime
    seen: str


class LowRewardState(BaseModel):
    """`after` is the policy where the next page begins; `asked` by policy id."""

    after: str = ""
    asked: dict[str, Asked] = Field(default_factory=dict)


@dg.sensor(
    job=tuning,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs the tuning where a router's mean reward over 1 h or 24 h is below its minAcceptable.",
)
def low_reward(context: dg.SensorEvaluationContext, cogorch: CogorchResource) -> dg.SensorResult:
    """Asks for a proposal at most every 15 minutes for each policy, and only when there is new data since."""
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import flags, store
    from cogorch_dagster.rewards import configuration, rolling

    budget = cursors.Budget()
    if any(attempts.is_busy(context.instance, job.name) for job in (tuning, learning_loop)):
        return dg.SensorResult(skip_reason="a proposal is being looked for")
    now = datetime.now(UTC)
    due = attempts.due_after_failures(context.instance, RunsFilter(job_name=tuning.name))
    if due is not None and due > now:
        return dg.SensorResult(skip_reason=f"the last run failed; the next attempt is due at {due:%H:%M:%S} UTC")
    settings = cogorch.settings
    state = cursors.read(context, LowRewardState)
    with transaction(settings) as connection:
        if not flags.get_flag(connection, flags.LEARNING):
            return dg.SensorResult(skip_reason="the kill switch learning.enabled is off")
        routers = store.active_of_kind(connection, "router")
        # Who is asked for a decision does not need another candidate.
        undecided = {
            version.policy_id
            for status in ("draft", "approved")
            for version in store.versions(connection, status=status)
        }
        configs = configuration.active_configurations(connection)
    page = cursors.page([(version.policy_id, version) for version in routers], state.after, POLICIES_PER_TICK)
    seen = scored_mark(settings)
    low: list[tuple[PolicyVersion, str]] = []
    last = ""
    for policy_id, version in page:
        if budget.spent:
            break
        last = policy_id
        asked = state.asked.get(policy_id)
        if policy_id in undecided or version.component is None:
            continue
        if asked is not None and (now - asked.at < QUIET or asked.seen == seen):
            continue
        limit = configs.resolve(version.component, "llm_router").params.min_acceptable
        reason = too_low(rolling.rolling_stats(settings, component=version.component), version, limit)
        if reason:
            low.append((version, reason))
    kept = {version.policy_id for version in routers}
    asked_now = {version.policy_id: Asked(at=now, seen=seen) for version, _ in low}
    cursors.write(
        context,
        LowRewardState(
            after=last if len(routers) > len(page) or budget.spent else "",
            asked={name: each for name, each in (state.asked | asked_now).items() if name in kept},
        ),
    )
    if not low:
        return dg.SensorResult(skip_reason="every mean reward is acceptable, or waits for a decision or for new data")
    return dg.SensorResult(run_requests=[_request(version, reason, seen) for version, reason in low])


def _request(version: "PolicyVersion", reason: str, seen: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{version.ref}:{seen}",
        run_config={"ops": {"policy_versions": {"config": {"policies": [version.policy_id]}}}},
        tags={"cogorch/trigger": reason, "cogorch/version": version.ref},
    )
