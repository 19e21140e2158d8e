"""The clock: the hour that ended and the present one, once for each hour; causes when there is something to see."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from assets.partitions import RANGE_END, RANGE_START
from cogorch_dagster.causal.discovery.settings import DiscoverySettings
from cogorch_dagster.causal.versions import building
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import flags
from cogorch_dagster.rewards import materialise
from cogorch_dagster.settings import Settings
from jobs.schedules import causes_every_six_hours, hourly_loop, weekly_architectures, weekly_tuning
from tests.causal.samples import autoscaled
from tests.dagster_layer import resource, traffic


def test_the_hourly_run_closes_the_hour_before() -> None:
    at = datetime(2026, 3, 1, 0, 3, tzinfo=UTC)
    with dg.DagsterInstance.ephemeral() as instance:
        request = hourly_loop(dg.build_schedule_context(instance=instance, scheduled_execution_time=at))
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == "hourly:2026-03-01-00:00"
    assert request.tags[RANGE_START] == "2026-02-28-23:00"
    assert request.tags[RANGE_END] == "2026-03-01-00:00"


def asked(settings: Settings) -> dg.RunRequest | dg.SkipReason:
    at = datetime(2026, 3, 1, 6, 23, tzinfo=UTC)
    with dg.DagsterInstance.ephemeral() as instance:
        found = causes_every_six_hours(
            dg.build_schedule_context(
                instance=instance, scheduled_execution_time=at, resources={"cogorch": resource(settings)}
            )
        )
    assert isinstance(found, dg.RunRequest | dg.SkipReason)
    return found


def test_causes_are_looked_for_when_something_was_scored_since(settings: Settings) -> None:
    assert "nothing was scored" in str(asked(settings))
    traffic(settings, count=60)
    materialise.materialise_rewards(settings, materialise.stale_hours(settings))
    request = asked(settings)
    assert isinstance(request, dg.RunRequest) and request.run_key == "causes:2026-03-01T06"
    # A graph of a file says nothing of the fleet.
    of_file = replace(autoscaled(60), scope="a.csv", since=None, until=None)
    building.build_and_keep(settings, of_file, discovery=DiscoverySettings(resamples=5))
    assert isinstance(asked(settings), dg.RunRequest)
    building.build_and_keep(settings, autoscaled(60), discovery=DiscoverySettings(resamples=5))
    assert "nothing was scored since the newest graph" in str(asked(settings))


def test_the_kill_switch_stops_it(settings: Settings) -> None:
    traffic(settings, count=60)
    materialise.materialise_rewards(settings, materialise.stale_hours(settings))
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="test", reason="for the test")
    assert "kill switch" in str(asked(settings))


def test_each_agent_is_tuned_once_a_week_with_the_date_as_seed(settings: Settings) -> None:
    at = datetime(2026, 3, 1, 4, 11, tzinfo=UTC)

    def requests(schedule: dg.ScheduleDefinition) -> Any:
        with dg.DagsterInstance.ephemeral() as instance:
            resources = {"cogorch": resource(settings)}
            return schedule(
                dg.build_schedule_context(instance=instance, scheduled_execution_time=at, resources=resources)
            )

    for schedule, asset in ((weekly_tuning, "tuned_hyperparameters"), (weekly_architectures, "architectures")):
        found = requests(schedule)
        assert [each.partition_key for each in found] == ["policy", "consensus", "ethical", "resource"]
        assert {each.run_key for each in found} == {f"weekly:{asset}:2026-03-01:{each.partition_key}" for each in found}
        assert all(each.run_config["ops"][asset]["config"] == {"seed": 20260301} for each in found)
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="test", reason="for the test")
    assert "kill switch" in str(requests(weekly_tuning))
