import multiprocessing
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from cogorch_dagster.lake import catalogue, files
from cogorch_dagster.observations.schema import Observation
from cogorch_dagster.platform import database
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies.kinds import RewardParams
from cogorch_dagster.rewards import hourly, materialise, staleness
from cogorch_dagster.rewards.materialise import materialise_rewards, materialise_rollups, stale_hours
from cogorch_dagster.settings import Settings
from tests.rewards.samples import (
    HOUR,
    NOON,
    activate,
    hours_of,
    judgement,
    observation,
    reference,
    scores,
    store,
    store_feedback,
    stored,
)

OUTCOMES = ("success", "failure", "timeout", "cancelled", "pending")


def a_mixture(hours: int, each: int, seed: int = 7) -> list[Observation]:
    generator = random.Random(seed)
    return [
        observation(
            NOON + hour * HOUR + timedelta(seconds=generator.uniform(0, 3599)),
            component=generator.choice(["svc", "svc-2"]),
            outcome=generator.choice(OUTCOMES),
            duration_ms=generator.choice([None, generator.uniform(0, 9000)]),
            cost_amount=generator.choice([None, generator.uniform(0, 0.2)]),
            policy_id="p",
            policy_version=generator.choice(["1.0.0", "1.0.1"]),
        )
        for hour in range(hours)
        for _ in range(each)
    ]


def expected(observations: list[Observation]) -> dict[str, float]:
    return {
        str(o.observation_id): pytest.approx(reference(RewardParams(), o.outcome, None, o.duration_ms, o.cost_amount))
        for o in observations
        if o.outcome in ("success", "failure", "timeout")
    }


def bring_up_to_date(settings: Settings) -> None:
    hours = stale_hours(settings)
    materialise_rewards(settings, hours)
    materialise_rollups(settings, hours)


@pytest.mark.parametrize("small_rows", [1, 25, 200_000])
def test_each_way_of_passing_over_the_hours_gives_the_same(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, small_rows: int
) -> None:
    monkeypatch.setattr(hourly, "SMALL_ROWS", small_rows)
    monkeypatch.setattr(hourly, "ROLLUP_ROWS", small_rows)
    observations = a_mixture(hours=5, each=12)
    store(settings, *observations)
    assert stale_hours(settings) == hours_of(observations)
    done = materialise_rewards(settings, hours_of(observations))
    assert (done.hours, done.skipped) == (tuple(hours_of(observations)), ())
    assert scores(settings) == expected(observations)
    assert done.rows == len(expected(observations))
    materialise_rollups(settings, hours_of(observations))
    assert sum(row["n"] for row in stored(settings, "rollups")) == len(observations)
    assert {row["hour"] for row in stored(settings, "rollups")} == set(hours_of(observations))
    assert stale_hours(settings) == []


def test_a_lake_on_another_file_system(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hourly, "SMALL_ROWS", 15)
    remote = settings.model_copy(update={"lake": f"memory://{tmp_path.name}"})
    observations = [*a_mixture(hours=2, each=6), *a_mixture(hours=1, each=30, seed=3)]
    store(remote, *observations)
    bring_up_to_date(remote)
    assert scores(remote) == expected(observations)
    assert stale_hours(remote) == []


def test_a_second_run_writes_nothing(settings: Settings) -> None:
    store(settings, *a_mixture(hours=3, each=5))
    bring_up_to_date(settings)
    before = sorted(Path(settings.lake_root).rglob("*.parquet"))
    again = materialise_rewards(settings, [NOON, NOON + HOUR])
    rollups = materialise_rollups(settings, [NOON, NOON + HOUR])
    assert again.hours == rollups.hours == ()
    assert again.current == rollups.current == (NOON, NOON + HOUR)
    assert sorted(Path(settings.lake_root).rglob("*.parquet")) == before
    assert materialise_rewards(settings, [NOON], force=True).hours == (NOON,)
    assert stale_hours(settings) == [NOON]


def test_hours_without_what_they_need_are_skipped(settings: Settings) -> None:
    store(settings, observation())
    assert materialise_rewards(settings, [NOON, NOON + HOUR]).skipped == (NOON + HOUR,)
    store(settings, observation(NOON + 2 * HOUR))
    assert materialise_rollups(settings, [NOON, NOON + 2 * HOUR]).skipped == (NOON + 2 * HOUR,)
    assert materialise_rewards(settings, []).hours == ()


def test_an_hour_of_unscored_observations_is_done_and_counted(settings: Settings) -> None:
    store(settings, observation(outcome="pending"), observation(outcome="cancelled"), observation(outcome="pending"))
    bring_up_to_date(settings)
    assert stored(settings, "rewards") == []
    (row,) = stored(settings, "rollups")
    assert (row["n"], row["n_pending"], row["n_cancelled"], row["reward_n"], row["latency"]) == (3, 2, 1, 0, None)
    assert stale_hours(settings) == []


def test_a_reward_carries_its_parts_and_its_version(settings: Settings) -> None:
    activate(settings, "reward-svc", {"appliesTo": {"component": "svc"}, "qualityWeight": 0.1})
    own, other = observation(sample_weight=4.0, policy_id="p", policy_version="2.0.0"), observation(component="else")
    store(settings, own, other)
    store_feedback(settings, (own, judgement(own, 0.5)))
    materialise_rewards(settings, [NOON])
    rows = {row["observation_id"]: row for row in stored(settings, "rewards")}
    assert rows[own.observation_id] == {
        **{"observation_id": own.observation_id, "occurred_at": NOON, "component": "svc", "component_kind": "service"},
        **{"policy_id": "p", "policy_version": "2.0.0", "base": 0.25, "success_part": 0.6, "latency_part": 0.125},
        **{"cost_part": 0.1, "error_part": 0.0, "quality_part": 0.05, "quality": 0.5, "sample_weight": 4.0},
        **{"reward_policy_id": "reward-svc", "reward_version": "1.0.0", "score": pytest.approx(0.675)},
        **{"outcome": "success", "duration_ms": 2000.0, "cost_usd": 0.05},
    }
    assert rows[other.observation_id]["reward_policy_id"] == "reward-default"
    assert rows[other.observation_id]["quality"] is None


def test_a_late_row_makes_its_own_hour_stale(settings: Settings) -> None:
    store(settings, *a_mixture(hours=3, each=4))
    bring_up_to_date(settings)
    late = observation(NOON + HOUR + timedelta(minutes=59))
    store(settings, late)
    assert stale_hours(settings) == [NOON + HOUR]
    assert stale_hours(settings, since=NOON + 2 * HOUR) == []
    bring_up_to_date(settings)
    assert scores(settings)[str(late.observation_id)] == pytest.approx(0.625)
    assert stale_hours(settings) == []


def test_late_feedback_scores_its_hour_again_and_the_latest_holds(settings: Settings) -> None:
    activate(settings, "reward-default", {"qualityWeight": 0.1})
    first, second = observation(), observation(NOON + HOUR)
    store(settings, first, second)
    bring_up_to_date(settings)
    before = scores(settings)
    store_feedback(settings, (first, judgement(first, 1.0, after=2 * HOUR)))
    assert stale_hours(settings) == [NOON]
    bring_up_to_date(settings)
    assert scores(settings)[str(first.observation_id)] == pytest.approx(before[str(first.observation_id)] + 0.1)
    store_feedback(settings, (first, judgement(first, 0.0, after=3 * HOUR)), (first, judgement(first, 0.9)))
    store_feedback(settings, (first, judgement(first, 1.0, after=9 * HOUR, metric="speed")))
    bring_up_to_date(settings)
    assert scores(settings) == pytest.approx(before)


def test_a_changed_configuration_makes_stale_what_it_applies_to(settings: Settings) -> None:
    store(settings, observation(), observation(NOON + HOUR, component="else"))
    store(settings, observation(NOON + 2 * HOUR, component="r", component_kind="llm_router"))
    bring_up_to_date(settings)
    activate(settings, "reward-else", {"appliesTo": {"component": "else"}, "base": 0.2})
    assert stale_hours(settings) == [NOON + HOUR]
    activate(settings, "reward-router", {"appliesTo": {"componentKind": "llm_router"}, "base": 0.2})
    assert stale_hours(settings) == [NOON + HOUR, NOON + 2 * HOUR]
    bring_up_to_date(settings)
    activate(settings, "reward-default", {"base": 0.2})
    assert stale_hours(settings) == [NOON]
    bring_up_to_date(settings)
    assert list(scores(settings).values()) == [pytest.approx(0.575)] * 3
    assert {row["reward_policy_id"] for row in stored(settings, "rewards")} == {
        *("reward-default", "reward-else", "reward-router")
    }


def test_with_too_many_components_any_configuration_makes_the_hour_stale(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staleness, "MOST_COMPONENTS", 2)
    store(settings, *(observation(component=f"c{number}") for number in range(3)))
    bring_up_to_date(settings)
    assert stale_hours(settings) == []
    activate(settings, "reward-other", {"appliesTo": {"component": "nowhere"}})
    assert stale_hours(settings) == [NOON]


def test_what_retention_dropped_is_not_stale_and_its_rollup_stays(settings: Settings) -> None:
    store(settings, *a_mixture(hours=2, each=6))
    bring_up_to_date(settings)
    kept = stored(settings, "rollups")
    with transaction(settings) as connection:
        for dataset in ("observations", "feedback", "rewards"):
            catalogue.drop_hours(connection, dataset, NOON + HOUR)
    activate(settings, "reward-default", {"base": 0.2})
    assert stale_hours(settings) == [NOON + HOUR]
    assert materialise_rewards(settings, [NOON]).skipped == (NOON,)
    assert materialise_rollups(settings, [NOON]).skipped == (NOON,)
    assert sorted(map(str, stored(settings, "rollups"))) == sorted(map(str, kept))


def test_rows_that_arrive_during_the_work_leave_the_hour_stale(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(settings, observation())
    score = hourly.score

    def slow_score(*arguments: object) -> object:
        written = score(*arguments)
        store(settings, observation())
        return written

    monkeypatch.setattr(hourly, "score", slow_score)
    materialise_rewards(settings, [NOON])
    assert len(stored(settings, "rewards")) == 1
    assert stale_hours(settings) == [NOON]
    monkeypatch.undo()
    bring_up_to_date(settings)
    assert len(stored(settings, "rewards")) == 2


def _in_a_process(settings: Settings) -> None:
    bring_up_to_date(settings)
    database.dispose()


def test_processes_and_threads_at_once_end_as_one_would(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(materialise, "MOST_HOURS", 2)
    observations = a_mixture(hours=7, each=6)
    store(settings, *observations)
    spawned = multiprocessing.get_context("spawn")
    processes = [spawned.Process(target=_in_a_process, args=(settings,)) for _ in range(2)]
    for process in processes:
        process.start()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(bring_up_to_date, [settings] * 3))
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    bring_up_to_date(settings)
    assert stale_hours(settings) == []
    assert scores(settings) == expected(observations)
    assert sum(row["n"] for row in stored(settings, "rollups")) == len(observations)
    files.delete_unreferenced(settings, timedelta(0))
    assert scores(settings) == expected(observations)


def test_a_cost_in_another_currency_is_not_taken_for_dollars(settings: Settings) -> None:
    store(settings, observation(cost_amount=0.1, cost_currency="EUR"), observation(cost_amount=0.1))
    bring_up_to_date(settings)
    assert sorted(row["cost_part"] for row in stored(settings, "rewards")) == [0.0, 0.2]
    (row,) = stored(settings, "rollups")
    assert (row["cost_n"], row["cost_swy"], row["reward_n"]) == (1, 0.1, 2)
