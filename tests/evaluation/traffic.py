"""Traffic of a small router as observations and feedback in a lake; its rewards are computed apart from the product."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from cogorch_dagster.observations.append import append
from cogorch_dagster.observations.identity import derive
from cogorch_dagster.observations.inbox import drain, enqueue_feedback
from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA, Feedback
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import activation, administration, decisions, drafts
from cogorch_dagster.settings import Settings

POLICY = "router-core"
START = datetime.now(UTC).replace(minute=5, second=0, microsecond=0) - timedelta(hours=6)


@dataclass(frozen=True)
class Arm:
    """Milliseconds, USD, chance of an error, chance of a right answer."""

    latency: float
    cost: float
    error: float
    right: float


ARMS: Mapping[str, Arm] = {
    "small": Arm(8.0, 0.0001, 0.01, 0.92),
    "medium": Arm(25.0, 0.0004, 0.02, 0.96),
    "large": Arm(80.0, 0.0016, 0.05, 0.98),
}


WEIGHTS = {"small": 0.2, "medium": 0.2, "large": 0.6}
ROUTER = {
    "modelWeights": WEIGHTS,
    "latencyTargetMs": 100,
    "maxCostUsd": 0.002,
    "fallbackOn": ["error", "timeout"],
    "cooldownMs": 2000,
    "timeoutMs": 1000,
}
REWARD = {
    "appliesTo": {"componentKind": "llm_router"},
    "base": 0.25,
    "successWeight": 0.3,
    "qualityWeight": 0.35,
    "latencyWeight": 0.25,
    "costWeight": 0.2,
    "errorWeight": 0.6,
    "maxLatencyMs": 100,
    "maxCostUsd": 0.002,
}


def install(settings: Settings, router: Mapping[str, object] = ROUTER, reward: Mapping[str, object] = REWARD) -> None:
    """Bring a router's first version and a reward configuration into force."""
    with transaction(settings) as connection:
        administration.create_policy(connection, "reward-test", "reward", actor="test")
        administration.create_policy(connection, POLICY, "router", "router:core", actor="test")
    bring_into_force(settings, "reward-test", reward)
    bring_into_force(settings, POLICY, router)


def bring_into_force(settings: Settings, policy_id: str, params: Mapping[str, object]) -> str:
    """Propose, approve and activate; returns the version."""
    with transaction(settings) as connection:
        version = drafts.propose_version(connection, policy_id, params, actor="test").version
        decisions.approve(connection, policy_id, version, "test", "for the test")
        activation.activate(connection, f"{policy_id}@{version}", "test")
    return version


@dataclass
class Traffic:
    """Rows of observations and feedback, and the decisions behind them as plain dictionaries."""

    observations: list[dict[str, object]] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    decisions: list[dict[str, object]] = field(default_factory=list)

    def store(self, settings: Settings) -> None:
        columns = {
            each.name: pa.array([row.get(each.name) for row in self.observations], type=each.type)
            for each in OBSERVATION_SCHEMA
        }
        append(settings, pa.table(columns, schema=OBSERVATION_SCHEMA))
        with transaction(settings) as connection:
            enqueue_feedback(connection, self.feedback)
        drain(settings)


def generate(
    weights: Mapping[str, float],
    n: int,
    *,
    seed: int,
    version: str = "1.0.0",
    start: datetime = START,
    spacing_s: float = 0.5,
    feedback_after_s: float = 0.05,
    judged: float = 1.0,
    arms: Mapping[str, Arm] = ARMS,
    propensities: bool = True,
    arms_of: Mapping[str, Mapping[str, Arm]] | None = None,
    context: str | None = None,
) -> Traffic:
    """Draw n decisions: up to three attempts, and about one request in ten finds an arm cooling down.

    Args:
        arms_of: arms that behave otherwise for a tenant.
        context: JSON that every second decision carries.
    """
    rng = np.random.default_rng(seed)
    traffic = Traffic()
    for number in range(n):
        at = start + timedelta(seconds=number * spacing_s)
        names = [name for name in arms if rng.random() > 0.035] or list(arms)
        decision_id = f"{version}-{seed}-{number}"
        rows: list[dict[str, object]] = []
        while names and sum(weights[name] for name in names) > 0:
            share = np.array([weights[name] for name in names])
            share = share / share.sum()
            drawn = int(rng.choice(len(names), p=share))
            tenant = "tenant-a" if number % 3 else "tenant-b"
            arm = (arms_of or {}).get(tenant, arms)[names[drawn]]
            failed = rng.random() < arm.error
            duration = arm.latency * rng.lognormal(0, 0.3)
            rows.append(
                {
                    "source": "test",
                    "source_id": f"{decision_id}-{len(rows)}",
                    "occurred_at": at,
                    "component": "router:core",
                    "component_kind": "llm_router",
                    "policy_id": POLICY,
                    "policy_version": version,
                    "decision_id": decision_id,
                    "action": names[drawn],
                    "propensity": float(share[drawn]) if propensities else None,
                    "action_set": list(names),
                    "tenant": tenant,
                    "context": context if number % 2 else None,
                    "outcome": "failure" if failed else "success",
                    "attempt": len(rows) + 1,
                    "duration_ms": duration,
                    "cost_amount": arm.cost * rng.lognormal(0, 0.2),
                    "cost_currency": "USD",
                    "sample_weight": 1.0,
                }
            )
            at += timedelta(milliseconds=duration)
            names = [name for name in names if name != names[drawn]]
            if not failed:
                break
        for row in rows:
            row["observation_id"] = derive(row["source"], row["source_id"], row["occurred_at"])
        quality = None
        if not failed and rng.random() < judged:
            quality = float(rng.random() < arm.right)
            traffic.feedback.append(
                Feedback(
                    observation_id=rows[-1]["observation_id"],
                    metric="quality",
                    value=quality,
                    occurred_at=at + timedelta(seconds=feedback_after_s),
                )
            )
        traffic.observations += rows
        traffic.decisions.append(
            {"rows": rows, "quality": quality, "failed": failed, "reward": _reward(rows, quality, failed)}
        )
    return traffic


def _reward(rows: list[dict[str, object]], quality: float | None, failed: bool) -> float:
    """`REWARD` by hand."""
    duration, cost = sum(row["duration_ms"] for row in rows), sum(row["cost_amount"] for row in rows)
    score = 0.25 + 0.3 * (not failed) + 0.35 * (quality or 0.0) - 0.6 * failed
    score -= 0.25 * min(duration / 100, 1) + 0.2 * min(cost / 0.002, 1)
    return min(max(score, 0.0), 1.0)
