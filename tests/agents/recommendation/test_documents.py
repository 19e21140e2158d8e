"""Trajectories as documents: what moves, how far at most, and what stays with which reason."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.agents.baselines.autoscaler import Autoscaler
from cogorch_dagster.agents.baselines.static import StaticDefaults
from cogorch_dagster.agents.recommendation.autoscaler_document import autoscaler_document
from cogorch_dagster.agents.recommendation.limits import Limits
from cogorch_dagster.agents.recommendation.places import Places, models_of
from cogorch_dagster.agents.recommendation.router_document import projected, router_document
from cogorch_dagster.agents.recommendation.simulation import Documents
from cogorch_dagster.agents.recommendation.trajectory import Trajectory, steered
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters
from cogorch_dagster.policies.kinds import validated
from cogorch_dagster.proposals.search import Region
from tests.agents.recommendation.sources import AUTOSCALER, QUICK, SETTABLE, Steady

FLEET = default_parameters()


def steady(action: str, params: dict = SETTABLE, parameters: FleetParameters = FLEET) -> tuple[Trajectory, Places]:
    places = Places.of(parameters, params["modelWeights"])
    start = Documents((params, places), {}).knobs()
    return steered(Steady(action), parameters, start, fleets=8, steps=60, warm_up=0.5, seed=1), places


def test_weights_move_towards_where_the_controller_goes_but_a_step_at_most() -> None:
    trajectory, places = steady("weights_to_cheapest")
    draft = router_document(SETTABLE, trajectory, places, QUICK)
    assert draft.changed == ("modelWeights",)
    weights = draft.params["modelWeights"]
    assert weights == pytest.approx({"small": 0.4, "medium": 0.2, "large": 0.4})
    assert draft.aims["modelWeights"]["small"] > 0.9
    free = router_document(SETTABLE, trajectory, places, replace(QUICK, weight_step=1.0, floor=0.05))
    assert free.params["modelWeights"] == pytest.approx({"small": 0.9, "medium": 0.05, "large": 0.05})
    assert validated("router", draft.params)["modelWeights"] == weights
    assert {name: draft.params[name] for name in SETTABLE if name != "modelWeights"} == {
        name: SETTABLE[name] for name in SETTABLE if name != "modelWeights"
    }


@pytest.mark.parametrize(
    ("action", "name", "value"),
    [
        ("latency_target_down", "latencyTargetMs", 8000),
        ("cost_cap_up", "maxCostUsd", 0.03),
    ],
)
def test_targets_move_by_the_factor_at_most(action: str, name: str, value: float) -> None:
    trajectory, places = steady(action)
    draft = router_document(SETTABLE, trajectory, places, QUICK)
    assert draft.changed == (name,)
    assert draft.params[name] == pytest.approx(value)
    assert "leaves it" in draft.kept["modelWeights.small"]


def test_a_target_that_no_knob_can_be_set_to_is_kept() -> None:
    quick = {**SETTABLE, "latencyTargetMs": 100}
    trajectory, places = steady("latency_target_up", quick)
    draft = router_document(quick, trajectory, places, QUICK)
    assert draft.params["latencyTargetMs"] == 100
    assert "1000 to 60000" in draft.kept["latencyTargetMs"]


def test_pooled_and_unknown_arms_keep_their_share() -> None:
    """`large` is pooled with others, `elsewhere` was never calibrated, `medium` is switched off."""
    models = (*FLEET.models[:2], FLEET.models[2].model_copy(update={"name": "large and 2 more"}))
    pooled = FLEET.model_copy(update={"models": models})
    weights = {"small": 0.3, "tiny": 0.2, "medium": 0.0, "large": 0.4, "elsewhere": 0.1}
    params = {**SETTABLE, "modelWeights": weights}
    trajectory, places = steady("weights_to_cheapest", params, pooled)
    assert places.known == {"small": 0, "medium": 1}
    assert places.weights(weights) == pytest.approx([0.3, 0, 0.7], abs=1e-5)
    draft = router_document(params, trajectory, places, QUICK)
    assert draft.params["modelWeights"] == weights
    assert "stands for it alone" in draft.kept["modelWeights.large"]
    assert "switched off" in draft.kept["modelWeights.medium"]
    assert "no other arm" in draft.kept["modelWeights.small"]
    more = {**params, "modelWeights": {**weights, "medium": 0.2, "tiny": 0.0}}
    trajectory, places = steady("weights_to_cheapest", more, pooled)
    moved = router_document(more, trajectory, places, QUICK).params["modelWeights"]
    assert moved == pytest.approx({"small": 0.48, "medium": 0.02, "large": 0.4, "elsewhere": 0.1, "tiny": 0.0})


def test_absent_models_are_nobodys_place() -> None:
    absent = FLEET.model_copy(update={"origin": {"models.2.name": "absent"}})
    places = Places.of(absent, ["small", "medium", "large"])
    assert places.known == {"small": 0, "medium": 1}
    assert places.weights({"small": 0.2, "medium": 0.2, "large": 0.6}) == pytest.approx([0.5, 0.5, 0], abs=1e-5)
    assert models_of(None, absent) == (0, 1)
    assert models_of("autoscaler:medium", absent) == (1,)
    with pytest.raises(Refused, match="none of the calibrated models small, medium"):
        models_of("autoscaler:large", absent)


def test_arms_that_nobody_calibrated_are_refused() -> None:
    strange = {**SETTABLE, "modelWeights": {"a": 0.5, "b": 0.5}}
    trajectory, places = steady("weights_to_cheapest", strange)
    with pytest.raises(Refused, match="a, b has the name") as refusal:
        router_document(strange, trajectory, places, QUICK)
    assert refusal.value.reason == "no_common_arm"


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)), min_size=2, max_size=6), st.floats(0.01, 1.0))
def test_the_projection_is_the_nearest_point_of_the_region(pairs: list[tuple[float, float]], step: float) -> None:
    now, target = (np.array(column) + 1e-3 for column in zip(*pairs, strict=True))
    now, target = now / now.sum(), target / target.sum()
    region = Region.around(now, step, 0.02)
    found = projected(target, region)
    assert region.contains(found, 1e-7)
    rng = np.random.default_rng(0)
    for _ in range(20):
        other = projected(rng.random(len(now)) * 2, region)
        # The nearest point of a convex set: no other point lies in the direction of the target.
        assert (target - found) @ (other - found) <= 1e-6


def test_an_autoscaler_is_recognised_by_its_orders() -> None:
    """The controller is an autoscaler itself, so its target is known."""
    for target in (0.5, 0.65):
        trajectory = steered(Autoscaler(FLEET, target=target), FLEET, {}, fleets=32, steps=150, warm_up=0.3, seed=2)
        active = {**AUTOSCALER, "maxReplicas": 9}
        limits = replace(QUICK, utilisation_step=0.5, factor=10)
        for model in range(3):
            draft = autoscaler_document(active, trajectory, (model,), FLEET, limits)
            assert draft.params["targetUtilization"] == pytest.approx(target, abs=0.05)
            ordered = trajectory.replicas[:, model]
            inside = (ordered >= draft.params["minReplicas"]) & (ordered <= draft.params["maxReplicas"])
            assert 0.78 <= inside.mean() < 1
            assert validated("autoscaler", draft.params)
        each = [autoscaler_document(active, trajectory, (model,), FLEET, limits).params for model in range(3)]
        alike = autoscaler_document(active, trajectory, (0, 1, 2), FLEET, limits).params
        assert alike["minReplicas"] == min(params["minReplicas"] for params in each)
        assert alike["maxReplicas"] == max(params["maxReplicas"] for params in each)


def test_replicas_move_by_the_factor_at_most_and_never_cross() -> None:
    trajectory = steered(Steady(replicas=0.9), FLEET, {}, fleets=4, steps=30, warm_up=0.5, seed=0)
    draft = autoscaler_document(AUTOSCALER, trajectory, (0,), FLEET, QUICK)
    assert (draft.params["minReplicas"], draft.params["maxReplicas"]) == (3, 9)
    assert draft.aims["minReplicas"] == 9
    assert "at least 10 tell at what load" in draft.kept["targetUtilization"]
    beyond = autoscaler_document({**AUTOSCALER, "minReplicas": 0, "maxReplicas": 50}, trajectory, (0,), FLEET, QUICK)
    assert beyond.changed == ()
    assert "1 to 10" in beyond.kept["maxReplicas"]


def test_what_the_controller_leaves_is_not_recommended() -> None:
    trajectory = steered(StaticDefaults(), FLEET, {}, fleets=4, steps=30, warm_up=0.5, seed=0)
    assert autoscaler_document(AUTOSCALER, trajectory, (0, 1, 2), FLEET, QUICK).changed == ()


def test_knobs_are_read_before_they_begin_anew() -> None:
    short = FLEET.model_copy(update={"horizon": 20})
    trajectory, _ = steady("weights_to_cheapest", parameters=short)
    assert len(trajectory.weights) == 9
    assert (trajectory.weights[-1, 0] > 0.8).all()
    with pytest.raises(InvalidInput, match="longer horizon"):
        steady("none", parameters=FLEET.model_copy(update={"horizon": 2}))


@pytest.mark.parametrize("field", list(vars(Limits())))
def test_limits_out_of_bounds_are_named(field: str) -> None:
    with pytest.raises(InvalidInput, match=rf"{field} must be .* got -1"):
        Limits(**{field: -1})
