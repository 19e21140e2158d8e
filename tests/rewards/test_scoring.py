from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.lake.query import quote
from cogorch_dagster.policies.kinds import RewardParams
from cogorch_dagster.policies.seed import documents
from cogorch_dagster.rewards import scoring
from cogorch_dagster.rewards.configuration import RewardConfig
from tests.rewards.samples import reference

SEEDED = [RewardParams.model_validate(d["params"]) for d in documents() if d["kind"] == "reward"]
OUTCOMES = st.sampled_from(["success", "failure", "timeout"])
SHARE = st.floats(0, 1)
DURATION = st.none() | st.floats(0, 1e7)
COST = st.none() | st.floats(0, 1e3)
QUALITY = st.none() | SHARE


@st.composite
def configurations(draw: st.DrawFn) -> RewardParams:
    """Any configuration that the schema accepts: a success that is slow and dear stays above the best failure."""
    base, quality = draw(st.floats(0, 0.9)), draw(SHARE)
    # A failure that may score 1 leaves no room for a better success.
    error = draw(st.floats(max(quality - 0.9, base + quality - 0.95, 0), 1))
    best_failure = max(base + quality - error, 0)
    penalty = draw(st.floats(0, 0.95)) * (1 + base - best_failure)
    latency = min(penalty * draw(SHARE), 1.0)
    cost = min(penalty - latency, 1.0)
    least = min(max(best_failure - base + latency + cost + 1e-6, 0), 1.0)
    return RewardParams(
        base=base,
        success_weight=draw(st.floats(least, 1)),
        quality_weight=quality,
        latency_weight=latency,
        cost_weight=cost,
        error_weight=error,
        max_latency_ms=draw(st.floats(1, 1e6)),
        max_cost_usd=draw(st.floats(1e-4, 1e3)),
    )


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def scored(connection: duckdb.DuckDBPyConnection, params: RewardParams, *rows: tuple[Any, ...]) -> list[dict[str, Any]]:
    """The parts and score of (outcome, quality, duration, cost) rows by the SQL, in their order."""
    config = RewardConfig("reward-x", "1.2.3", "sha256:0", params)
    columns = scoring.score_columns(outcome="r.o", quality="r.q", duration_ms="r.d", cost_usd="r.c")
    literals = ", ".join(
        f"({number}, {quote(outcome)}, "
        + ", ".join("NULL::DOUBLE" if value is None else f"{value!r}::DOUBLE" for value in values)
        + ")"
        for number, (outcome, *values) in enumerate(rows)
    )
    return (
        connection.sql(
            f"SELECT {columns} FROM (VALUES {literals}) AS r(i, o, q, d, c), "
            f"{scoring.configuration_values({('a', 'service'): config})} ORDER BY i"
        )
        .to_arrow_table()
        .to_pylist()
    )


def test_the_check_of_the_design(connection: duckdb.DuckDBPyConnection) -> None:
    (row,) = scored(connection, RewardParams(), ("success", None, 800.0, 0.01))
    assert row == pytest.approx(
        {
            "base": 0.25,
            "success_part": 0.6,
            "quality_part": 0.0,
            "latency_part": 0.05,
            "cost_part": 0.02,
            "error_part": 0.0,
            "score": 0.78,
        }
    )


@settings(max_examples=60, deadline=None)
@given(configurations(), st.lists(st.tuples(OUTCOMES, QUALITY, DURATION, COST), min_size=1, max_size=12))
def test_the_sql_is_the_formula(connection: Any, params: RewardParams, rows: list[tuple[Any, ...]]) -> None:
    found = scored(connection, params, *rows)
    assert [row["score"] for row in found] == pytest.approx([reference(params, *row) for row in rows], abs=1e-12)
    for row in found:
        total = row["base"] + row["success_part"] + row["quality_part"]
        total -= row["latency_part"] + row["cost_part"] + row["error_part"]
        assert 0 <= row["score"] <= 1
        assert row["score"] == pytest.approx(min(max(total, 0), 1), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(configurations(), OUTCOMES, QUALITY, st.tuples(st.floats(0, 1e7), st.floats(0, 1e7)), st.tuples(SHARE, SHARE))
def test_slower_or_dearer_is_never_better(
    connection: Any, params: RewardParams, outcome: str, quality: float | None, durations: Any, costs: Any
) -> None:
    fast, slow = sorted(durations)
    cheap, dear = sorted(costs)
    best, slower, dearer, worst = scored(
        connection,
        params,
        (outcome, quality, fast, cheap),
        (outcome, quality, slow, cheap),
        (outcome, quality, fast, dear),
        (outcome, quality, slow, dear),
    )
    assert best["score"] >= slower["score"] >= worst["score"]
    assert best["score"] >= dearer["score"] >= worst["score"]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SEEDED) | configurations(), st.sampled_from(["failure", "timeout"]), DURATION, COST, QUALITY)
def test_a_fast_failure_never_beats_a_slow_success(
    connection: Any, params: RewardParams, outcome: str, duration: float | None, cost: float | None, quality: Any
) -> None:
    success, failure, best_failure = scored(
        connection,
        params,
        ("success", 0.0, 1e9, 1e6),
        (outcome, quality, duration, cost),
        (outcome, 1.0, 0.0, 0.0),
    )
    assert best_failure["score"] <= success["score"] + 1e-12
    assert failure["score"] <= best_failure["score"]


@pytest.mark.parametrize("params", SEEDED)
def test_with_the_seeds_any_success_is_strictly_above_any_failure(connection: Any, params: RewardParams) -> None:
    success, failure = scored(connection, params, ("success", 0.0, 1e9, 1e6), ("failure", 1.0, 0.0, 0.0))
    assert success["score"] > failure["score"]


def test_what_is_unknown_has_no_part(connection: duckdb.DuckDBPyConnection) -> None:
    (row,) = scored(connection, RewardParams(quality_weight=0.3), ("success", None, None, None))
    assert (row["quality_part"], row["latency_part"], row["cost_part"]) == (0, 0, 0)
    assert row["score"] == pytest.approx(0.85)


def test_no_configuration_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        scoring.configuration_values({})
