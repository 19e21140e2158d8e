"""A2C: what it learns, what its policy is, and that it goes on as if never stopped."""

import math
from dataclasses import replace

import pytest
import torch
from scipy.stats import chisquare

from cogorch_dagster.agents.a2c import A2C, A2CConfiguration, annealed
from cogorch_dagster.agents.actor_critic import ActorCritic, Layers, entropy, sampled
from cogorch_dagster.agents.learner import Transition
from cogorch_dagster.agents.rollout import advantages
from cogorch_dagster.errors import InvalidInput
from tests.agents.small_problem import ACTIONS, ENVIRONMENTS, STATES, Signs, best_actions, same, train

SETTINGS = A2CConfiguration(shared=(32,), learning_rate=1e-2, rollout_steps=8, device="cpu")


def learner(settings: A2CConfiguration = SETTINGS, seed: int = 0) -> A2C:
    return A2C(settings, states=STATES, actions=ACTIONS, seed=seed)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"optimiser": "rmsprop", "activation": "tanh", "heads": (32,)},
        {"shared": (), "heads": (64, 64)},
        {"activation": "silu", "anneal_steps": 20_000},
    ],
)
def test_it_learns_the_best_action_in_every_place(change):
    agent = learner(replace(SETTINGS, **change))
    figures = [found for found in train(agent, 1_000) if found]
    assert best_actions(agent) == [0, 1, 2, 0]
    assert len(figures) == 1_000 // 8
    assert figures[-1]["entropy"] < 0.8
    assert figures[0]["entropy"] > 1.05


def test_the_value_is_that_of_the_policy_by_the_bellman_equation():
    """Under gamma 0 it is the chance of a right action: a value learned across steps would be larger."""
    agent = learner(replace(SETTINGS, gamma=0.0, entropy_weight=0.0))
    for _ in train(agent, 1_000):
        pass
    assert torch.allclose(agent.network.values(torch.eye(STATES)), torch.ones(STATES), atol=0.1)


def test_actions_are_drawn_with_the_probabilities_of_the_softmax():
    logits = torch.tensor([1.0, -0.5, 0.3, -2.0])
    drawn = sampled(logits.expand(40_000, 4), torch.Generator().manual_seed(3))
    counts = torch.bincount(drawn, minlength=4).numpy()
    assert chisquare(counts, 40_000 * logits.double().softmax(0).numpy()).pvalue > 1e-3


def test_the_learner_explores_with_its_policy_and_its_own_random_state():
    agent = learner()
    states = torch.randn((1, STATES), generator=torch.Generator().manual_seed(1)).expand(20_000, STATES)
    for _ in train(agent, 24):
        pass
    torch.manual_seed(0)
    expected = torch.get_rng_state()
    counts = torch.bincount(agent.act(states, explore=True), minlength=ACTIONS).numpy()
    probabilities = agent.network.still(states[:1])[0].double().exp()[0]
    assert chisquare(counts, 20_000 * (probabilities / probabilities.sum()).numpy()).pvalue > 1e-3
    assert torch.equal(torch.get_rng_state(), expected)


def test_entropy_of_a_uniform_policy_is_the_logarithm_of_its_actions_and_of_a_certain_one_zero():
    assert entropy(torch.zeros(2, 10).log_softmax(-1)).tolist() == pytest.approx([math.log(10)] * 2)
    assert entropy(torch.tensor([[100.0, 0.0, 0.0]]).log_softmax(-1)).item() == pytest.approx(0, abs=1e-6)


def test_a_first_policy_is_nearly_uniform_and_hidden_layers_are_orthogonal():
    network = ActorCritic(Layers(6, (16, 16), (), 5, "relu"), optimiser="adam", device="cpu", seed=4)
    states = torch.randn((50, 6), generator=torch.Generator().manual_seed(0))
    assert network.still(states)[0].exp().sub(0.2).abs().max() < 0.02
    weight = network.parts()["weights"]["shared.1.weight"]
    assert torch.allclose(weight @ weight.T, 2 * torch.eye(16), atol=1e-5)


def test_one_update_goes_down_the_gradient_of_the_stated_loss():
    settings = replace(SETTINGS, max_gradient_norm=1e6, normalise_advantages=False, entropy_weight=0.03)
    agent, twin = learner(settings), learner(settings)
    problem, steps = Signs(5), []
    for _ in range(8):
        steps.append(problem.step(agent.act(problem.states(), explore=True)))
        agent.learn(steps[-1])
    columns = {name: torch.stack([getattr(step, name) for step in steps]) for name in Transition.__annotations__}
    log_probabilities, values = twin.network(columns["states"])
    gains = advantages(
        columns["rewards"],
        values.detach(),
        twin.network.values(columns["next_states"]),
        columns["terminated"],
        columns["truncated"],
        gamma=settings.gamma,
        decay=settings.gae_decay,
    )
    distribution = torch.distributions.Categorical(logits=log_probabilities)
    loss = -(distribution.log_prob(columns["actions"]) * gains).mean()
    loss = loss + settings.value_weight * 0.5 * torch.nn.functional.mse_loss(values, gains + values.detach())
    loss = loss - settings.entropy_weight * distribution.entropy().mean()
    (gradient,) = torch.autograd.grad(loss, twin.network.weights)
    assert agent.network.weights.grad is not None
    assert torch.allclose(agent.network.weights.grad, gradient, atol=1e-6)
    assert gradient.norm() > 0.1


def test_a_long_gradient_is_shortened_to_the_bound():
    agent = learner(replace(SETTINGS, max_gradient_norm=0.01))
    for _ in train(agent, 8):
        pass
    assert agent.network.weights.grad is not None
    assert agent.network.weights.grad.norm().item() == pytest.approx(0.01, rel=1e-3)


def test_the_best_known_action_is_asked_for_without_changing_anything():
    agent = learner()
    for _ in train(agent, 11):
        pass
    before = agent.parts()
    assert best_actions(agent) == best_actions(agent)
    assert same(before, agent.parts())


@pytest.mark.parametrize("optimiser", ["adam", "rmsprop"])
@pytest.mark.parametrize("steps", [0, 3, 16, 29])
def test_a_restored_learner_goes_on_bit_for_bit_also_within_a_rollout(steps, optimiser):
    agent, problem = learner(replace(SETTINGS, optimiser=optimiser)), Signs(1)

    def run(one: A2C, of: Signs, count: int) -> list[dict[str, float]]:
        return [one.learn(of.step(one.act(of.states(), explore=True))) for _ in range(count)]

    run(agent, problem, steps)
    other = learner(replace(SETTINGS, optimiser=optimiser), seed=99)
    run(other, Signs(8), 13)
    other.restore(agent.parts())
    copy = Signs(0)
    copy.random.set_state(problem.random.get_state())
    copy.place, copy.age = problem.place.clone(), problem.age.clone()
    assert run(agent, problem, 21) == run(other, copy, 21)
    assert same(agent.parts(), other.parts())


def test_saved_parts_do_not_change_with_further_training():
    agent = learner()
    for _ in train(agent, 11):
        pass
    parts = agent.parts()
    weights = parts["network"]["weights"]["shared.0.weight"].clone()
    for _ in train(agent, 20):
        pass
    assert torch.equal(weights, parts["network"]["weights"]["shared.0.weight"])


def test_parts_that_do_not_fit_are_refused_and_nothing_is_taken_in():
    agent = learner()
    for _ in train(agent, 11):
        pass
    before = agent.parts()
    for settings, message in (
        (replace(SETTINGS, shared=(16,)), "'shared.0.weight'"),
        (replace(SETTINGS, shared=(32, 32)), "shared.1.weight"),
        (replace(SETTINGS, optimiser="rmsprop"), "square_avg"),
    ):
        other = learner(settings)
        for _ in train(other, 11):
            pass
        with pytest.raises(InvalidInput, match=message):
            other.restore(before)
        with pytest.raises(InvalidInput):
            agent.restore(other.parts())
    for wrong in ({"algorithm": "ppo"}, {"seen": -1}, {"rollout": {}}, {"network": {}}):
        with pytest.raises(InvalidInput):
            agent.restore(before | wrong)
    assert same(before, agent.parts())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must lie above 0 to 1, got 0.0"),
        ({"gamma": 1.01}, "gamma must lie from 0 to 1, got 1.01"),
        ({"gae_decay": -0.1}, "gae_decay.*-0.1"),
        ({"entropy_weight": float("nan")}, "entropy_weight.*nan"),
        ({"rollout_steps": 0}, "rollout_steps must be a whole number from 1 to 65536, got 0"),
        ({"shared": ()}, "shared must name 1 to 8 layers"),
        ({"activation": "gelu"}, "activation.*relu.*silu.*tanh.*gelu"),
        ({"optimiser": "sgd"}, "optimiser.*sgd"),
        ({"max_gradient_norm": 0}, "max_gradient_norm"),
        ({"anneal_to": 1.5}, "anneal_to.*1.5"),
        ({"anneal_steps": -1}, "anneal_steps.*-1"),
        ({"value_weight": 101}, "value_weight.*101"),
    ],
)
def test_settings_outside_of_their_range_are_refused(change, message):
    with pytest.raises(InvalidInput, match=message):
        replace(SETTINGS, **change)


def test_sizes_seeds_and_devices_outside_of_their_range_are_refused():
    with pytest.raises(InvalidInput, match="actions must be a whole number from 2"):
        A2C(SETTINGS, states=4, actions=1, seed=0)
    with pytest.raises(InvalidInput, match="seed"):
        A2C(SETTINGS, states=4, actions=2, seed=-1)
    with pytest.raises(InvalidInput, match="abacus"):
        learner(replace(SETTINGS, device="abacus"))


def test_a_rollout_with_numbers_that_are_not_finite_leaves_the_weights_alone():
    agent, problem = learner(), Signs(0)
    before = agent.network.weights.detach().clone()
    for _ in range(7):
        agent.learn(problem.step(agent.act(problem.states(), explore=True)))
    bad = replace(
        problem.step(agent.act(problem.states(), explore=True)), rewards=torch.full((ENVIRONMENTS,), torch.inf)
    )
    with pytest.raises(InvalidInput, match="not finite"):
        agent.learn(bad)
    assert torch.equal(before, agent.network.weights)
    assert len([found for found in train(agent, 8) if found]) == 1


def test_the_learning_rate_falls_in_a_line_and_stays():
    assert [annealed(2.0, 0.5, seen, 100) for seen in (0, 50, 100, 1_000)] == pytest.approx([2.0, 1.5, 1.0, 1.0])
    assert annealed(2.0, 0.5, 1_000, 0) == 2.0
