"""Reasons to train the agents again: a mean reward too low for tuning alone, much that is new, or a fleet that changed.

`low_reward` asks for a better version from logged decisions as soon as a mean is below `minAcceptable`; this one trains
agents when it is below `retrain`, which lies lower. The clock's part is in `jobs/schedules.py`.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter
from pydantic import BaseModel

from assets.agent_partitions import ALL_AGENTS
from jobs.training import config_of, retraining
from resources.installation import CogorchResource
from sensors import attempts, cursors
from sensors.mean_reward import scored_mark, too_low

if TYPE_CHECKING:
    from cogorch_dagster.fleet.calibration.calibration import Calibration
    from cogorch_dagster.settings import Settings

# Holding recent observations against a calibration reads all of them, and shows little new within the hour.
LOOK_EVERY = timedelta(hours=1)
# A training that failed so often in a row waits as long as one that went well.
MOST_ATTEMPTS = 3


class RetrainingState(BaseModel):
    """The scored hours at the last complete look at rewards and amounts; the last look at drift, and those then."""

    seen: str = ""
    drift_at: datetime | None = None
    drift_seen: str = ""


@dg.sensor(
    job=retraining,
    minimum_interval_seconds=120,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Trains the agents again where a router's mean reward is below its retrain limit, when much has been "
    "observed since the last calibration, or when the observations have moved away from it.",
)
def retraining_due(context: dg.SensorEvaluationContext, cogorch: CogorchResource) -> dg.SensorResult:
    """Asks for one retraining at a time, and after one for no other until the pause of the settings is over."""
    from cogorch_dagster.fleet.calibration import store
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import flags

    settings, now = cogorch.settings, datetime.now(UTC)
    if attempts.is_busy(context.instance, retraining.name):
        return dg.SensorResult(skip_reason="the agents are being trained")
    due, failed = _due(context, timedelta(hours=settings.retraining_pause_hours))
    if due is not None and due > now:
        return dg.SensorResult(skip_reason=f"the next retraining is due at {due:%Y-%m-%d %H:%M:%S} UTC at the earliest")
    with transaction(settings) as connection:
        if not flags.get_flag(connection, flags.LEARNING):
            return dg.SensorResult(skip_reason="the kill switch learning.enabled is off")
        calibration = store.latest(connection)
    state, seen, budget = cursors.read(context, RetrainingState), scored_mark(settings), cursors.Budget()
    reason = None
    # What has led to a run is no reason for another one, unless that run failed.
    if seen != state.seen or failed:
        reason = _low_reward(settings, budget) or _much_new(settings, calibration)
        state.seen = state.seen if budget.spent else seen
    look = state.drift_at is None or now - state.drift_at >= LOOK_EVERY
    if reason is None and calibration is not None and look and (seen != state.drift_seen or failed):
        reason = _moved(settings, calibration)
        state.drift_at, state.drift_seen = now, seen
    cursors.write(context, state)
    if reason is None:
        return dg.SensorResult(skip_reason="rewards, amount and kind of the observations give no new reason")
    request = dg.RunRequest(
        run_key=f"{seen}:{now.isoformat(timespec='seconds')}",
        run_config=config_of(int(now.timestamp())),
        tags={**ALL_AGENTS, "cogorch/trigger": reason},
    )
    return dg.SensorResult(run_requests=[request])


def _due(context: dg.SensorEvaluationContext, pause: timedelta) -> tuple[datetime | None, bool]:
    """When the next one may begin, whatever started the last, and whether that failed; then sooner, for a while."""
    latest = context.instance.get_run_records(RunsFilter(job_name=retraining.name), limit=MOST_ATTEMPTS)
    if not latest:
        return None, False
    failures = [record.dagster_run.status is DagsterRunStatus.FAILURE for record in latest]
    if failures[0] and not (all(failures) and len(failures) == MOST_ATTEMPTS):
        return attempts.due_after_failures(context.instance, RunsFilter(job_name=retraining.name)), True
    return attempts.ended(latest[0]) + pause, failures[0]


def _low_reward(settings: "Settings", budget: cursors.Budget) -> str | None:
    """Which router's version in force earns too little; one with a candidate waits for the decision on that."""
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store
    from cogorch_dagster.rewards import configuration, rolling

    with transaction(settings) as connection:
        routers = store.active_of_kind(connection, "router")
        undecided = {
            version.policy_id
            for status in ("draft", "approved", "canary")
            for version in store.versions(connection, status=status)
        }
        configs = configuration.active_configurations(connection)
    for version in routers:
        if budget.spent:
            return None
        if version.policy_id in undecided or version.component is None:
            continue
        limit = configs.resolve(version.component, "llm_router").params.retrain
        found = too_low(rolling.rolling_stats(settings, component=version.component), version, limit)
        if found is not None:
            return f"{version.ref}: {found}"
    return None


def _much_new(settings: "Settings", calibration: "Calibration | None") -> str | None:
    from cogorch_dagster.fleet.calibration import freshness

    rows = freshness.new_rows(settings, calibration)
    if rows < settings.retraining_rows:
        return None
    return f"{rows} new observations since the last calibration" if calibration else f"{rows} observations, none fitted"


def _moved(settings: "Settings", calibration: "Calibration") -> str | None:
    from cogorch_dagster.fleet.calibration import freshness

    found = freshness.recent_drift(settings, calibration)
    if found.verdict == "steady":
        return None
    first = found.moved[0]
    return f"{first.what} of {first.whose} moved away from the calibration ({first.change:+.0%})"
