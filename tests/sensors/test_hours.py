"""Hours that need work start the loop: once for each content, with pauses after failures, for ever patient."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from assets.partitions import FIRST_HOUR, RANGE_END, RANGE_START, hour_of, key_of
from cogorch_dagster.lake.hours import HOUR, floor_hour
from cogorch_dagster.observations import inbox
from cogorch_dagster.observations.append import append
from cogorch_dagster.observations.schema import Observation
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.rewards import materialise
from cogorch_dagster.settings import Settings
from sensors import attempts
from sensors.hours import RANGES_PER_TICK, HoursState, new_or_stale_hours
from tests.dagster_layer import definitions, resource, run
from tests.evaluation.traffic import REWARD, bring_into_force, install

PRESENT = floor_hour(datetime.now(UTC))


def observed(at: datetime, name: str = "a") -> Observation:
    return Observation(
        source="test",
        source_id=f"{name}-{at.isoformat()}",
        occurred_at=at,
        component="service:x",
        component_kind="service",
        outcome="success",
        duration_ms=5.0,
    )


def enqueue(settings: Settings, *moments: datetime, name: str = "a") -> None:
    with transaction(settings) as connection:
        inbox.enqueue(connection, [observed(moment, name) for moment in moments])


class Daemon:
    """Ticks the sensor as Dagster's daemon does: keeps the cursor, drops a run_key that it has seen."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings, self.instance = settings, instance
        self.cursor: str | None = None
        self.seen: set[str] = set()
        self.skipped = ""

    def tick(self) -> list[dg.RunRequest]:
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"cogorch": resource(self.settings)},
            definitions=definitions(self.settings),
        )
        result = new_or_stale_hours(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = context.cursor
        self.skipped = str(result.skip_reason.skip_message) if result.skip_reason else ""
        fresh = [request for request in result.run_requests or [] if request.run_key not in self.seen]
        self.seen |= {str(request.run_key) for request in fresh}
        return fresh

    def serve(self, requests: list[dg.RunRequest]) -> None:
        for request in requests:
            hours = (hour_of(request.tags[RANGE_START]), hour_of(request.tags[RANGE_END]))
            assets = ["observations", "rewards", "rollups"]
            assert run(self.settings, "learning_loop", self.instance, hours=hours, assets=assets).success


@pytest.fixture
def daemon(settings: Settings) -> "Daemon":  # type: ignore[misc]
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(settings, instance)


def ranges(requests: list[dg.RunRequest]) -> list[tuple[str, str]]:
    return [(request.tags[RANGE_START], request.tags[RANGE_END]) for request in requests]


def fail(daemon: Daemon, times: int = 1) -> None:
    """Runs of the loop that fail, as the instance records them."""
    for _ in range(times):
        started = daemon.instance.create_run_for_job(definitions(daemon.settings).resolve_job_def("learning_loop"))
        daemon.instance.report_run_failed(started)


def test_nothing_new_starts_nothing(daemon: Daemon) -> None:
    assert daemon.tick() == []
    assert daemon.skipped == "nothing is new and no hour is stale"


def test_rows_in_the_inbox_start_one_run_over_their_hours_and_then_nothing(daemon: Daemon) -> None:
    enqueue(daemon.settings, PRESENT, PRESENT - 2 * HOUR)
    requests = daemon.tick()
    assert ranges(requests) == [(key_of(PRESENT - 2 * HOUR), key_of(PRESENT))]
    daemon.serve(requests)
    assert materialise.stale_hours(daemon.settings) == []
    for _ in range(3):
        assert daemon.tick() == [], "a run must not be the reason for the next one"


def test_late_rows_of_another_month_get_a_run_of_their_own(daemon: Daemon) -> None:
    late = PRESENT - timedelta(days=60)
    enqueue(daemon.settings, late, PRESENT)
    assert ranges(daemon.tick()) == [(key_of(late), key_of(late)), (key_of(PRESENT), key_of(PRESENT))]


def test_a_stored_hour_that_changed_is_stale(daemon: Daemon) -> None:
    at = PRESENT - 5 * HOUR
    append(daemon.settings, [observed(at)])
    requests = daemon.tick()
    assert ranges(requests) == [(key_of(at), key_of(at))]
    daemon.serve(requests)
    append(daemon.settings, [observed(at, "late")])
    again = daemon.tick()
    assert ranges(again) == ranges(requests)
    assert {request.run_key for request in again}.isdisjoint({request.run_key for request in requests})


def test_a_configuration_that_comes_back_makes_its_hours_stale_again(daemon: Daemon) -> None:
    install(daemon.settings, reward={**REWARD, "appliesTo": None})
    append(daemon.settings, [observed(PRESENT - 5 * HOUR)])
    keys = set()
    for base in (0.25, 0.3, 0.25, 0.3):
        if base != 0.25 or keys:
            bring_into_force(daemon.settings, "reward-test", {**REWARD, "appliesTo": None, "base": base})
        (request,) = daemon.tick()
        assert request.run_key not in keys
        keys.add(request.run_key)
        daemon.serve([request])


def test_hours_before_the_first_partition_are_scored_with_it(daemon: Daemon) -> None:
    append(daemon.settings, [observed(datetime(2019, 11, 24, 3, 30, tzinfo=UTC))])
    requests = daemon.tick()
    assert ranges(requests) == [(key_of(FIRST_HOUR), key_of(FIRST_HOUR))]
    daemon.serve(requests)
    assert materialise.stale_hours(daemon.settings) == []
    assert daemon.tick() == []


def test_hours_of_the_future_wait(daemon: Daemon) -> None:
    enqueue(daemon.settings, PRESENT + 3 * HOUR)
    assert daemon.tick() == []


def test_while_the_loop_works_nothing_is_asked_for(daemon: Daemon) -> None:
    enqueue(daemon.settings, PRESENT)
    daemon.instance.create_run_for_job(
        definitions(daemon.settings).resolve_job_def("learning_loop"), status=dg.DagsterRunStatus.STARTED
    )
    assert daemon.tick() == []
    assert daemon.skipped == "the learning loop is at work"


def test_the_same_content_is_asked_for_again_after_a_pause_with_a_new_key(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(daemon.settings, PRESENT)
    (first,) = daemon.tick()
    assert daemon.tick() == []
    assert "asked for a moment ago" in daemon.skipped
    monkeypatch.setattr(attempts, "FIRST_PAUSE", timedelta(0))
    (second,) = daemon.tick()
    assert second.run_key != first.run_key
    assert second.tags == first.tags


def test_new_rows_do_not_wait_for_the_pause_of_old_ones(daemon: Daemon) -> None:
    enqueue(daemon.settings, PRESENT)
    (first,) = daemon.tick()
    enqueue(daemon.settings, PRESENT, name="b")
    (second,) = daemon.tick()
    assert second.run_key != first.run_key


def test_a_run_that_fails_again_and_again_is_not_asked_for_at_every_tick(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(daemon.settings, PRESENT)
    fail(daemon, times=3)
    assert daemon.tick() == []
    assert "the last run failed" in daemon.skipped
    monkeypatch.setattr(attempts, "FIRST_PAUSE", timedelta(0))
    assert len(daemon.tick()) == 1


def test_a_corrupt_cursor_is_survived(daemon: Daemon) -> None:
    enqueue(daemon.settings, PRESENT)
    for cursor in ("", "{", "[]", '{"after": 7}', '{"requests": {"x": 1}}', "\x00"):
        daemon.cursor = cursor
        daemon.seen.clear()
        assert len(daemon.tick()) == 1
        assert HoursState.model_validate_json(daemon.cursor or "").requests


def test_many_scattered_hours_come_page_by_page(daemon: Daemon) -> None:
    moments = [PRESENT - timedelta(days=day) for day in range(1, 9)]
    enqueue(daemon.settings, *moments)
    asked: list[tuple[str, str]] = []
    for _ in range(3):
        requests = daemon.tick()
        assert 0 < len(requests) <= RANGES_PER_TICK
        asked += ranges(requests)
    assert sorted(asked) == sorted((key_of(moment), key_of(moment)) for moment in moments)


def test_ranges_that_stay_stale_are_never_dropped_by_an_old_key(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE", timedelta(0))
    moments = [PRESENT - timedelta(days=day) for day in range(1, RANGES_PER_TICK + 2)]
    enqueue(daemon.settings, *moments)
    asked = [request for _ in range(6) for request in daemon.tick()]
    for moment in moments:
        assert sum(request.tags[RANGE_START] == key_of(moment) for request in asked) == 3


def test_pauses_grow_and_are_bounded() -> None:
    pauses = [attempts.pause_after(failures) for failures in range(12)]
    assert pauses[:4] == [timedelta(0), timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=120)]
    assert pauses[-1] == timedelta(hours=1)
    assert pauses == sorted(pauses)
