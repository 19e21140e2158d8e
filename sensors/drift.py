"""Drift: look when something new is scored, and ask for tuning where a regime has changed."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
from dagster import RunsFilter
from pydantic import BaseModel, Field

from jobs.learning import learning_loop, tuning
from jobs.watching import watch
from resources.installation import CogorchResource
from sensors import attempts, cursors
from sensors.mean_reward import scored_mark

if TYPE_CHECKING:
    from cogorch_dagster.policies.findings import Finding

# Buckets of incidents are ten minutes wide; looking more often than twice in one shows nothing new.
LOOK_EVERY = timedelta(minutes=5)
# A change that nobody could act on for so long is history.
ASK_WITHIN = timedelta(days=2)
# A version that came into force changes the mix on purpose.
INTENDED = "mix:"
REMEMBERED = 500


class LookState(BaseModel):
    """The scored hours at the last look, and when that was."""

    at: datetime | None = None
    seen: str = ""


class ChangesState(BaseModel):
    """Ids of the regime changes that tuning was asked for."""

    asked: list[str] = Field(default_factory=list)


@dg.sensor(
    job=watch,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks for incidents and regime changes when hours were scored since the last look.",
)
def new_scores(context: dg.SensorEvaluationContext, cogorch: CogorchResource) -> dg.SensorResult:
    """Asks for a look at most every 5 minutes; while an incident is open also without news, so that it can end."""
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import findings

    now = datetime.now(UTC)
    state = cursors.read(context, LookState)
    if attempts.is_busy(context.instance, watch.name):
        return dg.SensorResult(skip_reason="a look is under way")
    if state.at is not None and now - state.at < LOOK_EVERY:
        return dg.SensorResult(skip_reason=f"the last look was at {state.at:%H:%M:%S} UTC")
    due = attempts.due_after_failures(context.instance, RunsFilter(job_name=watch.name))
    if due is not None and due > now:
        return dg.SensorResult(skip_reason=f"the last look failed; the next attempt is due at {due:%H:%M:%S} UTC")
    seen = scored_mark(cogorch.settings)
    with transaction(cogorch.settings) as connection:
        opened = findings.findings(connection, sort="incident", open_only=True, limit=1)
    if seen == state.seen and not opened and due is None:
        return dg.SensorResult(skip_reason="nothing was scored since the last look")
    cursors.write(context, LookState(at=now, seen=seen))
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"{seen}:{now.isoformat()}")])


@dg.sensor(
    job=tuning,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs the tuning of a router whose reward, latency, failures or mix have changed to stay.",
)
def regime_changes(context: dg.SensorEvaluationContext, cogorch: CogorchResource) -> dg.SensorResult:
    """Asks once for each regime change; not while a candidate waits, and not for a mix that a new version brought."""
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import findings, flags, store

    state = cursors.read(context, ChangesState)
    if any(attempts.is_busy(context.instance, job.name) for job in (tuning, learning_loop)):
        return dg.SensorResult(skip_reason="a proposal is being looked for")
    with transaction(cogorch.settings) as connection:
        if not flags.get_flag(connection, flags.LEARNING):
            return dg.SensorResult(skip_reason="the kill switch learning.enabled is off")
        since = datetime.now(UTC) - ASK_WITHIN
        changes = findings.findings(connection, sort="regime", since=since)
        routers = {each.component: each for each in store.active_of_kind(connection, "router")}
        undecided = {
            version.policy_id
            for status in ("draft", "approved", "canary")
            for version in store.versions(connection, status=status)
        }
    asked = set(state.asked)
    due: dict[str, list[Finding]] = {}
    for change in changes:
        router = routers.get(change.component)
        if router is None or str(change.finding_id) in asked or _intended(change) or router.policy_id in undecided:
            continue
        due.setdefault(router.policy_id, []).append(change)
    new = [str(change.finding_id) for mine in due.values() for change in mine]
    cursors.write(context, ChangesState(asked=[*state.asked, *new][-REMEMBERED:]))
    if not due:
        return dg.SensorResult(skip_reason="no regime has changed that tuning was not asked for, or a candidate waits")
    return dg.SensorResult(run_requests=[_request(policy_id, mine) for policy_id, mine in sorted(due.items())])


def _intended(change: "Finding") -> bool:
    return change.metric.startswith(INTENDED) and bool(change.details.get("coincides_with"))


def _request(policy_id: str, changes: "list[Finding]") -> dg.RunRequest:
    newest = max(changes, key=lambda change: change.known_at)
    return dg.RunRequest(
        run_key=f"drift:{policy_id}:{newest.finding_id}",
        run_config={"ops": {"policy_versions": {"config": {"policies": [policy_id]}}}},
        tags={
            "cogorch/trigger": f"{newest.metric} of {newest.component} changed at {newest.began_at:%Y-%m-%d %H:%M} UTC",
            "cogorch/finding": str(newest.finding_id),
        },
    )
