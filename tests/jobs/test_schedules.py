"""The clock: the hour that ended and the present one, once for each hour."""

from datetime import UTC, datetime

import dagster as dg

from assets.partitions import RANGE_END, RANGE_START
from jobs.schedules import hourly_loop


def test_the_hourly_run_closes_the_hour_before() -> None:
    at = datetime(2026, 3, 1, 0, 3, tzinfo=UTC)
    with dg.DagsterInstance.ephemeral() as instance:
        request = hourly_loop(dg.build_schedule_context(instance=instance, scheduled_execution_time=at))
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == "hourly:2026-03-01-00:00"
    assert request.tags[RANGE_START] == "2026-02-28-23:00"
    assert request.tags[RANGE_END] == "2026-03-01-00:00"
