"""An agent that earns less than it did: look for better hyperparameters at once, not only at the end of the week."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
from dagster import RunsFilter

from jobs.tuning_agents import config_of, hyperparameter_tuning
from resources.installation import CogorchResource
from sensors import attempts

if TYPE_CHECKING:
    from cogorch_dagster.serving.falling import Fall

# A search takes the greater part of an hour, and what it proposes wants to be decided on.
QUIET = timedelta(hours=12)
AGENT_TAG = "dagster/partition"


@dg.sensor(
    job=hyperparameter_tuning,
    minimum_interval_seconds=120,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Searches better hyperparameters of an agent whose returns fell, in training or as it runs.",
)
def falling_agents(context: dg.SensorEvaluationContext, cogorch: CogorchResource) -> dg.SensorResult:
    """Asks for one search at a time, and for an agent at most every twelve hours; what waits is decided on first."""
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import flags, store
    from cogorch_dagster.policies.hyperparameters import policy_of
    from cogorch_dagster.serving.falling import falls

    if attempts.is_busy(context.instance, hyperparameter_tuning.name):
        return dg.SensorResult(skip_reason="hyperparameters are being searched")
    now = datetime.now(UTC)
    with transaction(cogorch.settings) as connection:
        if not flags.get_flag(connection, flags.LEARNING):
            return dg.SensorResult(skip_reason="the kill switch learning.enabled is off")
        fallen = falls(connection)
        open_versions = [
            version.policy_id
            for status in ("draft", "approved", "canary")
            for version in store.versions(connection, status=status)
        ]
    due = [
        fall for fall in fallen if policy_of(fall.agent) not in open_versions and _is_due(context.instance, fall, now)
    ]
    if not due:
        what = (
            f"{len(fallen)} agents fell, each waits for a decision or its pause"
            if fallen
            else "no agent's returns fell"
        )
        return dg.SensorResult(skip_reason=what)
    first = due[0]
    request = dg.RunRequest(
        run_key=f"{first.agent}:{now.isoformat(timespec='seconds')}",
        partition_key=first.agent,
        run_config=config_of("tuned_hyperparameters", int(now.timestamp())),
        tags={"cogorch/trigger": first.reason},
    )
    return dg.SensorResult(run_requests=[request])


def _is_due(instance: dg.DagsterInstance, fall: "Fall", now: datetime) -> bool:
    """Whether a search may begin: none has seen this fall, and the pause after the last one is over."""
    filters = RunsFilter(job_name=hyperparameter_tuning.name, tags={AGENT_TAG: fall.agent})
    latest = instance.get_run_records(filters, limit=1)
    if not latest:
        return True
    if (again := attempts.due_after_failures(instance, filters)) is not None:
        return again <= now
    # A training that fell stays the newest one for a day: one search is the answer to it.
    return fall.seen_at > latest[0].create_timestamp.astimezone(UTC) and attempts.ended(latest[0]) + QUIET <= now
