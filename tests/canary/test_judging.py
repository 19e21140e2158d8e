"""The judge on streams of decisions: alarms where nothing is wrong, and where something begins to be."""

import uuid
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cogorch_dagster.canary.judging import opinion
from cogorch_dagster.evaluation.trial import Trial, by_unit, values
from cogorch_dagster.policies.kinds import CanaryParams
from cogorch_dagster.policies.ramps import Plan, Ramp

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
SHARE = 0.25
PLAN = CanaryParams(
    stages=[SHARE, 1.0],
    stage_duration_ms=1.0,
    min_samples=50,
    max_reward_drop=0.05,
    max_error_rate_increase=0.05,
    max_latency_increase=0.5,
    max_cost_increase=None,
)


def ramp() -> Ramp:
    fields: dict[str, Any] = dict.fromkeys(("judged_at", "verdict", "ended_at", "outcome", "reason"))
    times = dict.fromkeys(("started_at", "step_started_at", "changed_at"), MOMENT)
    return Ramp(uuid.uuid4(), "router-x", "1.0.1", "1.0.0", Plan("pace@1.0.0", PLAN), 0, SHARE, **times, **fields)


def stream(n: int, seed: int, *, fault_from: int | None = None, errors: float = 0.4) -> Trial:
    """Decisions of two equal versions: 5 % errors, heavy-tailed latency; from `fault_from` on the canary errs more."""
    rng = np.random.default_rng(seed)
    treated = rng.random(n) < SHARE
    chance = np.where(treated & (np.arange(n) >= (n if fault_from is None else fault_from)), errors, 0.05)
    failed = rng.random(n) < chance
    duration = np.minimum(20 * rng.lognormal(0, 1, n), 250)
    reward = np.where(failed, 0.0, 0.5 + 0.5 * (rng.random(n) < 0.9)) - 0.25 * duration / 250
    rows = pd.DataFrame(
        {
            "share": SHARE,
            "began_s": np.arange(n, dtype=float),
            "treated": treated,
            "unit": [f"d{number}" for number in range(n)],
            "reward": np.clip(reward, 0, 1),
            "failed": failed.astype(float),
            "duration_ms": duration,
            "cost_usd": np.nan,
            "weight": 1.0,
        }
    )
    return Trial(rows, 250.0, 1.0)


def first_objection(found: Trial, every: int) -> int | None:
    """After how many decisions the judge first objects, watched every so many."""
    for seen in range(every, len(found.rows) + 1, every):
        if opinion(Trial(found.rows[:seen], 250.0, 1.0), ramp()).objection is not None:
            return seen
    return None


def test_equal_versions_are_rarely_taken_back_however_often_they_are_watched() -> None:
    alarms = sum(first_objection(stream(3000, seed), every=150) is not None for seed in range(60))
    # At most 5 % per ramp: 7 of 60 or more would happen to such a judge once in 30 times.
    assert alarms <= 6


def test_a_fault_is_found_within_a_block_wherever_it_begins() -> None:
    # A block has 2 x 50 decisions of the canary, 400 requests; the fault may have to wait for the next one to fill.
    for seed, fault_from in enumerate((0, 700, 1500, 2600)):
        found = first_objection(stream(fault_from + 1200, 100 + seed, fault_from=fault_from), every=100)
        assert found is not None and fault_from < found <= fault_from + 900, (fault_from, found)


def test_what_sticks_to_a_version_is_averaged_first() -> None:
    rows = stream(1000, 1).rows
    rows["unit"] = [f"u{treated}-{number % 10}" for number, treated in enumerate(rows["treated"])]
    units = by_unit(rows)
    assert len(units) == 20
    assert units["reward"].mean() == pytest.approx(rows.groupby(["treated", "unit"])["reward"].mean().mean())


def test_kept_successes_stand_for_those_that_were_not() -> None:
    rng = np.random.default_rng(3)
    full = pd.DataFrame({"reward": np.where(rng.random(40_000) < 0.1, 0.0, 0.8), "weight": 1.0})
    kept = full[(full["reward"] == 0) | (rng.random(len(full)) < 0.2)].copy()
    kept.loc[kept["reward"] > 0, "weight"] = 5.0
    linear = values(kept, "reward")
    assert linear.mean() == pytest.approx(np.average(kept["reward"], weights=kept["weight"]))
    assert linear.mean() == pytest.approx(0.72, abs=0.01)
    # The naive mean would be off by far more than its standard error.
    assert abs(kept["reward"].mean() - 0.72) > 0.1
