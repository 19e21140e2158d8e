"""What happens by the clock: every hour is closed properly, every night the house is cleaned.

What happens because of data is in `sensors/`; the hourly run is the net beneath them.
"""

from datetime import timedelta

import dagster as dg

from assets.partitions import key_of, range_tags
from cogorch_dagster.lake.hours import floor_hour
from jobs.clean_up import clean_up
from jobs.learning import learning_loop


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


nightly_clean_up = dg.ScheduleDefinition(
    name="nightly_clean_up",
    job=clean_up,
    cron_schedule="17 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Retention, files that nothing refers to, drafts that nobody decided on, old runs of Dagster.",
)

schedules = [hourly_loop, nightly_clean_up]
