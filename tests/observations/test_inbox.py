"""The inbox acknowledges after a commit, and a drain moves each row to the lake exactly once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from cogorch_dagster.lake import catalogue
from cogorch_dagster.observations import inbox, storing
from cogorch_dagster.observations.append import append
from cogorch_dagster.observations.parsing import parse_feedback
from cogorch_dagster.observations.schema import Feedback, Observation, to_table
from cogorch_dagster.platform import database
from cogorch_dagster.settings import Settings
from tests.observations.conftest import START

Observe = Callable[..., list[Observation]]
Stored = Callable[..., list[dict[str, Any]]]


def enqueue(settings: Settings, rows: list[Observation]) -> inbox.Enqueued:
    with database.transaction(settings) as connection:
        return inbox.enqueue(connection, rows)


def judge(rows: list[Observation], value: float = 1, delay: timedelta = timedelta(minutes=5)) -> list[Feedback]:
    parsed = parse_feedback(
        {
            "observation_id": row.observation_id,
            "metric": "quality",
            "value": value,
            "occurred_at": row.occurred_at + delay,
        }
        for row in rows
    )
    assert parsed.rejections == []
    return parsed.records


def test_a_row_reaches_the_lake_as_it_was_sent(settings: Settings, observe: Observe, stored: Stored) -> None:
    rows = observe(
        90,
        action="a",
        action_set=["a", "b"],
        propensity=0.1,
        http_status=503,
        attempt=2,
        cache_hit=True,
        input_tokens=2**39,
        cost_amount=1e-9,
        context={"text": 'quotes " \\ and ü\n', "n": 1.5},
    )
    assert enqueue(settings, rows) == inbox.Enqueued(added=90, duplicates=0)
    drained = inbox.drain(settings)
    assert (drained.observations, drained.duplicates) == (90, 0)
    assert drained.hours == [START, START + timedelta(hours=1)]
    sent = to_table(rows).to_pylist()
    for out, given in zip(stored(), sent, strict=True):
        assert out.pop("ingested_at") is not None
        assert given.pop("ingested_at") is None
        assert out == given
    assert inbox.drain(settings).taken == 0


def test_what_waits_is_counted_and_its_hours_are_known(settings: Settings, observe: Observe) -> None:
    rows = observe(70)
    enqueue(settings, rows[:70])
    with database.transaction(settings) as connection:
        late = observe(1, first=300)
        inbox.enqueue_feedback(connection, judge(late))
        assert inbox.depth(connection) == 71
        assert inbox.pending_hours(connection) == [START, START + timedelta(hours=1), START + timedelta(hours=5)]


def test_a_row_sent_twice_is_stored_once_whether_it_waits_or_was_drained(
    settings: Settings, observe: Observe, stored: Stored
) -> None:
    rows = observe(50)
    enqueue(settings, rows)
    assert enqueue(settings, rows) == inbox.Enqueued(added=0, duplicates=50)
    assert enqueue(settings, [*rows, *observe(1, first=50), *observe(1, first=50)]) == inbox.Enqueued(1, 51)
    inbox.drain(settings)
    assert enqueue(settings, rows).added == 50
    again = inbox.drain(settings)
    assert (again.observations, again.duplicates, again.hours) == (0, 50, [])
    assert append(settings, rows).duplicates == 50
    assert len(stored()) == 51


def test_an_uncommitted_row_is_not_accepted(settings: Settings, observe: Observe) -> None:
    with pytest.raises(RuntimeError), database.transaction(settings) as connection:
        inbox.enqueue(connection, observe(5))
        raise RuntimeError
    assert inbox.drain(settings).taken == 0


def test_overlapping_batches_in_opposite_orders_do_not_deadlock(settings: Settings, observe: Observe) -> None:
    rows = observe(400)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda turn: enqueue(settings, rows[:: 1 if turn % 2 else -1]), range(16)))
    assert sum(result.added for result in results) == 400


def test_drains_at_once_and_in_small_steps_move_each_row_once(
    settings: Settings, observe: Observe, stored: Stored
) -> None:
    enqueue(settings, observe(500))
    with ThreadPoolExecutor(4) as pool:
        drained = list(pool.map(lambda _: inbox.drain(settings, max_rows=150), range(4)))
    assert sorted(part.observations for part in drained) == [50, 150, 150, 150]
    assert len({row["source_id"] for row in stored()}) == len(stored()) == 500


def test_a_drain_bounds_its_hours_and_bytes(
    settings: Settings, observe: Observe, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(settings, observe(300))
    with monkeypatch.context() as patch:
        patch.setattr(inbox, "MAX_HOURS", 2)
        assert inbox.drain(settings).observations == 120
    with monkeypatch.context() as patch:
        patch.setattr(inbox, "MAX_BATCH_BYTES", 1)
        assert inbox.drain(settings).observations == 1
    assert inbox.drain(settings).observations == 179
    assert len(stored()) == 300


def test_an_hour_of_many_small_drains_is_merged(
    settings: Settings, observe: Observe, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "MAX_FILES", 3)
    rows = observe(10, action="a", action_set=["a"], propensity=1)
    for number in [*range(9, -1, -1), 4]:
        enqueue(settings, rows[number : number + 1])
        inbox.drain(settings)
        with database.transaction(settings) as connection:
            entry = catalogue.entry(connection, "observations", START)
        assert entry is not None
        assert len(entry.files) <= 3
    assert [row["source_id"] for row in stored()] == [row.source_id for row in rows]
    assert stored()[0]["action_set"] == ["a"]


def test_feedback_lands_in_the_hour_of_its_observation(settings: Settings, observe: Observe, stored: Stored) -> None:
    rows = observe(61)
    judged = judge(rows, delay=timedelta(days=2))
    for expected in (inbox.Enqueued(61, 0), inbox.Enqueued(0, 61)):
        with database.transaction(settings) as connection:
            assert inbox.enqueue_feedback(connection, judged) == expected
    drained = inbox.drain(settings)
    assert (drained.feedback, drained.hours) == (61, [START, START + timedelta(hours=1)])
    with database.transaction(settings) as connection:
        inbox.enqueue_feedback(connection, [*judged, *judge(rows[:1], value=0, delay=timedelta(days=3))])
    again = inbox.drain(settings)
    assert (again.feedback, again.duplicates, again.hours) == (1, 61, [START])
    values = [row["value"] for row in stored("feedback") if row["observation_id"] == rows[0].observation_id]
    assert values == [1, 0]


def test_a_drain_samples_like_an_append(settings: Settings, observe: Observe, stored: Stored) -> None:
    thin = settings.model_copy(update={"success_sample_rate": 0.5})
    rows = observe(200)
    enqueue(thin, rows)
    drained = inbox.drain(thin)
    assert drained.observations + drained.sampled_out == 200
    assert 0 < drained.sampled_out < 200
    assert append(thin, rows).duplicates == drained.observations
