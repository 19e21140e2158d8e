"""Observations and feedback for the tests of this folder, put into the lake, and the reward formula in plain Python."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from cogorch_dagster.lake import catalogue, files, query
from cogorch_dagster.lake.hours import floor_hour
from cogorch_dagster.observations.schema import Feedback, Observation, to_table
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies.kinds import RewardParams
from cogorch_dagster.settings import Settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
_numbers = count()


def observation(at: datetime = NOON, **fields: Any) -> Observation:
    """A successful observation of a service in half the latency and cost at which the default reward is least."""
    defaults = {
        "source": "test",
        "source_id": str(next(_numbers)),
        "component": "svc",
        "component_kind": "service",
        "outcome": "success",
        "duration_ms": 2000.0,
        "cost_amount": 0.05,
    }
    return Observation(**(defaults | {"occurred_at": at, "ingested_at": at} | fields))


def judgement(of: Observation, value: float, after: timedelta = HOUR, metric: str = "quality") -> Feedback:
    at = of.occurred_at + after
    return Feedback(observation_id=of.observation_id, metric=metric, value=value, occurred_at=at, ingested_at=at)


def store(settings: Settings, *observations: Observation) -> None:
    """Append observations, each to its own hour."""
    _store(settings, [(floor_hour(each.occurred_at), each) for each in observations], Observation, "observations")


def store_feedback(settings: Settings, *pairs: tuple[Observation, Feedback]) -> None:
    """Append feedback, each to the hour of the observation that it judges."""
    _store(settings, [(floor_hour(judged.occurred_at), each) for judged, each in pairs], Feedback, "feedback")


def _store(settings: Settings, rows: list[tuple[datetime, Any]], model: type, dataset: Any) -> None:
    with transaction(settings) as connection:
        for hour in sorted({hour for hour, _ in rows}):
            own = [row for at, row in rows if at == hour]
            path = files.write(settings, dataset, hour, to_table(own, model))
            catalogue.append_files(connection, dataset, hour, [path], len(own))


def stored(settings: Settings, dataset: Any) -> list[dict[str, Any]]:
    """Every row that the catalogue's files of a derived dataset hold."""
    from cogorch_dagster.rewards.schema import REWARD_SCHEMA, ROLLUP_SCHEMA

    with transaction(settings) as connection:
        entries = catalogue.entries(connection, dataset)
    schema = REWARD_SCHEMA if dataset == "rewards" else ROLLUP_SCHEMA
    with query.connected(settings) as duckdb:
        rows = query.table(duckdb, f"SELECT * FROM {query.scan(settings, entries, schema)}").to_pylist()
    assert len(rows) == sum(entry.rows for entry in entries)
    return rows


def scores(settings: Settings) -> dict[str, float]:
    return {row["observation_id"]: row["score"] for row in stored(settings, "rewards")}


def reference(
    params: RewardParams, outcome: str, quality: float | None, duration_ms: float | None, cost: float | None
) -> float:
    """The design's formula, one observation at a time."""
    score = params.base
    if outcome == "success":
        score += params.success_weight
    if quality is not None:
        score += params.quality_weight * quality
    if duration_ms is not None:
        score -= params.latency_weight * min(duration_ms / params.max_latency_ms, 1)
    if cost is not None:
        score -= params.cost_weight * min(cost / params.max_cost_usd, 1)
    if outcome in ("failure", "timeout"):
        score -= params.error_weight
    return min(max(score, 0.0), 1.0)


def activate(settings: Settings, policy_id: str, params: dict[str, Any]) -> str:
    """Bring a version of a reward configuration into force by the life cycle; returns the version."""
    from cogorch_dagster.policies import activation, administration, decisions, drafts, store

    with transaction(settings) as connection:
        if policy_id not in {each.policy_id for each in store.policies(connection)}:
            administration.create_policy(connection, policy_id, "reward", None, actor="test")
        draft = drafts.propose_version(connection, policy_id, params, actor="test")
        decision = decisions.approve(connection, policy_id, draft.version, "test", "a test", digest=draft.digest)
        activation.activate(connection, decision.decision_id, "test")
        return draft.version


def hours_of(observations: Iterable[Observation]) -> list[datetime]:
    return sorted({floor_hour(each.occurred_at) for each in observations})
