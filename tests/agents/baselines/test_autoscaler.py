"""The autoscaler's formula by hand, its tolerance, what starts, its window, and whether it holds the target."""

from dataclasses import replace

import numpy as np
import pytest

from cogorch_dagster.agents.baselines.autoscaler import Autoscaler, recommended
from cogorch_dagster.agents.baselines.static import StaticDefaults, passive
from cogorch_dagster.agents.controllers import Controller, Observing, Starting
from cogorch_dagster.agents.readings import reading
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.environment import FleetEnvironment, Step
from cogorch_dagster.fleet.knobs import BOUNDS
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters
from cogorch_dagster.fleet.signals import SIGNALS, STATE_SIZES, VIEWS

PARAMETERS = default_parameters()


@pytest.mark.parametrize(
    ("ready", "starting", "utilisation", "expected"),
    [
        (4, 0, 0.9, 8),  # 4 * .9 / .5 = 7.2
        (4, 0, 0.5, 4),
        (4, 0, 0.55, 4),  # a tenth above the target is within the tolerance
        (4, 0, 0.56, 5),
        (4, 0, 0.45, 4),  # and so is a tenth below
        (4, 0, 0.44, 4),  # 3.52, rounded up
        (4, 0, 0.2, 2),  # 1.6
        (4, 0, 0.25, 2),  # exactly 2
        (4, 0, 0.0, 0),  # the bound of one replica is not this formula's
        (4, 4, 0.9, 8),  # 7.2 of 8: those that start are enough
        (4, 2, 0.9, 8),  # 7.2 of 6: they are not
        (4, 4, 1.0, 8),
        (4, 3, 0.9, 7),  # 7.2 of 7: within the tolerance
        (4, 3, 1.0, 8),  # 8 of 7: a seventh too much
        (4, 4, 0.2, 2),  # what starts is called off with the rest
    ],
)
def test_the_formula_by_hand(ready: float, starting: float, utilisation: float, expected: float) -> None:
    one = (np.array([float(each)]) for each in (ready, starting, utilisation))
    assert recommended(*one, target=0.5, tolerance=0.1).tolist() == [expected]


def states(*, ready: float, starting: float, utilisation: float) -> dict[str, np.ndarray]:
    """Two fleets' states with these shares at every model, everything else in the middle of its range."""
    shares = {"ready": ready, "starting": starting, "utilisation": utilisation}
    found = {agent: np.zeros((2, size), dtype=np.float32) for agent, size in STATE_SIZES.items()}
    for column, name in enumerate(VIEWS["resource"]):
        if name[:-2] in shares:
            found["resource"][:, column] = 2 * shares[name[:-2]] - 1
    return found


def levels(scaler: Autoscaler, *, ready: float, utilisation: float) -> list[float]:
    """What it orders, in replicas of ten, for two fleets' first model."""
    actions = scaler.act(states(ready=ready / 10, starting=0.0, utilisation=utilisation))
    return np.round(10 * actions["resource"][:, 0].astype(float), 5).tolist()


def ended(scaler: Autoscaler, environment: FleetEnvironment, truncated: list[bool]) -> None:
    step = environment.step(passive(2))
    scaler.observe(replace(step, truncated=np.array(truncated)))


def test_fewer_are_taken_only_after_the_window() -> None:
    scaler = Autoscaler(PARAMETERS, target=0.5, stabilisation_s=300)
    assert levels(scaler, ready=4, utilisation=0.9) == [8, 8]
    assert levels(scaler, ready=8, utilisation=0.2) == [8, 8]
    assert levels(scaler, ready=8, utilisation=0.3) == [8, 8]
    assert levels(scaler, ready=8, utilisation=0.2) == [8, 8]
    assert levels(scaler, ready=8, utilisation=0.2) == [8, 8]
    # Five steps of a minute later the largest of the window is that of utilisation .3: 8 * .3 / .5 = 4.8.
    assert levels(scaler, ready=8, utilisation=0.2) == [5, 5]


def test_an_old_recommendation_never_adds_replicas() -> None:
    scaler = Autoscaler(PARAMETERS, target=0.5)
    levels(scaler, ready=4, utilisation=0.9)
    assert levels(scaler, ready=4, utilisation=0.5) == [4, 4]


def test_a_fleet_that_begins_anew_forgets_and_the_others_do_not() -> None:
    scaler, environment = Autoscaler(PARAMETERS, target=0.5), FleetEnvironment(PARAMETERS, 2, seed=0)
    levels(scaler, ready=4, utilisation=0.9)
    ended(scaler, environment, [True, False])
    assert levels(scaler, ready=8, utilisation=0.2) == [4, 8]
    scaler.start(2, 0)
    assert levels(scaler, ready=8, utilisation=0.2) == [4, 4]


def test_orders_stay_within_one_and_the_most() -> None:
    scaler = Autoscaler(PARAMETERS, target=0.5, stabilisation_s=0)
    assert levels(scaler, ready=9, utilisation=1.0) == [10, 10]
    assert levels(scaler, ready=9, utilisation=0.0) == [1, 1]


def test_it_touches_replicas_only() -> None:
    still, scaled = passive(2), Autoscaler(PARAMETERS).act(states(ready=0.4, starting=0.0, utilisation=0.9))
    for agent in ("policy", "consensus", "ethical"):
        np.testing.assert_array_equal(scaled[agent], still[agent])
    np.testing.assert_array_equal(scaled["resource"][:, 3], still["resource"][:, 3])


def steady(target: float) -> FleetParameters:
    """Even traffic without bursts or incidents, on models that have replicas enough for the target."""
    document = PARAMETERS.model_dump()
    for tenant in document["tenants"]:
        tenant.update(hourly_shape=(1.0,) * 24, dispersion=1, bursts_per_day=0)
    for model in document["models"]:
        model.update(incidents_per_day=0, max_replicas=100, slots=2, startup_seconds=120)
    return FleetParameters.model_validate(document)


def run(controller: Controller, environment: FleetEnvironment, steps: int) -> Step:
    for _ in range(steps):
        step = environment.step(controller.act(environment.states))
        if isinstance(controller, Observing):
            controller.observe(step)
    return step


@pytest.mark.parametrize("target", [0.4, 0.7])
def test_in_steady_traffic_it_holds_the_target(target: float) -> None:
    parameters = steady(target)
    environment = FleetEnvironment(parameters, 16, seed=1, vary=False)
    step = run(Autoscaler(parameters, target=target), environment, 60)
    # Within the tolerance, plus what rounding up to whole replicas and the noise of a minute take away.
    assert np.median(step.outcome.utilisation, axis=1) == pytest.approx(np.full(3, target), rel=0.2)
    static = run(StaticDefaults(), FleetEnvironment(parameters, 16, seed=1, vary=False), 60)
    assert not np.allclose(np.median(static.outcome.utilisation, axis=1), target, rtol=0.2)


def test_static_leaves_every_knob_at_its_default() -> None:
    environment = FleetEnvironment(PARAMETERS, 3, seed=2)
    run(StaticDefaults(), environment, 30)
    for name, bound in BOUNDS.items():
        values = getattr(environment.knobs, name)
        expected = np.broadcast_to(
            np.reshape(bound.default, (-1, 1)) if values.ndim == 2 else bound.default, values.shape
        )
        np.testing.assert_allclose(values, expected, rtol=1e-6, err_msg=name)


def test_readings_undo_the_scaling() -> None:
    environment = FleetEnvironment(PARAMETERS, 5, seed=3)
    step = environment.step(passive(5))
    np.testing.assert_allclose(reading(step.states, "policy", "useful"), step.measured.useful, atol=1e-6)
    np.testing.assert_allclose(reading(step.states, "policy", "admission_s"), environment.knobs.admission_s, rtol=1e-6)
    np.testing.assert_allclose(reading(step.states, "resource", "ready_1"), environment.state.ready[1] / 10, atol=1e-6)
    with pytest.raises(InvalidInput, match="does not see 'good_0'"):
        reading(step.states, "resource", "good_0")
    assert SIGNALS["admission_s"].logarithmic


def test_what_each_needs_is_told() -> None:
    assert isinstance(Autoscaler(PARAMETERS), Starting)
    assert isinstance(Autoscaler(PARAMETERS), Observing)
    assert not isinstance(StaticDefaults(), Observing)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": 0.0}, "target utilisation"),
        ({"tolerance": 1.0}, "tolerance"),
        ({"stabilisation_s": -1.0}, "stabilisation window"),
    ],
)
def test_wrong_numbers_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Autoscaler(PARAMETERS, **arguments)


def test_other_fleets_need_a_start() -> None:
    scaler = Autoscaler(PARAMETERS)
    scaler.act(FleetEnvironment(PARAMETERS, 2, seed=0).states)
    with pytest.raises(InvalidInput, match="call start"):
        scaler.act(FleetEnvironment(PARAMETERS, 3, seed=0).states)
