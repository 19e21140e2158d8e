"""Activation and dropout in all four algorithms: the layers by hand, and dropout where gradients are taken only."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from cogorch_dagster.agents import algorithms, checkpoints
from cogorch_dagster.agents.activations import Dropout, dropout_of
from cogorch_dagster.agents.inference import Policy
from cogorch_dagster.agents.learner import Learner, Transition
from cogorch_dagster.agents.perceptron import forward, network
from cogorch_dagster.agents.ppo import PPO, PPOConfiguration
from cogorch_dagster.errors import InvalidInput
from tests.agents import resuming
from tests.agents.small_problem import ACTIONS, STATES, best_actions, same, train

KINDS = pytest.mark.parametrize("kind", algorithms.ALGORITHMS)
BY_HAND: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda z: z.clamp(min=0),
    "silu": lambda z: z / (1 + (-z).exp()),
    "tanh": torch.tanh,
}


def made(kind: str, **change: Any) -> Learner:
    configuration = {**resuming.CONFIGURATIONS[kind], **change}
    return algorithms.learner(kind, configuration, states=5, actions=resuming.actions_of(kind), seed=11)


def state(agent: Learner) -> Any:
    return checkpoints.nested.encode(agent.parts())


@pytest.mark.parametrize("activation", BY_HAND)
def test_the_layers_are_those_by_hand(activation: Any) -> None:
    layers = network((4, 9, 7, 2), Generator().manual_seed(3))
    given = torch.randn(20, 4, generator=Generator().manual_seed(1))
    hidden = given
    for weight, bias in list(pairwise(layers))[0:4:2]:
        hidden = BY_HAND[activation](hidden @ weight.T + bias)
    wanted = hidden @ layers[-2].T + layers[-1]
    assert torch.allclose(forward(layers, given, activation), wanted, atol=1e-6)
    gradients = [torch.autograd.grad(each.sum(), layers) for each in (forward(layers, given, activation), wanted)]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize("kind", ["dqn", "ddpg"])
@pytest.mark.parametrize("activation", BY_HAND)
def test_acting_and_targets_go_through_the_activation(kind: str, activation: Any) -> None:
    agent: Any = made(kind, activation=activation, **({"double": False, "dueling": False} if kind == "dqn" else {}))
    states = 3 * torch.randn(50, 5, generator=Generator().manual_seed(1))
    zeros, ones = torch.zeros(50), torch.ones(50)
    if kind == "dqn":
        outputs = forward(agent.online, states, activation)
        assert torch.equal(agent.act(states, explore=False), outputs.argmax(1))
        later = forward(agent.target, states, activation).amax(1)
    else:
        actions = forward(agent.actor, states, activation).clamp(0, 1)
        assert torch.equal(agent.act(states, explore=False), actions)
        later = forward(agent.critic_target, torch.cat((states, actions), 1), activation)[:, 0]
    assert torch.allclose(agent.targets(zeros, ones, states), later)


def test_dropout_sets_its_share_to_0_and_keeps_the_mean() -> None:
    drop = Dropout(0.3, Generator().manual_seed(1))
    units = torch.full((400, 250), 2.0)
    found = drop(units)
    # 100,000 draws at .3: a standard deviation of .0014.
    assert (found == 0).float().mean().item() == pytest.approx(0.3, abs=5 * 0.0014)
    assert found[found > 0].unique().tolist() == pytest.approx([2 / 0.7])
    assert not torch.equal(found, drop(units))
    assert torch.equal(found, Dropout(0.3, Generator().manual_seed(1))(units))


def test_without_dropout_nothing_is_drawn() -> None:
    generator = Generator().manual_seed(1)
    assert dropout_of(0.0, generator) is None
    assert torch.equal(generator.get_state(), Generator().manual_seed(1).get_state())


@KINDS
def test_no_dropout_is_what_it_was_before_there_was_any(kind: str) -> None:
    """A checkpoint of that time has neither setting; it acts and trains on as it did."""
    plain, named = made(kind), made(kind, dropout=0, activation="relu")
    for each in (plain, named):
        resuming.train(each, 0, 30)
    assert state(plain) == state(named)
    old = resuming.saved(plain)
    assert "dropout" not in old.configuration and "activation" not in old.configuration
    states = torch.randn(9, 5)
    assert torch.equal(torch.from_numpy(Policy.of(old).act(states.numpy())), plain.act(states, explore=False))


@KINDS
def test_dropout_is_in_the_gradient_steps_alone(kind: str) -> None:
    dropped, plain = made(kind, dropout=0.4), made(kind)
    # The same weights act the same, whatever is dropped in training, and nothing is drawn for it.
    states = torch.randn(30, 5, generator=Generator().manual_seed(2))
    before = state(dropped)
    assert torch.equal(dropped.act(states, explore=False), plain.act(states, explore=False))
    assert state(dropped) == before
    for each in (dropped, plain):
        resuming.train(each, 0, 30)
    assert state(dropped) != state(plain)
    before = state(dropped)
    actions = dropped.act(states, explore=False)
    assert torch.equal(actions, dropped.act(states, explore=False))
    if kind in ("dqn", "ddpg"):
        learner: Any = dropped
        numbers = torch.zeros(30), torch.ones(30), states
        assert torch.equal(learner.targets(*numbers), learner.targets(*numbers))
    else:
        learner = dropped
        assert torch.equal(learner.network.values(states), learner.network.still(states)[1])
    assert state(dropped) == before


@KINDS
@pytest.mark.parametrize("at", [5, 19])
def test_a_restored_learner_with_dropout_goes_on_bit_for_bit(kind: str, at: int) -> None:
    agent, other = made(kind, dropout=0.3, activation="silu"), made(kind, dropout=0.3, activation="silu")
    resuming.train(agent, 0, at)
    resuming.train(other, 0, 3)
    other.restore(agent.parts())
    for each in (agent, other):
        resuming.train(each, at, at + 20)
    assert state(agent) == state(other)


def test_one_update_with_dropout_is_the_gradient_through_what_is_left_by_hand() -> None:
    change = {"dropout": 0.5, "double": False, "dueling": False, "priorities": None, "learning_rate": 0.01}
    settings = {**change, "learning_start": 6, "batch_size": 6, "return_steps": 1}
    agent, twin = (made("dqn", **settings) for _ in range(2))
    rows = torch.randn(6, 5, generator=Generator().manual_seed(5))
    ends = torch.ones(6, dtype=torch.bool)
    step = Transition(rows, torch.tensor([0, 1, 2, 0, 1, 2]), torch.randn(6), rows, ends, ~ends)
    agent.learn(step)
    learner: Any = twin
    learner.replay.add(step)
    drawn = learner.replay.sample(6)
    kept = torch.empty(6, 16).bernoulli_(0.5, generator=learner.generator)
    hidden = (drawn.states[0] @ learner.online[0].T + learner.online[1]).clamp(min=0) * kept * 2
    outputs = hidden @ learner.online[2].T + learner.online[3]
    values = outputs.gather(1, drawn.actions[0].long())[:, 0]
    loss = torch.nn.functional.huber_loss(values, drawn.returns[0])
    for tensor, gradient in zip(learner.online, torch.autograd.grad(loss, learner.online), strict=True):
        tensor.grad = gradient
    torch.optim.Adam(learner.online, lr=0.01).step()
    found: Any = agent
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found.online, learner.online, strict=True))


SMALL = PPOConfiguration(
    embedding=(32,), heads=(16,), learning_rate=5e-3, rollout_steps=16, epochs=4, minibatch=64, device="cpu"
)


def test_ppo_measures_the_ratio_from_the_policy_that_acted_and_the_divergence_of_the_one_that_will() -> None:
    agent = PPO(replace(SMALL, dropout=0.3), states=STATES, actions=ACTIONS, seed=3)
    for _ in range(4):
        figures = [found for found in train(agent, 16) if found]
    batch = agent._batch()
    # The whole network is that of the rollout yet: what masks do to the ratio is no divergence of the policy.
    loss, found = agent._loss(batch)
    assert found[-1].item() == pytest.approx(0, abs=1e-6)
    again, _ = agent._loss(batch)
    assert loss.item() != again.item()
    assert figures[0]["minibatches"] >= 1
    plain, _ = agent.network.still(batch.states)
    assert torch.equal(plain, batch.log_probabilities)


@pytest.mark.parametrize("kind", ["a2c", "ppo"])
def test_what_a_state_is_worth_is_asked_of_the_whole_network(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The advantages of the same rollout are the same with dropout as without."""
    from cogorch_dagster.agents import a2c, ppo, rollout

    seen: list[Tensor] = []

    def told(*arguments: Any, **named: Any) -> Tensor:
        seen.append(rollout.advantages(*arguments, **named))
        return seen[-1]

    monkeypatch.setattr({"a2c": a2c, "ppo": ppo}[kind], "advantages", told)
    for dropout in (0.0, 0.4):
        resuming.train(made(kind, dropout=dropout), 0, resuming.CONFIGURATIONS[kind]["rollout_steps"])
    assert len(seen) == 2 and torch.allclose(seen[0], seen[1], atol=1e-6)


@pytest.mark.parametrize("kind", ["dqn", "a2c", "ppo"])
def test_a_small_problem_is_learnt_with_dropout(kind: str) -> None:
    settings: dict[str, dict[str, Any]] = {
        "dqn": {"hidden": [32], "learning_rate": 5e-3, "batch_size": 64, "learning_start": 100, "target_share": 0.05},
        "a2c": {"shared": [32], "learning_rate": 1e-2, "rollout_steps": 8},
        "ppo": {"embedding": [32], "heads": [16], "learning_rate": 5e-3, "rollout_steps": 16, "minibatch": 64},
    }
    own = {**settings[kind], "dropout": 0.2, "device": "cpu"}
    own |= {"discount": 0.8} if kind == "dqn" else {"gamma": 0.8}
    agent = algorithms.learner(kind, own, states=STATES, actions=ACTIONS, seed=1)
    for _ in train(agent, 250):
        pass
    assert best_actions(agent) == [0, 1, 2, 0]


@KINDS
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dropout": 0.51}, r"dropout must lie from 0 to 0\.5, got 0\.51"),
        ({"dropout": -0.1}, "dropout must lie from 0"),
        ({"activation": "gelu"}, "activation"),
    ],
)
def test_settings_out_of_range_are_refused(kind: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        made(kind, **change)


def test_the_parts_are_those_of_the_settings_alone() -> None:
    agents = [made("dqn", activation=activation) for activation in BY_HAND]
    assert all(same(agents[0].parts(), each.parts()) for each in agents)
    for each in agents:
        resuming.train(each, 0, 20)
    assert len({str(checkpoints.digest(checkpoints.pack(resuming.saved(each)))) for each in agents}) == 3
