"""What happens by the clock: hours are closed, agents learn by night and are tuned by the week, the house is cleaned.

What happens because of data is in `sensors/`; the hourly run is the net beneath them.
"""

from datetime import timedelta

import dagster as dg

from assets.agent_partitions import AGENTS, ALL_AGENTS
from assets.partitions import key_of, range_tags
from cogorch_dagster.lake.hours import floor_hour
from jobs import tuning_agents
from jobs.causes import causes
from jobs.clean_up import clean_up
from jobs.learning import learning_loop
from jobs.training import config_of, retraining
from resources.installation import CogorchResource


@dg.schedule(
    job=learning_loop,
    cron_schedule="3 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def hourly_loop(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Closes the hour that just ended, whose last observations and runs are in by now, and opens the present one."""
    present = floor_hour(context.scheduled_execution_time)
    ended = present - timedelta(hours=1)
    return dg.RunRequest(run_key=f"hourly:{key_of(present)}", tags=range_tags(ended, present))


@dg.schedule(
    job=retraining,
    cron_schedule="41 1 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def nightly_retraining(
    context: dg.ScheduleEvaluationContext, cogorch: CogorchResource
) -> dg.RunRequest | dg.SkipReason:
    """Trains the agents on the week until now, if anything was observed since the last calibration.

    Every night has a seed of its own, the date, so that a night's training can be repeated.
    """
    from cogorch_dagster.fleet.calibration import freshness, store
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import flags

    settings = cogorch.settings
    with transaction(settings) as connection:
        if not flags.get_flag(connection, flags.LEARNING):
            return dg.SkipReason("the kill switch learning.enabled is off")
        latest = store.latest(connection)
    if freshness.new_rows(settings, latest) == 0:
        return dg.SkipReason("nothing was observed since the last calibration")
    night = context.scheduled_execution_time
    return dg.RunRequest(
        run_key=f"nightly:{night:%Y-%m-%d}", run_config=config_of(int(f"{night:%Y%m%d}")), tags=ALL_AGENTS
    )


@dg.schedule(
    job=causes,
    cron_schedule="23 */6 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def causes_every_six_hours(
    context: dg.ScheduleEvaluationContext, cogorch: CogorchResource
) -> dg.RunRequest | dg.SkipReason:
    """Looks for causes anew, if anything was scored since the newest graph was found."""
    from cogorch_dagster.causal.versions import store
    from cogorch_dagster.lake import catalogue
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import flags

    with transaction(cogorch.settings) as connection:
        if not flags.get_flag(connection, flags.LEARNING):
            return dg.SkipReason("the kill switch learning.enabled is off")
        found = store.components(connection).values()
        scored = catalogue.last_written(connection, "rewards")
    if scored is None or (found and scored <= max(found)):
        return dg.SkipReason("nothing was scored since the newest graph")
    return dg.RunRequest(run_key=f"causes:{context.scheduled_execution_time:%Y-%m-%dT%H}")


@dg.schedule(
    job=tuning_agents.hyperparameter_tuning,
    cron_schedule="11 4 * * 0",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def weekly_tuning(
    context: dg.ScheduleEvaluationContext, cogorch: CogorchResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Searches better hyperparameters of each agent, one after the other; the seed is the date."""
    return _weekly(context, cogorch, "tuned_hyperparameters")


@dg.schedule(
    job=tuning_agents.architecture_search,
    cron_schedule="11 4 * * 6",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def weekly_architectures(
    context: dg.ScheduleEvaluationContext, cogorch: CogorchResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Searches a better network for each agent, one after the other; the seed is the date."""
    return _weekly(context, cogorch, "architectures")


def _weekly(
    context: dg.ScheduleEvaluationContext, cogorch: CogorchResource, asset: str
) -> list[dg.RunRequest] | dg.SkipReason:
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import flags

    with transaction(cogorch.settings) as connection:
        if not flags.get_flag(connection, flags.LEARNING):
            return dg.SkipReason("the kill switch learning.enabled is off")
    day = context.scheduled_execution_time
    config = tuning_agents.config_of(asset, int(f"{day:%Y%m%d}"))
    return [
        dg.RunRequest(run_key=f"weekly:{asset}:{day:%Y-%m-%d}:{agent}", partition_key=agent, run_config=config)
        for agent in AGENTS
    ]


nightly_features = dg.ScheduleDefinition(
    name="nightly_features",
    job=tuning_agents.feature_engineering,
    cron_schedule="47 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Features of the decisions of the last two days, what they are worth, and what decisions should earn.",
)

nightly_clean_up = dg.ScheduleDefinition(
    name="nightly_clean_up",
    job=clean_up,
    cron_schedule="17 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Retention, files that nothing refers to, undecided drafts, old reward models, old runs of Dagster.",
)

schedules = [
    *(hourly_loop, nightly_retraining, causes_every_six_hours, nightly_clean_up),
    *(weekly_tuning, weekly_architectures, nightly_features),
]
