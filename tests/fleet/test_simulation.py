"""One step of the fleet: replicas with their delay, incidents, timeouts, shares of a crowded queue."""

import numpy as np
import pytest

from cogorch_dagster.fleet.causes import no_operation
from cogorch_dagster.fleet.constants import Constants
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters
from cogorch_dagster.fleet.simulation import routing


def _environment(parameters: FleetParameters | None = None, fleets: int = 4) -> FleetEnvironment:
    return FleetEnvironment(parameters or default_parameters(), fleets, seed=1, vary=False)


def _levels(fleets: int, *levels: float) -> np.ndarray:
    return np.tile(np.array(levels, dtype=np.float32), (fleets, 1))


def test_replicas_serve_after_their_delay_cost_from_their_order_and_end_at_once() -> None:
    environment = _environment()
    more = {**no_operation(4), "resource": _levels(4, 0.9, 0.9, 0.9, 0.7)}
    ready = [environment.state.ready[:, 0].tolist()]
    for _ in range(7):
        environment.step(more)
        ready.append(environment.state.ready[:, 0].tolist())
    # 2, 3 and 5 minutes: the order is given in the first step.
    assert ready[0] == [4, 5, 6]
    assert [row[0] for row in ready].index(9) == 3
    assert [row[1] for row in ready].index(9) == 4
    assert [row[2] for row in ready].index(9) == 6
    environment.step({**more, "resource": _levels(4, 0.2, 0.0, 0.1, 0.7)})
    assert environment.state.ready[:, 0].tolist() == [2, 1, 1]


def test_what_is_starting_is_called_off_before_anything_that_serves() -> None:
    environment = _environment()
    environment.step({**no_operation(4), "resource": _levels(4, 0.4, 0.5, 0.9, 0.7)})
    assert environment.state.starting.sum(axis=0)[:, 0].tolist() == [0, 0, 3]
    environment.step({**no_operation(4), "resource": _levels(4, 0.4, 0.5, 0.6, 0.7)})
    assert environment.state.starting.sum() == 0
    assert environment.state.ready[:, 0].tolist() == [4, 5, 6]


def test_the_router_follows_its_weights_and_avoids_what_is_beyond_a_target() -> None:
    parameters = default_parameters()
    environment = _environment(parameters)
    constants, state = Constants.of(parameters), environment.state
    state.knobs.latency_target_ms[:] = 60_000
    state.knobs.cost_cap_usd[:] = 0.1
    np.testing.assert_allclose(routing(constants, state), np.broadcast_to([[[0.45], [0.35], [0.2]]], (4, 3, 4)))
    state.knobs.cost_cap_usd[:] = 0.002
    dear = routing(constants, state)
    assert (dear[:, 2] < 0.2).all()
    np.testing.assert_allclose(dear.sum(axis=1), 1)
    state.knobs.latency_target_ms[:] = 2000
    assert (routing(constants, state)[2, 0] > dear[2, 0]).all()  # batch's answers are long: the fast model takes them


def test_an_incident_slows_a_model_down_and_lets_it_fail() -> None:
    models = default_parameters().models
    never = tuple(model.model_copy(update={"incidents_per_day": 0.0}) for model in models)
    always = models[2].model_copy(update={"incidents_per_day": 1000.0, "incident_minutes": 1e9})
    well = _environment(default_parameters().model_copy(update={"models": never}))
    ill = _environment(default_parameters().model_copy(update={"models": (*never[:2], always)}))
    for _ in range(5):
        well.step(no_operation(4))
        ill.step(no_operation(4))
    one, other = well.step(no_operation(4)).outcome, ill.step(no_operation(4)).outcome
    assert (other.model_failure[2] > one.model_failure[2] + 0.15).all()
    assert (other.model_latency_s[2] > 1.15 * one.model_latency_s[2]).all()


def test_a_raised_tenant_waits_less_in_a_crowded_queue() -> None:
    crowded = {**no_operation(32), "resource": _levels(32, 0.2, 0.2, 0.3, 0.7)}
    equal, raised = _environment(fleets=32), _environment(fleets=32)
    weights = np.array([1.0, 1.0, 1.0, 4.0])[:, None]
    for _ in range(10):
        one = equal.step(crowded).outcome
        other = raised.step(crowded, hold={"fairness": weights}).outcome
    before, after = (step.good.sum(axis=1) / step.ended.sum(axis=1) for step in (one, other))
    assert after[3] > before[3] + 0.05
    assert other.latency_s[3].mean() < one.latency_s[3].mean()


def test_a_copy_of_each_request_saves_failures_and_costs_work() -> None:
    models = tuple(model.model_copy(update={"failure_rate": 0.3}) for model in default_parameters().models)
    failing = default_parameters().model_copy(update={"models": models, "retry_share": 0.0})
    ample = {**no_operation(4), "resource": _levels(4, 1, 1, 1, 1)}
    single, double = _environment(failing), _environment(failing)
    for _ in range(8):
        one = single.step(ample, hold={"quorum": np.array(1.0)})
        two = double.step(ample, hold={"quorum": np.array(2.0)})
    answered = [step.outcome.total("answered") / step.outcome.total("ended") for step in (one, two)]
    np.testing.assert_allclose(answered[0], 0.7, atol=0.01)
    np.testing.assert_allclose(answered[1], 1 - 0.3**2, atol=0.01)
    assert (two.outcome.cost_usd > one.outcome.cost_usd).all()
    assert (two.measured.latency_s < one.measured.latency_s * 1.05).all()


def test_cost_is_tokens_and_replicas() -> None:
    idle = tuple(tenant.model_copy(update={"requests_per_second": 0.0}) for tenant in default_parameters().tenants)
    environment = _environment(default_parameters().model_copy(update={"tenants": idle}))
    step = environment.step(no_operation(4))
    assert step.outcome.cost_usd == pytest.approx((4 * 2 + 5 * 5 + 6 * 12) / 60)
    assert step.measured.useful == pytest.approx(1.0)  # nobody was served badly
    busy = _environment()
    outcome = busy.step(no_operation(4)).outcome
    assert (outcome.cost_usd > (4 * 2 + 5 * 5 + 6 * 12) / 60).all()
