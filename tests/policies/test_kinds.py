"""Every kind refuses what it must, and the reward keeps a slow success above a fast failure."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies import kinds
from cogorch_dagster.policies.document import digest


def test_router_accepts_weights_that_sum_to_one_within_1e_6(params: Any) -> None:
    kinds.validated("router", params(modelWeights={"a": 0.3333333, "b": 0.3333333, "c": 0.3333334}))
    kinds.validated("router", params(modelWeights={"a": 0.5, "b": 0.5000009}))


def test_a_document_without_tenants_keeps_its_digest(params: Any) -> None:
    """The digest that these parameters had before tenants could have weights of their own."""
    plain = kinds.validated("router", params(modelWeights={"a": 0.5, "b": 0.5}))
    assert "tenantWeights" not in plain
    own = kinds.validated("router", params(tenantWeights={"acme": {"a": 1.0}}))
    assert own["tenantWeights"] == {"acme": {"a": 1.0}}
    assert digest(own) != digest(plain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modelWeights": {"a": 0.5, "b": 0.500002}}, r"modelWeights sum to 1\.000002"),
        ({"modelWeights": {}}, "modelWeights"),
        ({"modelWeights": {"a": 1.5, "b": -0.5}}, r"modelWeights\.a.*1\.5(.|\n)*modelWeights\.b.*-0\.5"),
        ({"modelWeights": {"": 1.0}}, "modelWeights"),
        ({"modelWeights": {"a": float("nan"), "b": 1.0}}, r"modelWeights\.a"),
        ({"tenantWeights": {"acme": {"a": 0.5}}}, r"tenantWeights\.acme sum to 0\.5"),
        ({"tenantWeights": {"acme": {"z": 1.0}}}, r"tenantWeights\.acme names z"),
        ({"tenantWeights": {}}, "tenantWeights"),
        ({"latencyTargetMs": 0}, r"latencyTargetMs.*greater than 0.*got 0"),
        ({"latencyTargetMs": "100"}, r"latencyTargetMs.*number.*'100'"),
        ({"maxCostUsd": True}, "maxCostUsd"),
        ({"fallbackOn": ["error", "panic"]}, r"fallbackOn\.1.*'panic'"),
        ({"fallbackOn": ["error", "error"]}, "fallbackOn names a condition twice"),
        ({"cooldownMs": -1}, "cooldownMs"),
        ({"timeoutMs": None}, "timeoutMs"),
        ({"timeOutMs": 3}, "timeOutMs"),
        ({"timeout_ms": 3}, "timeout_ms"),
    ],
)
def test_router_refuses(params: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        kinds.validated("router", params(**change))


def test_every_problem_is_reported_at_once(params: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        kinds.validated("router", params(latencyTargetMs=-1, cooldownMs=-2, more=3))
    assert all(name in str(caught.value) for name in ("latencyTargetMs", "cooldownMs", "more"))


def test_defaults_are_part_of_the_document() -> None:
    full = kinds.validated("reward", {})
    assert full["maxLatencyMs"] == 4000
    assert full["appliesTo"] is None
    assert digest(kinds.validated("reward", {"base": 0.25})) == digest(full)


shares = st.floats(0, 1)


@given(
    base=shares, success=shares, quality=shares, latency=shares, cost=shares, error=shares,
    q=shares, failure_quality=shares,
)  # fmt: skip
def test_an_accepted_reward_never_scores_a_failure_as_high_as_a_success(
    base: float, success: float, quality: float, latency: float, cost: float, error: float, q: float,
    failure_quality: float,
) -> None:  # fmt: skip
    weights = {
        "base": base, "successWeight": success, "qualityWeight": quality, "latencyWeight": latency,
        "costWeight": cost, "errorWeight": error,
    }  # fmt: skip
    try:
        kinds.validated("reward", weights)
    except InvalidInput:
        return
    slow_success = min(max(base + success + quality * q - latency - cost, 0), 1)
    fast_failure = min(max(base + quality * failure_quality - error, 0), 1)
    assert slow_success > fast_failure


def test_reward_refuses_an_order_that_prefers_failures() -> None:
    with pytest.raises(InvalidInput, match="not above a fast failure"):
        kinds.validated("reward", {"successWeight": 0.1})
    with pytest.raises(InvalidInput, match="would score 1, not above a fast failure"):
        kinds.validated("reward", {"base": 1.0, "successWeight": 1.0, "errorWeight": 0.0})


def test_reward_applies_to_one_thing() -> None:
    assert kinds.validated("reward", {"appliesTo": {"component": "cell:7"}})["appliesTo"]["component"] == "cell:7"
    for applies_to in ({}, {"component": "x", "componentKind": "cell"}, {"componentKind": "toaster"}):
        with pytest.raises(InvalidInput, match="appliesTo"):
            kinds.validated("reward", {"appliesTo": applies_to})


def test_autoscaler_and_canary() -> None:
    kinds.validated("autoscaler", {"minReplicas": 1, "maxReplicas": 4, "targetUtilization": 0.7})
    with pytest.raises(InvalidInput, match="minReplicas 5 is above maxReplicas 4"):
        kinds.validated("autoscaler", {"minReplicas": 5, "maxReplicas": 4, "targetUtilization": 0.7})
    canary = {"stages": [0.05, 0.5], "stageDurationMs": 60000, "minSamples": 100, "maxRewardDrop": 0.02,
              "maxErrorRateIncrease": 0.01}  # fmt: skip
    kinds.validated("canary", canary)
    with pytest.raises(InvalidInput, match="must rise strictly"):
        kinds.validated("canary", {**canary, "stages": [0.5, 0.05]})


def test_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="a2c, autoscaler, canary, ddpg, dqn, guard, ppo, reward, router"):
        kinds.validated("toaster", {})
