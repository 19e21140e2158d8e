"""A router with a version to ramp, its canary document, and observations of both versions as its router would send."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np

from cogorch_dagster.observations.identity import derive
from cogorch_dagster.observations.inbox import enqueue, enqueue_feedback
from cogorch_dagster.observations.schema import Feedback, Observation
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, decisions, drafts, ramps, store
from cogorch_dagster.policies.activation import Activation, activate
from cogorch_dagster.policies.ramps import Ramp
from cogorch_dagster.settings import Settings

POLICY = "router-x"
PLAN: dict[str, Any] = {
    "stages": [0.1, 0.5, 1.0],
    "stageDurationMs": 1,
    "minSamples": 40,
    "maxRewardDrop": 0.1,
    "maxErrorRateIncrease": 0.1,
    "maxLatencyIncrease": 1.0,
    "maxCostIncrease": None,
}
REWARD = {"base": 0.1, "successWeight": 0.4, "qualityWeight": 0.5, "latencyWeight": 0.25, "maxLatencyMs": 250}


def router_params(first: float) -> dict[str, Any]:
    return {
        "modelWeights": {"a": first, "b": 1 - first},
        "latencyTargetMs": 100,
        "maxCostUsd": 0.01,
        "fallbackOn": [],
        "cooldownMs": 0,
        "timeoutMs": 1000,
    }


def put_in_force(settings: Settings, policy_id: str, params: Mapping[str, Any]) -> Activation:
    """Propose, approve and claim."""
    with transaction(settings) as connection:
        draft = drafts.propose_version(connection, policy_id, params, actor="ada")
        decision = decisions.approve(connection, policy_id, draft.version, "ada", "the test wants it")
        return activate(connection, decision.decision_id, "ada")


def begin(settings: Settings, plan: Mapping[str, Any] = PLAN) -> Ramp:
    """1.0.0 is active and 1.0.1 has its first share of the traffic."""
    with transaction(settings) as connection:
        administration.create_policy(connection, POLICY, "router", "router:x", actor="ada")
        administration.create_policy(connection, "pace", "canary", actor="ada")
        administration.create_policy(connection, "reward-x", "reward", actor="ada")
    put_in_force(settings, "reward-x", REWARD)
    put_in_force(settings, POLICY, router_params(0.5))
    put_in_force(settings, "pace", plan)
    assert put_in_force(settings, POLICY, router_params(0.6)).share == plan["stages"][0]
    return running(settings)


def running(settings: Settings) -> Ramp:
    """The ramp, running or just ended, as it is now."""
    with transaction(settings) as connection:
        found = ramps.latest(connection, POLICY)
    assert found is not None
    return found


def statuses(settings: Settings) -> dict[str, str]:
    """The status of every version."""
    with transaction(settings) as connection:
        return {each.version: each.status for each in store.versions(connection, POLICY)}


def send(
    settings: Settings,
    ramp: Ramp,
    count: int,
    *,
    seed: int,
    share: float | None = None,
    errors: tuple[float, float] = (0.02, 0.02),
    right: tuple[float, float] = (0.9, 0.9),
    latency_ms: tuple[float, float] = (20.0, 20.0),
    units: int | None = None,
    tagged: bool = True,
    judged: bool = True,
    after: int = 0,
) -> None:
    """Decisions of the ramp's present step, of (control, canary), in the inbox; one every 10 ms from its beginning.

    Args:
        share: that the router really sends to the canary; None: the ramp's.
        units: so many unit keys, each of which keeps its version.
        after: decisions that were sent before in this step.
    """
    rng = np.random.default_rng(seed)
    share = ramp.share if share is None else share
    of_unit = rng.random(units or 1) < share
    observations, feedback = [], []
    for number in range(count):
        unit = int(rng.integers(units)) if units else None
        treated = bool(of_unit[unit]) if unit is not None else bool(rng.random() < share)
        at = ramp.step_started_at + timedelta(milliseconds=10 * (after + number + 1))
        failed = bool(rng.random() < errors[treated])
        key = f"{seed}-{ramp.step}-{after + number}"
        observation = Observation(
            observation_id=derive("test", key, at),
            source="test",
            source_id=key,
            occurred_at=at,
            component="router:x",
            component_kind="llm_router",
            policy_id=POLICY,
            policy_version=ramp.version if treated else ramp.control,
            decision_id=key,
            action="a",
            propensity=0.5,
            action_set=["a", "b"],
            unit_key=None if unit is None else f"unit-{unit}",
            tags=json.dumps({"canary": ramp.version, "canary_share": ramp.share}) if tagged else None,
            outcome="failure" if failed else "success",
            attempt=1,
            duration_ms=latency_ms[treated] * rng.lognormal(0, 0.3),
        )
        observations.append(observation)
        if not failed and judged:
            feedback.append(
                Feedback(
                    observation_id=observation.observation_id,
                    metric="quality",
                    value=float(rng.random() < right[treated]),
                    occurred_at=at + timedelta(milliseconds=50),
                )
            )
    with transaction(settings) as connection:
        enqueue(connection, observations)
        enqueue_feedback(connection, feedback)
