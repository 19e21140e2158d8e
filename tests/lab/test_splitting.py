"""The split: shares that are kept, units that stick, and a logged probability that is the mixture's."""

import itertools
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from cogorch_dagster.client import PolicyDocument, takes_part
from cogorch_dagster.client.assignment import CanaryDocument
from cogorch_dagster.client.document import params_digest
from cogorch_dagster.lab.router import PolicyInForce
from cogorch_dagster.lab.routing import RouterPolicy
from cogorch_dagster.lab.splitting import Journey, Split

ARMS = ["a", "b", "c"]
NOBODY_COOLS: Any = lambda _: ()  # noqa: E731


def policy(version: str, fallback_on: list[str], **weights: float) -> RouterPolicy:
    params = {
        "modelWeights": weights,
        "latencyTargetMs": 100,
        "maxCostUsd": 0.01,
        "fallbackOn": fallback_on,
        "cooldownMs": 0,
        "timeoutMs": 200,
    }
    return RouterPolicy.read("router-core", version, "sha256:0", params, ARMS)


def trajectories(split: Split, runs: int, seed: int) -> tuple[Counter[tuple[str, ...]], dict[tuple[str, ...], float]]:
    """How often each sequence of arms was drawn when every attempt fails, and the product of what was logged for it."""
    generator = random.Random(seed)
    drawn: Counter[tuple[str, ...]] = Counter()
    logged: dict[tuple[str, ...], float] = {}
    for _ in range(runs):
        chosen = split.choose(None, generator)
        journey, arms, product = Journey(split, chosen), [], 1.0
        step = journey.draw(NOBODY_COOLS, arms, generator)
        while step is not None:
            arms.append(step.drawn.arm)
            product *= step.drawn.propensity
            if "error" not in chosen.fallback_on:
                break
            journey.failed("error")
            step = journey.draw(NOBODY_COOLS, arms, generator)
        drawn[tuple(arms)] += 1
        # Whichever version drew a trajectory, its logged probability is the same.
        assert logged.setdefault(tuple(arms), product) == pytest.approx(product)
    return drawn, logged


def test_the_product_of_what_is_logged_is_the_probability_of_the_trajectory() -> None:
    old = policy("1.0.0", ["error"], a=0.7, b=0.2, c=0.1)
    split = Split.of(old, policy("1.0.1", ["error"], a=0.1, b=0.6, c=0.3), 0.3)
    drawn, logged = trajectories(split, 8_000, seed=1)
    assert sum(logged.values()) == pytest.approx(1.0)
    for arms, count in drawn.items():
        assert binomtest(count, 8_000, logged[arms]).pvalue > 1e-4, arms
    # By hand.
    assert logged[("a", "b", "c")] == pytest.approx(0.7 * 0.7 * 0.2 / 0.3 + 0.3 * 0.1 * 0.6 / 0.9)


def test_a_version_that_would_not_fall_back_has_no_part_in_a_second_attempt() -> None:
    split = Split.of(policy("1.0.0", ["error"], a=0.5, b=0.5), policy("1.0.1", [], a=0.9, b=0.1), 0.4)
    drawn, logged = trajectories(split, 2_000, seed=2)
    # Of 1.0.0 alone: both arms, in either order. Of 1.0.1 alone: one arm and no more.
    assert logged[("a", "b")] == pytest.approx((0.6 * 0.5 + 0.4 * 0.9) * 1.0)
    assert set(drawn) == {("a", "b"), ("b", "a"), ("a",), ("b",)}


@given(
    weights=st.tuples(*[st.lists(st.integers(1, 20), min_size=3, max_size=3)] * 2),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 1000),
)
def test_what_is_logged_is_the_weighted_mean_of_both(
    weights: tuple[list[int], list[int]], share: float, seed: int
) -> None:
    old, new = ({arm: value / sum(raw) for arm, value in zip(ARMS, raw, strict=True)} for raw in weights)
    split = Split.of(policy("1.0.0", [], **old), policy("1.0.1", [], **new), share)
    generator = random.Random(seed)
    chosen = split.choose(None, generator)
    step = Journey(split, chosen).draw(NOBODY_COOLS, (), generator)
    assert step is not None
    arm = step.drawn.arm
    assert step.drawn.propensity == pytest.approx(share * new[arm] + (1 - share) * old[arm])
    assert step.version_propensity == pytest.approx((new if chosen is split.canary else old)[arm])
    assert split.tags == {"canary": "1.0.1", "canary_share": share}


def test_arms_of_one_version_alone_are_in_the_action_set_of_both() -> None:
    split = Split.of(policy("1.0.0", [], a=1.0), policy("1.0.1", [], b=1.0), 0.5)
    for chosen in (split.active, split.canary):
        assert chosen is not None
        step = Journey(split, chosen).draw(NOBODY_COOLS, (), random.Random(0))
        assert step is not None and step.drawn.action_set == ("a", "b") and step.drawn.propensity == 0.5


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5])
def test_a_share_is_kept_by_draws_and_by_units(share: float) -> None:
    generator = random.Random(7)
    by_draw = sum(takes_part("p", "1.0.1", share, None, generator) for _ in range(20_000))
    by_unit = sum(takes_part("p", "1.0.1", share, f"unit-{number}", generator) for number in range(20_000))
    assert binomtest(by_draw, 20_000, share).pvalue > 1e-3
    assert binomtest(by_unit, 20_000, share).pvalue > 1e-3


def test_a_unit_stays_in_as_the_share_rises_and_is_drawn_afresh_for_another_version() -> None:
    generator = random.Random(0)
    units = [f"unit-{number}" for number in range(2000)]
    parts = [{u for u in units if takes_part("p", "1.0.1", share, u, generator)} for share in (0.05, 0.25, 0.5)]
    assert all(small < large for small, large in itertools.pairwise(parts))
    other = {u for u in units if takes_part("p", "1.0.2", 0.5, u, generator)}
    assert binomtest(len(other & parts[2]), len(parts[2]), 0.5).pvalue > 1e-3


def document(canary: dict[str, Any] | None) -> PolicyDocument:
    from datetime import UTC, datetime

    def params(**weights: float) -> dict[str, Any]:
        read = policy("1.0.0", [], **weights)
        return {
            "modelWeights": dict(read.weights),
            "latencyTargetMs": 100,
            "maxCostUsd": 0.01,
            "fallbackOn": [],
            "cooldownMs": 0,
            "timeoutMs": 200,
        }

    active = params(a=1.0)
    trial = None if canary is None else CanaryDocument("1.0.1", "d", {**active, "modelWeights": canary}, 0.5)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return PolicyDocument("router-core", "1.0.0", params_digest(active), active, moment, moment, moment, trial)


def test_a_canary_that_the_router_cannot_follow_or_no_longer_believes_gets_no_traffic() -> None:
    in_force = PolicyInForce(frozenset(ARMS))
    in_force.apply(document({"b": 1.0}))
    assert in_force.split is not None and in_force.split.canary is not None
    in_force.believes_canary = lambda: False
    assert in_force.split is not None and in_force.split.canary is None
    assert in_force.policy is not None and in_force.policy.version == "1.0.0"
    in_force.believes_canary = lambda: True
    with pytest.raises(Exception, match="names unheard"):
        in_force.apply(document({"unheard": 1.0}))
    assert in_force.split is not None and in_force.split.canary is None and in_force.problem is not None
    in_force.apply(document(None))
    assert in_force.problem is None
