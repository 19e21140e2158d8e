import math
import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from cogorch_dagster.lake.hours import floor_hour
from cogorch_dagster.observations.schema import Observation
from cogorch_dagster.policies.kinds import RewardParams
from cogorch_dagster.rewards.materialise import materialise_rewards, materialise_rollups, stale_hours
from cogorch_dagster.rewards.rolling import RollingRow, rolling_stats
from cogorch_dagster.settings import Settings
from tests.rewards.samples import HOUR, NOON, observation, reference, store


def bring_up_to_date(settings: Settings) -> None:
    materialise_rewards(settings, stale_hours(settings))
    materialise_rollups(settings, stale_hours(settings))


def by_key(rows: list[RollingRow]) -> dict[tuple[str, str | None, str], RollingRow]:
    found = {(row.component, row.policy_version, row.window): row for row in rows}
    assert len(found) == len(rows)
    return found


def traffic(hours: int, each: int) -> list[Observation]:
    generator = random.Random(11)
    return [
        observation(
            NOON - hour * HOUR + timedelta(seconds=generator.uniform(0, 3599)),
            component=generator.choice(["a", "b"]),
            policy_id="p",
            policy_version=generator.choice(["1.0.0", "1.0.1", None]),
            outcome=generator.choices(["success", "failure", "timeout", "pending", "cancelled"], [8, 1, 1, 1, 1])[0],
            duration_ms=generator.choice([None, generator.lognormvariate(6, 1.5)]),
            cost_amount=generator.choice([None, generator.uniform(0, 0.2)]),
            sample_weight=generator.choice([1.0, 4.0]),
        )
        for hour in range(hours)
        for _ in range(each)
    ]


def hajek(y: list[float], w: list[float]) -> tuple[float, float]:
    values, weights = np.array(y), np.array(w)
    mean = np.average(values, weights=weights)
    spread = np.sum(weights**2 * (values - mean) ** 2) * len(y) / (len(y) - 1)
    return float(mean), math.sqrt(spread) / weights.sum()


def quantile(y: list[float], w: list[float], share: float) -> float:
    """The smallest value at or below which lies that share of the weight."""
    reached, total = 0.0, sum(w)
    for value, weight in sorted(zip(y, w, strict=True)):
        reached += weight
        if reached >= share * total * (1 - 1e-12):
            return value
    raise AssertionError


def check(row: RollingRow, observations: list[Observation]) -> None:
    """A row against statistics made from the observations one by one."""
    scored = [o for o in observations if o.outcome in ("success", "failure", "timeout")]
    weights = [o.sample_weight for o in scored]
    assert (row.n, row.scored) == (len(observations), len(scored))
    rewards = [reference(RewardParams(), o.outcome, None, o.duration_ms, o.cost_amount) for o in scored]
    assert (row.mean_reward, row.mean_reward_se) == pytest.approx(hajek(rewards, weights))
    successes = [float(o.outcome == "success") for o in scored]
    assert (row.success_rate, row.success_rate_se) == pytest.approx(hajek(successes, weights))
    priced = [(o.cost_amount, o.sample_weight) for o in scored if o.cost_amount is not None]
    assert (row.mean_cost, row.mean_cost_se) == pytest.approx(hajek(*map(list, zip(*priced, strict=True))))
    timed = [(o.duration_ms, o.sample_weight) for o in scored if o.duration_ms is not None]
    durations, timed_weights = map(list, zip(*timed, strict=True))
    assert row.p50_ms == pytest.approx(quantile(durations, timed_weights, 0.5), rel=0.01)
    assert row.p95_ms == pytest.approx(quantile(durations, timed_weights, 0.95), rel=0.01)


def test_every_row_equals_what_the_observations_say(settings: Settings) -> None:
    observations = traffic(hours=40, each=40)
    store(settings, *observations)
    bring_up_to_date(settings)
    as_of = NOON + timedelta(minutes=20)
    rows = by_key(rolling_stats(settings, as_of))
    assert set(rows) == {(c, v, w) for c in "ab" for v in (None, "1.0.0", "1.0.1") for w in ("1h", "24h", "7d")}
    for (component, version, window), row in rows.items():
        first = floor_hour(as_of - {"1h": HOUR, "24h": 24 * HOUR, "7d": 168 * HOUR}[window])
        of_row = [
            o
            for o in observations
            if o.component == component and o.occurred_at >= first and version in (None, o.policy_version)
        ]
        check(row, of_row)
        assert (row.component_kind, row.as_of, row.policy_id) == ("service", as_of, None if version is None else "p")


def test_a_window_is_the_whole_hours_that_it_overlaps(settings: Settings) -> None:
    store(settings, *(observation(NOON + step * HOUR) for step in range(-30, 2)))
    bring_up_to_date(settings)

    def counts(as_of: datetime) -> list[int]:
        return [row.n for row in rolling_stats(settings, as_of)]

    assert counts(NOON + timedelta(minutes=20)) == [2, 25, 31]
    assert counts(NOON + HOUR) == [1, 24, 31]
    assert counts(NOON - 29 * HOUR) == [1, 1, 1]
    assert counts(NOON - 31 * HOUR) == []
    assert [row.window for row in rolling_stats(settings, NOON + 24 * HOUR)] == ["24h", "7d"]


def test_by_default_windows_end_now_and_the_partial_hour_counts(settings: Settings) -> None:
    store(settings, observation(datetime.now(UTC)))
    bring_up_to_date(settings)
    rows = rolling_stats(settings)
    assert [(row.window, row.n) for row in rows] == [("1h", 1), ("24h", 1), ("7d", 1)]
    assert rows[0].mean_reward == pytest.approx(0.625)
    assert rows[0].mean_reward_se is None


def test_one_component_can_be_asked_for(settings: Settings) -> None:
    store(settings, observation(), observation(component="it's"))
    bring_up_to_date(settings)
    assert {row.component for row in rolling_stats(settings, NOON + HOUR)} == {"svc", "it's"}
    assert {row.component for row in rolling_stats(settings, NOON + HOUR, component="it's")} == {"it's"}
    assert rolling_stats(settings, NOON + HOUR, component="none") == []


def test_without_a_scored_row_statistics_are_none(settings: Settings) -> None:
    store(settings, observation(outcome="pending"))
    bring_up_to_date(settings)
    row = rolling_stats(settings, NOON + HOUR)[0].as_dict()
    assert (row["n"], row["scored"], row["as_of"]) == (1, 0, "2026-03-01T13:00:00+00:00")
    assert {name for name, value in row.items() if value is None} == {
        *("policy_id", "policy_version", "success_rate", "success_rate_se", "p50_ms", "p95_ms"),
        *("mean_cost", "mean_cost_se", "mean_reward", "mean_reward_se"),
    }


def test_an_empty_lake_has_no_rows(settings: Settings) -> None:
    assert rolling_stats(settings) == []
