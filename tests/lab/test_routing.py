"""The draw: the logged propensity is the probability of the draw, over the arms that were really available."""

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import chisquare

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.lab.routing import Cooldowns, RouterPolicy, draw

ARMS = ["a", "b", "c", "d"]
PARAMS: dict[str, Any] = {
    "modelWeights": {"a": 0.5, "b": 0.3, "c": 0.2},
    "latencyTargetMs": 100.0,
    "maxCostUsd": 0.01,
    "fallbackOn": ["error"],
    "cooldownMs": 500.0,
    "timeoutMs": 200.0,
}


def policy(**weights: float) -> RouterPolicy:
    return RouterPolicy.read("router-core", "1.0.0", "sha256:0", {**PARAMS, "modelWeights": weights}, ARMS)


@given(
    raw=st.lists(st.integers(0, 20), min_size=4, max_size=4),
    cooling=st.sets(st.sampled_from(ARMS)),
    tried=st.sets(st.sampled_from(ARMS)),
    seed=st.integers(0, 1000),
)
def test_the_propensity_is_the_weight_over_the_action_set(
    raw: list[int], cooling: set[str], tried: set[str], seed: int
) -> None:
    assume(sum(raw) > 0)
    weights = {arm: value / sum(raw) for arm, value in zip(ARMS, raw, strict=True)}
    drawn = draw(policy(**weights), cooling, tried, random.Random(seed))
    drawable = {arm for arm in ARMS if weights[arm] > 0} - tried
    if drawn is None:
        assert not drawable
        return
    assert drawn.arm in drawable and drawn.arm in drawn.action_set
    assert drawn.propensity == pytest.approx(weights[drawn.arm] / sum(weights[arm] for arm in drawn.action_set))
    assert not set(drawn.action_set) & tried
    assert drawn.all_cooling == (not drawable - cooling)
    # Cooling arms come back only when nothing else of positive weight is left; arms of weight 0 stay in the set.
    assert set(drawn.action_set) == set(ARMS) - tried - (set() if drawn.all_cooling else cooling)


@pytest.mark.parametrize("cooling", [set(), {"b"}])
def test_frequencies_match_the_logged_propensities(cooling: set[str]) -> None:
    generator = random.Random(20_240_101)
    drawn = [draw(policy(a=0.5, b=0.3, c=0.2), cooling, (), generator) for _ in range(20_000)]
    expected = {each.arm: each.propensity * len(drawn) for each in drawn if each is not None}
    observed = Counter(each.arm for each in drawn if each is not None)
    assert sum(observed.values()) == len(drawn)
    assert chisquare([observed[arm] for arm in expected], list(expected.values())).pvalue > 0.01


def test_the_same_seed_draws_the_same_arms() -> None:
    def arms(seed: int) -> list[str]:
        generator = random.Random(seed)
        drawn = [draw(policy(a=0.5, b=0.3, c=0.2), (), (), generator) for _ in range(100)]
        return [each.arm for each in drawn if each is not None]

    assert arms(4) == arms(4) != arms(5)


def test_an_arm_rests_until_its_time_and_a_later_failure_never_shortens_it() -> None:
    cooldowns = Cooldowns()
    cooldowns.rest("a", until=10.0)
    cooldowns.rest("a", until=7.0)
    cooldowns.rest("b", until=8.0)
    assert cooldowns.cooling(7.9) == {"a", "b"}
    assert cooldowns.cooling(8.0) == {"a"}
    assert cooldowns.cooling(10.0) == frozenset()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modelWeights": {"a": 0.5, "z": 0.5}}, "names z; this router knows a, b, c, d"),
        ({"modelWeights": {"a": 0.5}}, "sum to 1"),
        ({"modelWeights": {"a": 1.5, "b": -0.5}}, "must be >= 0"),
        ({"modelWeights": {}}, "sum to 1"),
        ({"modelWeights": {"a": float("nan")}}, "sum to 1"),
        ({"fallbackOn": ["bad luck"]}, "falls back on bad luck"),
        ({"timeoutMs": None}, "no router policy"),
    ],
)
def test_a_document_that_cannot_be_followed_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        RouterPolicy.read("router-core", "1.0.1", "sha256:0", {**PARAMS, **change}, ARMS)


def test_a_tenant_with_weights_of_its_own_is_drawn_for_by_them() -> None:
    own = {"tenantWeights": {"acme": {"a": 0.1, "b": 0.9}}}
    read = RouterPolicy.read("router-core", "1.0.0", "sha256:0", {**PARAMS, **own}, ARMS)
    generator = random.Random(5)
    drawn = [draw(read.of_tenant("acme"), (), (), generator) for _ in range(20_000)]
    share = Counter(each.arm for each in drawn if each is not None)
    assert chisquare([share["a"], share["b"]], [2_000, 18_000]).pvalue > 1e-4
    assert share["c"] == 0
    assert {each.propensity for each in drawn if each is not None} == {0.1, 0.9}
    # An arm that the tenant's weights leave out stays in the action set, so that others can be evaluated.
    assert drawn[0] is not None and drawn[0].action_set == ("a", "b", "c")
    assert read.of_tenant("other") is read
    assert read.of_tenant(None) is read


@pytest.mark.parametrize(
    ("weights", "message"),
    [({"a": 0.5, "z": 0.5}, "names z"), ({"a": 0.4}, "tenant acme"), ({"a": 1.5, "b": -0.5}, "tenant acme")],
)
def test_wrong_weights_of_a_tenant_are_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        RouterPolicy.read("r", "1.0.0", "sha256:0", {**PARAMS, "tenantWeights": {"acme": weights}}, ARMS)
