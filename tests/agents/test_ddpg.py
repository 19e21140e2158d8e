from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from cogorch_dagster.agents.ddpg import DDPG, DDPGSettings
from cogorch_dagster.agents.learner import Transition
from cogorch_dagster.agents.perceptron import forward
from cogorch_dagster.errors import InvalidInput
from tests.agents.small_problem import same

SMALL = DDPGSettings(
    states=2,
    dimensions=2,
    actor_hidden=(32,),
    critic_hidden=(32,),
    batch_size=64,
    capacity=2000,
    learning_start=64,
    target_share=0.05,
    noise_steps=1000,
    device="cpu",
)
SIZE = 16


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Target:
    """States are uniform in 0..1; best is the action that equals the state, at a cost of the square of the distance."""

    def __init__(self, seed: int = 0) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self.states = torch.rand(SIZE, 2, generator=self.random)

    def best(self, states: Tensor) -> Tensor:
        return states

    def step(self, agent: DDPG) -> dict[str, float]:
        states, actions = self.states, agent.act(self.states, explore=True)
        rewards = -(actions - self.best(states)).square().sum(1)
        self.states = torch.rand(SIZE, 2, generator=self.random)
        ends = torch.rand(SIZE, generator=self.random) < 0.3
        return agent.learn(Transition(states, actions, rewards, self.states, ends, ~ends))


class Corner(Target):
    """Best is the same everywhere: .2 and the bound, 0."""

    def best(self, states: Tensor) -> Tensor:
        return torch.tensor([0.2, 0.0]).expand_as(states)


def trained(agent: DDPG, problem: Target, steps: int) -> DDPG:
    for _ in range(steps):
        problem.step(agent)
    return agent


def test_the_action_that_pays_best_is_found_in_each_state() -> None:
    settings = replace(SMALL, discount=0.0, actor_rate=5e-3, critic_rate=5e-3, noise=0.3)
    agent = trained(DDPG(settings), Target(), 400)
    states = torch.rand(200, 2, generator=torch.Generator().manual_seed(9)) * 0.8 + 0.1
    # An actor that stays in the middle is .2 off on the mean.
    assert (agent.act(states, explore=False) - states).abs().mean() < 0.1


@pytest.mark.parametrize("start", [8.0, -8.0])
def test_an_actor_far_beyond_the_bounds_comes_back(start: float) -> None:
    """Behind a sigmoid, 8 has a slope of .0003: it would stay there."""
    agent = DDPG(replace(SMALL, discount=0.0, actor_rate=5e-3, critic_rate=5e-3, noise=0.3, final_noise=0.3))
    agent.actor[-1].detach().fill_(start)
    trained(agent, Corner(), 400)
    found = agent.act(torch.rand(50, 2, generator=torch.Generator().manual_seed(1)), explore=False)
    assert (found - torch.tensor([0.2, 0.0])).abs().mean() < 0.08


def test_a_bound_is_reached_and_hardly_left_behind() -> None:
    settings = replace(SMALL, discount=0.0, actor_rate=5e-3, critic_rate=5e-3, noise=0.3)
    agent = trained(DDPG(settings), Corner(), 500)
    outputs = forward(agent.actor, torch.rand(50, 2, generator=torch.Generator().manual_seed(1)))[:, 1]
    assert outputs.mean().item() == pytest.approx(0.0, abs=0.1)
    assert outputs.abs().max() < 0.4


def linear_critic(agent: DDPG, slopes: list[float]) -> None:
    """A critic of value 5 + slopes . action, whatever the state."""
    weight, bias, last, offset = (tensor.detach() for tensor in agent.critic)
    for tensor in (weight, bias, last):
        tensor.zero_()
    for unit, slope in enumerate(slopes):
        weight[unit, 2 + unit] = 1.0
        bias[unit] = 1.0  # so that the unit is open for all actions
        last[0, unit] = slope
    offset.fill_(5.0 - sum(slopes))


@pytest.mark.parametrize(
    ("output", "slope", "up"),
    [
        (0.5, 1.0, True),
        (0.5, -1.0, False),
        (1.5, 1.0, False),
        (1.5, -1.0, False),
        (-0.5, -1.0, True),
        (-0.5, 1.0, True),
    ],
)
def test_the_actor_goes_up_within_the_bounds_and_back_beyond_them(output: float, slope: float, up: bool) -> None:
    agent = DDPG(SMALL)
    linear_critic(agent, [slope, slope])
    agent.actor[-2].detach().zero_()
    agent.actor[-1].detach().fill_(output)
    states = torch.rand(8, 2, generator=torch.Generator().manual_seed(1))
    agent.improve_actor(states)
    moved = (forward(agent.actor, states) - output).detach()
    assert bool((moved > 0).all()) is up
    assert bool((moved < 0).all()) is not up


def test_the_inverted_gradient_is_that_of_the_formula() -> None:
    agent = DDPG(replace(SMALL, dimensions=2))
    linear_critic(agent, [3.0, -2.0])
    agent.actor[-2].detach().zero_()
    agent.actor[-1].detach().copy_(torch.tensor([0.25, 0.75]))
    agent.improve_actor(torch.zeros(4, 2))
    # Descent: less the slope, 3 times the way left to 1, and -2 times the way left to 0.
    assert agent.actor[-1].grad is not None
    assert agent.actor[-1].grad.tolist() == pytest.approx([-3 * 0.75, 2 * 0.75])


def test_targets_use_the_target_networks() -> None:
    agent = DDPG(replace(SMALL, reward_scale=0.5))
    linear_critic(agent, [1.0, 0.0])
    for mine, target in zip(agent.critic, agent.critic_target, strict=True):
        target.copy_(mine.detach())
    agent.actor_target[-2].zero_()
    agent.actor_target[-1].copy_(torch.tensor([2.0, 0.5]))  # clamped to 1
    linear_critic(agent, [100.0, 100.0])
    returns, discounts = torch.tensor([4.0, 4.0]), torch.tensor([0.9, 0.0])
    assert agent.targets(returns, discounts, torch.zeros(2, 2)).tolist() == pytest.approx([2 + 0.9 * 6, 2])


@pytest.mark.parametrize(("terminated", "value"), [(True, 1.0), (False, 5.0)], ids=["terminated", "truncated"])
def test_a_truncated_episode_goes_on_and_a_terminated_one_does_not(terminated: bool, value: float) -> None:
    """One state that leads to itself and pays 1: worth 1 where it ends there, 1 / (1 - .8) where only the clock did."""
    agent = DDPG(replace(SMALL, discount=0.8, critic_rate=0.02, target_share=0.2, gradient_steps=4))
    states, ends = torch.ones(SIZE, 2), torch.full((SIZE,), terminated)
    for _ in range(60):
        agent.learn(Transition(states, agent.act(states, explore=True), torch.ones(SIZE), states, ends, ~ends))
    inputs = torch.cat((states, agent.act(states, explore=False)), 1)
    assert forward(agent.critic, inputs).mean().item() == pytest.approx(value, rel=0.1)


def test_targets_follow_by_the_share_that_was_set() -> None:
    agent = DDPG(replace(SMALL, target_share=0.25, learning_start=SIZE))
    before = [tensor.clone() for tensor in (*agent.actor_target, *agent.critic_target)]
    Target().step(agent)
    after = (*agent.actor_target, *agent.critic_target)
    for old, new, online in zip(before, after, (*agent.actor, *agent.critic), strict=True):
        assert torch.allclose(new, old + 0.25 * (online.detach() - old), atol=1e-6)
        assert not torch.equal(new, old)


def test_the_actor_waits_for_the_critic_where_that_is_set() -> None:
    agent = DDPG(replace(SMALL, actor_every=3, learning_start=SIZE))
    first, problem = agent.actor[0].detach().clone(), Target()
    trained(agent, problem, 2)
    assert torch.equal(first, agent.actor[0])
    problem.step(agent)
    assert not torch.equal(first, agent.actor[0])


def test_noise_is_an_ornstein_uhlenbeck_process() -> None:
    settings = replace(SMALL, dimensions=1, learning_start=0, noise_theta=0.2, noise=0.05, final_noise=0.05)
    agent = DDPG(settings)
    states = torch.zeros(4000, 2)
    drifts = []
    for _ in range(40):
        actions = agent.act(states, explore=True)
        drifts.append(agent.drift.clone())
    assert torch.allclose(actions, (agent.act(states, explore=False) + drifts[-1]).clamp(0, 1))
    # x' = .8 x + .05 N: stationary with a deviation of .05 / sqrt(1 - .64), and a correlation of .8 from step to step.
    stationary = 0.05 / (1 - 0.8**2) ** 0.5
    assert drifts[-1].std().item() == pytest.approx(stationary, rel=0.06)
    assert drifts[-1].mean().item() == pytest.approx(0.0, abs=5 * stationary / 4000**0.5)
    pair = torch.cat((drifts[-2], drifts[-1]), 1).T
    assert torch.corrcoef(pair)[0, 1].item() == pytest.approx(0.8, abs=0.03)


def test_noise_decays_and_starts_anew_with_an_episode() -> None:
    settings = replace(SMALL, noise=0.4, final_noise=0.1, noise_steps=100, learning_start=0, batch_size=1)
    assert [settings.noise_after(n) for n in (0, 50, 100, 1000)] == pytest.approx([0.4, 0.25, 0.1, 0.1])
    agent = DDPG(settings)
    states = torch.rand(3, 2, generator=torch.Generator().manual_seed(1))
    actions = agent.act(states, explore=True)
    drift = agent.drift.clone()
    ends = torch.tensor([True, False, False]), torch.tensor([False, True, False])
    agent.learn(Transition(states, actions, torch.zeros(3), states, *ends))
    assert agent.drift[:2].abs().max() == 0
    assert torch.equal(agent.drift[2], drift[2])
    assert drift.abs().min() > 0


def test_actions_are_uniform_before_learning_and_within_bounds_always() -> None:
    agent = DDPG(replace(SMALL, noise=1.0, final_noise=1.0))
    states = torch.rand(5000, 2, generator=torch.Generator().manual_seed(1))
    actions = agent.act(states, explore=True)
    # Uniform: a mean of 1/2 with a deviation of .0041, a variance of 1/12.
    assert actions.mean(0).tolist() == pytest.approx([0.5, 0.5], abs=5 * 0.0041)
    assert actions.var(0).tolist() == pytest.approx([1 / 12, 1 / 12], rel=0.07)
    agent = trained(DDPG(replace(SMALL, noise=1.0)), Target(), 10)
    for explore in (True, False):
        found = agent.act(states[:SIZE], explore=explore)
        assert found.dtype == torch.float32
        assert found.shape == (SIZE, 2)
        assert 0 <= found.min() <= found.max() <= 1


def test_acting_greedily_changes_nothing() -> None:
    agent = trained(DDPG(SMALL), Target(), 10)
    states = torch.rand(SIZE, 2, generator=torch.Generator().manual_seed(1))
    before = agent.parts()
    assert torch.equal(agent.act(states, explore=False), agent.act(states, explore=False))
    assert same(before, agent.parts())
    agent.act(states, explore=True)
    assert not same(before, agent.parts())


@pytest.mark.parametrize("change", [{}, {"return_steps": 3, "actor_every": 2, "train_every": 2, "gradient_steps": 3}])
def test_a_restored_agent_goes_on_bit_for_bit(change: dict[str, Any]) -> None:
    settings = replace(SMALL, capacity=300, **change)
    problem = Target()
    agent = trained(DDPG(settings), problem, 23)
    saved, state, random = agent.parts(), problem.states, problem.random.get_state()
    trained(agent, problem, 15)
    other = DDPG(replace(settings, seed=7))
    other.restore(saved)
    problem.states = state
    problem.random.set_state(random)
    trained(other, problem, 15)
    assert same(agent.parts(), other.parts())
    assert not same(saved, other.parts())


def test_the_seed_alone_decides() -> None:
    runs = [trained(DDPG(replace(SMALL, seed=seed)), Target(), 12).parts() for seed in (3, 3, 4)]
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_parts_of_another_configuration_are_refused() -> None:
    saved = trained(DDPG(SMALL), Target(), 8).parts()
    with pytest.raises(InvalidInput, match=r"needs torch.float32 \[33, 2\]"):
        DDPG(replace(SMALL, actor_hidden=(33,))).restore(saved)
    del saved["drift"]
    with pytest.raises(InvalidInput, match="no part 'drift'"):
        DDPG(SMALL).restore(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dimensions": 0}, "dimensions .* got 0"),
        ({"actor_hidden": ()}, "actor_hidden must name 1 to 8 layers, got 0"),
        ({"critic_hidden": (0,)}, "critic_hidden .* got 0"),
        ({"actor_rate": 0.0}, r"actor_rate must lie above 0 to 1, got 0\.0"),
        ({"target_share": 1.01}, "target_share .* got 1.01"),
        ({"noise_theta": 0.0}, "noise_theta .* above 0"),
        ({"noise": -0.1}, "noise .* got -0.1"),
        ({"reward_scale": float("inf")}, "reward_scale .* got inf"),
        ({"actor_every": 0}, "actor_every .* got 0"),
        ({"learning_start": -1}, "learning_start .* got -1"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        replace(SMALL, **change)
