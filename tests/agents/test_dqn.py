from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from cogorch_dagster.agents.dqn import DQN, DQNSettings
from cogorch_dagster.agents.learner import Transition
from cogorch_dagster.agents.perceptron import forward
from cogorch_dagster.agents.replay import Priorities
from cogorch_dagster.errors import InvalidInput

SMALL = DQNSettings(
    states=5, actions=2, hidden=(16,), batch_size=32, capacity=500, learning_start=40, epsilon_steps=400, device="cpu"
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tensors(parts: Any) -> Iterator[Tensor]:
    """All tensors and numbers in nested parts, in their order."""
    if isinstance(parts, dict):
        for value in parts.values():
            yield from tensors(value)
    elif isinstance(parts, Tensor):
        yield parts
    elif isinstance(parts, int | float):
        yield torch.tensor(parts)


def same(one: Any, other: Any) -> bool:
    pairs = list(zip(tensors(one), tensors(other), strict=True))
    return len(pairs) > 10 and all(torch.equal(a, b) for a, b in pairs)


class Chain:
    """Five states in a row; to the right of the last is 1 and the end, to the left of the first .1 and the end."""

    def __init__(self, rows: int) -> None:
        self.at = torch.arange(rows) % 5

    def states(self) -> Tensor:
        return torch.eye(5)[self.at]

    def step(self, agent: DQN) -> dict[str, float]:
        states = self.states()
        actions = agent.act(states, explore=True)
        moved = self.at + 2 * actions - 1
        rewards = (moved == 5).float() + 0.1 * (moved == -1).float()
        ended = (moved < 0) | (moved > 4)
        self.at = moved.clamp(0, 4)
        next_states = self.states()
        self.at[ended] = 2
        return agent.learn(Transition(states, actions, rewards, next_states, ended, torch.zeros_like(ended)))


@pytest.mark.parametrize(
    "change",
    [{}, {"double": False, "dueling": False, "priorities": None}, {"target_share": 1.0, "target_every": 10}],
    ids=["all", "plain", "hard targets"],
)
def test_the_values_of_a_chain_are_learnt(change: dict[str, Any]) -> None:
    settings = replace(SMALL, discount=0.8, learning_rate=0.01, target_share=0.1, gradient_steps=2, final_epsilon=0.5)
    agent, chain = DQN(replace(settings, **change)), Chain(8)
    for _ in range(200):
        chain.step(agent)
    values = agent.values(agent.target, torch.eye(5)).detach()
    # Right: .8 to the number of steps before the last. Left of the first: .1.
    assert values[:, 1].tolist() == pytest.approx([0.8**4, 0.8**3, 0.8**2, 0.8, 1.0], abs=0.06)
    assert values[0, 0].item() == pytest.approx(0.1, abs=0.06)
    assert agent.act(torch.eye(5), explore=False).tolist() == [1] * 5


def test_the_way_along_a_chain_is_learnt_from_returns_of_three_steps() -> None:
    """The values are too low then, as random actions are in the returns; the order is right."""
    agent, chain = DQN(replace(SMALL, discount=0.8, learning_rate=0.01, target_share=0.1, return_steps=3)), Chain(8)
    for _ in range(150):
        chain.step(agent)
    assert agent.act(torch.eye(5), explore=False).tolist() == [1] * 5


def test_cartpole_is_balanced_longer_than_by_chance() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    same_step = gymnasium.vector.AutoresetMode.SAME_STEP
    make = [lambda: gymnasium.make("CartPole-v1")] * 8
    environment = gymnasium.vector.SyncVectorEnv(make, autoreset_mode=same_step)
    settings = DQNSettings(
        states=4,
        actions=2,
        hidden=(64, 64),
        batch_size=64,
        learning_start=300,
        return_steps=3,
        target_share=0.02,
        gradient_steps=2,
        epsilon_steps=1500,
        device="cpu",
    )
    agent = DQN(settings)
    states, _ = environment.reset(seed=1)
    for _ in range(400):
        current = torch.from_numpy(states)
        actions = agent.act(current, explore=True)
        states, rewards, terminated, truncated, infos = environment.step(actions.numpy())
        followed = states.copy()
        for row in torch.from_numpy(terminated | truncated).nonzero()[:, 0].tolist():
            followed[row] = infos["final_obs"][row]
        ends = torch.from_numpy(terminated), torch.from_numpy(truncated)
        agent.learn(Transition(current, actions, torch.from_numpy(rewards).float(), torch.from_numpy(followed), *ends))
    states, _ = environment.reset(seed=2)
    length, running = torch.zeros(8), torch.ones(8, dtype=torch.bool)
    for _ in range(150):
        states, _, terminated, _, _ = environment.step(agent.act(torch.from_numpy(states), explore=False).numpy())
        length += running
        running &= ~torch.from_numpy(terminated)
    # By chance 22 steps on the mean, with a deviation of 4 for the mean of eight.
    assert length.mean() > 60


def test_double_lets_the_online_network_choose_and_the_target_network_value() -> None:
    states = torch.eye(5)[:2]
    agent = DQN(replace(SMALL, hidden=(4,), dueling=False))
    for layers, bias in ((agent.online, [1.0, 2.0]), (agent.target, [30.0, 10.0])):
        for tensor in layers:
            tensor.detach().zero_()
        layers[-1].detach().copy_(torch.tensor(bias))
    returns, discounts = torch.tensor([0.5, 0.25]), torch.tensor([0.9, 0.0])
    # Online prefers the second action, which the target values 10; the target's own best is 30.
    assert agent.targets(returns, discounts, states).tolist() == pytest.approx([0.5 + 0.9 * 10, 0.25])
    agent.settings = replace(agent.settings, double=False)
    assert agent.targets(returns, discounts, states).tolist() == pytest.approx([0.5 + 0.9 * 30, 0.25])


def test_dueling_adds_the_advantage_less_its_mean_to_the_value_of_the_state() -> None:
    agent = DQN(replace(SMALL, actions=3))
    states = torch.randn(7, 5, generator=torch.Generator().manual_seed(3))
    outputs = forward(agent.online, states)
    values = agent.values(agent.online, states)
    assert values.shape == (7, 3)
    assert torch.allclose(values.mean(1), outputs[:, 3], atol=1e-6)
    assert torch.allclose(values[:, 0] - values[:, 2], outputs[:, 0] - outputs[:, 2], atol=1e-6)
    assert torch.equal(values.argmax(1), agent.act(states, explore=False))


@pytest.mark.parametrize(("terminated", "value"), [(True, 1.0), (False, 5.0)], ids=["terminated", "truncated"])
def test_a_truncated_episode_goes_on_and_a_terminated_one_does_not(terminated: bool, value: float) -> None:
    """One state that leads to itself and pays 1: worth 1 where it ends there, 1 / (1 - .8) where only the clock did."""
    settings = replace(
        SMALL, states=1, discount=0.8, learning_rate=0.02, target_share=0.2, gradient_steps=4, epsilon=1.0
    )
    agent = DQN(settings)
    state, ends = torch.ones(8, 1), torch.full((8,), terminated)
    for _ in range(60):
        actions = agent.act(state, explore=True)
        agent.learn(Transition(state, actions, torch.ones(8), state, ends, ~ends))
    assert agent.values(agent.online, state)[0].tolist() == pytest.approx([value] * 2, abs=0.1 * value)


def test_one_update_is_the_weighted_huber_gradient_by_hand() -> None:
    settings = replace(SMALL, dueling=False, priorities=None, batch_size=6, learning_start=6, learning_rate=0.01)
    agent = DQN(settings)
    generator = torch.Generator().manual_seed(5)
    states, later = torch.randn(2, 6, 5, generator=generator)
    rewards = torch.tensor([0.0, 0.3, -5.0, 9.0, 0.1, -0.2])
    ends, actions = torch.zeros(6, dtype=torch.bool), torch.tensor([0, 1, 0, 1, 1, 0])
    twin = DQN(settings)
    twin.replay.add(Transition(states, actions, rewards, later, ends, ends))
    drawn = twin.replay.sample(6)
    targets = twin.targets(drawn.returns[0], drawn.discounts[0], drawn.next_states[0])
    found = twin.values(twin.online, drawn.states[0]).gather(1, drawn.actions[0].long())[:, 0]
    loss = torch.nn.functional.huber_loss(found, targets)
    for tensor, gradient in zip(twin.online, torch.autograd.grad(loss, twin.online), strict=True):
        tensor.grad = gradient
    plain = torch.optim.Adam(twin.online, lr=0.01, fused=False)
    plain.step()
    figures = agent.learn(Transition(states, actions, rewards, later, ends, ends))
    assert figures["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(agent.online, twin.online, strict=True))


def test_acting_greedily_changes_nothing() -> None:
    agent, chain = DQN(SMALL), Chain(8)
    for _ in range(10):
        chain.step(agent)
    before = agent.parts()
    first = agent.act(torch.eye(5), explore=False)
    assert torch.equal(first, agent.act(torch.eye(5), explore=False))
    assert same(before, agent.parts())
    agent.act(torch.eye(5), explore=True)
    assert not same(before, agent.parts())


def test_exploration_is_the_share_that_is_due() -> None:
    settings = replace(SMALL, epsilon=0.8, final_epsilon=0.2, epsilon_steps=100)
    assert [settings.epsilon_after(n) for n in (0, 50, 100, 1000)] == pytest.approx([0.8, 0.5, 0.2, 0.2])
    agent = DQN(settings)
    states = torch.eye(5)[:1].expand(20_000, 5)
    other = agent.act(states, explore=True) != agent.act(states, explore=False)
    # Half of the random actions are the best one. 20,000 draws at .4: a standard deviation of .0035.
    assert other.float().mean().item() == pytest.approx(0.4, abs=5 * 0.0035)


def test_the_learning_rate_falls_as_set() -> None:
    settings = replace(SMALL, learning_rate=1e-2, final_learning_rate=1e-3, decay_steps=100, learning_start=0)
    assert [settings.rate_after(n) for n in (0, 50, 1000)] == pytest.approx([1e-2, 5.5e-3, 1e-3])
    agent = DQN(settings)
    chain = Chain(10)
    for _ in range(5):
        chain.step(agent)
    assert agent.optimizer.param_groups[0]["lr"] == pytest.approx(5.5e-3)


@pytest.mark.parametrize("environments", [1, 64])
def test_rounds_come_when_they_are_due(environments: int) -> None:
    agent, chain = (
        DQN(replace(SMALL, learning_start=4 * environments, train_every=3, gradient_steps=5)),
        Chain(environments),
    )
    figures = [chain.step(agent) for _ in range(9)]
    assert [bool(figure) for figure in figures] == [False, False, False, False, False, True, False, False, True]
    assert agent.updates == 10


@pytest.mark.parametrize("change", [{}, {"return_steps": 3, "target_every": 3, "train_every": 2, "gradient_steps": 3}])
def test_a_restored_agent_goes_on_bit_for_bit(change: dict[str, Any]) -> None:
    settings = replace(SMALL, capacity=100, **change)
    agent, chain = DQN(settings), Chain(8)
    for _ in range(21):
        chain.step(agent)
    saved, at = agent.parts(), chain.at.clone()
    for _ in range(15):
        chain.step(agent)
    other = DQN(replace(settings, seed=7))
    other.restore(saved)
    chain.at = at
    for _ in range(15):
        chain.step(other)
    assert same(agent.parts(), other.parts())
    assert not same(saved, other.parts())


def test_saved_parts_do_not_follow_the_agent() -> None:
    agent, chain = DQN(SMALL), Chain(8)
    for _ in range(10):
        chain.step(agent)
    saved = agent.parts()
    copy = [tensor.clone() for tensor in tensors(saved)]
    for _ in range(10):
        chain.step(agent)
    assert all(torch.equal(a, b) for a, b in zip(copy, tensors(saved), strict=True))


def test_the_seed_alone_decides_and_the_global_one_is_left_alone() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    runs = []
    for seed in (3, 3, 4):
        agent, chain = DQN(replace(SMALL, seed=seed)), Chain(8)
        for _ in range(12):
            chain.step(agent)
        runs.append(agent.parts())
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])
    assert torch.equal(state, torch.get_rng_state())


def test_parts_of_another_configuration_are_refused() -> None:
    saved = DQN(SMALL).parts()
    with pytest.raises(InvalidInput, match=r"needs torch.float32 \[17, 5\]"):
        DQN(replace(SMALL, hidden=(17,))).restore(saved)
    with pytest.raises(InvalidInput, match="4 tensors, this configuration needs 6"):
        DQN(replace(SMALL, hidden=(16, 16))).restore(saved)
    del saved["target"]
    with pytest.raises(InvalidInput, match="no part 'target'"):
        DQN(SMALL).restore(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": 1}, "actions .* from 2 to 65536, got 1"),
        ({"hidden": ()}, "hidden must name 1 to 8 layers, got 0"),
        ({"hidden": (0,)}, "hidden .* got 0"),
        ({"discount": 1.5}, r"discount must lie from 0 to 1, got 1\.5"),
        ({"learning_rate": 0.0}, r"learning_rate must lie above 0 to 1, got 0\.0"),
        ({"learning_rate": float("nan")}, "learning_rate .* got nan"),
        ({"target_share": 0.0}, "target_share .* above 0"),
        ({"epsilon": -0.1}, "epsilon .* got -0.1"),
        ({"batch_size": 0}, "batch_size .* got 0"),
        ({"gradient_steps": 1.5}, r"gradient_steps must be a whole number .* got 1\.5"),
        ({"seed": -1}, "seed .* got -1"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        replace(SMALL, **change)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidInput, match="device 'abacus' cannot be used here"):
        DQN(replace(SMALL, device="abacus"))


def test_priorities_are_those_of_the_errors() -> None:
    settings = replace(SMALL, priorities=Priorities(alpha=1.0), learning_start=8, batch_size=64, learning_rate=1e-9)
    agent = DQN(settings)
    generator = torch.Generator().manual_seed(2)
    states, rewards = torch.randn(8, 5, generator=generator), torch.arange(8.0)
    ends, actions = torch.ones(8, dtype=torch.bool), torch.zeros(8, dtype=torch.int64)
    agent.learn(Transition(states, actions, rewards, states, ends, ~ends))
    errors = (agent.values(agent.online, states)[:, 0] - rewards).abs() + 1e-3
    assert agent.replay.tree.values(torch.arange(8)).tolist() == pytest.approx(errors.tolist(), rel=1e-4)
