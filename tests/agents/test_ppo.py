"""PPO: its objective, its bound, what it learns, and that it goes on as if never stopped."""

from dataclasses import replace

import pytest
import torch

from cogorch_dagster.agents.learner import Transition
from cogorch_dagster.agents.ppo import PPO, Batch, PPOConfiguration, surrogate, value_error
from cogorch_dagster.errors import InvalidInput
from tests.agents.small_problem import ACTIONS, STATES, Signs, best_actions, same, train

SETTINGS = PPOConfiguration(
    embedding=(32,), heads=(16,), learning_rate=5e-3, rollout_steps=16, epochs=4, minibatch=64, device="cpu"
)


def learner(settings: PPOConfiguration = SETTINGS, seed: int = 0) -> PPO:
    return PPO(settings, states=STATES, actions=ACTIONS, seed=seed)


def run(agent: PPO, problem: Signs, steps: int) -> list[dict[str, float]]:
    return [agent.learn(problem.step(agent.act(problem.states(), explore=True))) for _ in range(steps)]


@pytest.mark.parametrize(
    "change",
    [{}, {"heads": (), "activation": "silu"}, {"value_clip": 0.2, "entropy_weight": 0.01, "anneal_steps": 8_000}],
)
def test_it_learns_the_best_action_in_every_place(change):
    agent = learner(replace(SETTINGS, **change))
    figures = [found for found in train(agent, 400) if found]
    assert best_actions(agent) == [0, 1, 2, 0]
    assert len(figures) == 400 // 16
    assert figures[-1]["entropy"] < 0.8
    assert figures[0]["entropy"] > 1.05


def slope(ratio: float, gain: float) -> float:
    """Of the clipped objective in the ratio, with a clip of .2."""
    at = torch.tensor([ratio], requires_grad=True)
    (found,) = torch.autograd.grad(surrogate(at, torch.tensor([gain]), 0.2).sum(), at)
    return float(found)


@pytest.mark.parametrize("size", [0.5, 3.0])
def test_the_objective_is_flat_beyond_the_clip_in_the_direction_of_the_advantage_only(size):
    for ratio in (0.85, 1.0, 1.15):
        assert slope(ratio, size) == size
        assert slope(ratio, -size) == -size
    assert slope(1.25, size) == 0.0  # a good action is already likelier
    assert slope(0.75, -size) == 0.0  # a bad one already less likely
    assert slope(1.25, -size) == -size  # a bad one became likelier: back
    assert slope(0.75, size) == size


def test_the_objective_is_the_smaller_of_both():
    ratio, gains = torch.tensor([1.5, 1.5, 0.5, 0.5]), torch.tensor([2.0, -2.0, 2.0, -2.0])
    assert surrogate(ratio, gains, 0.2).tolist() == pytest.approx([2.4, -3.0, 1.0, -1.6])


def test_a_clipped_value_is_not_paid_for_going_beyond_the_clip():
    old, returns = torch.zeros(3), torch.full((3,), 2.0)
    values = torch.tensor([0.1, 1.0, -1.0], requires_grad=True)
    error = value_error(values, old, returns, 0.5)
    assert error.tolist() == pytest.approx([1.9**2, 1.5**2, 3.0**2])
    assert torch.autograd.grad(error.sum(), values)[0].tolist() == pytest.approx([-3.8, 0.0, -6.0])
    assert value_error(values, old, returns, None).tolist() == pytest.approx([1.9**2, 1.0, 9.0])


def test_the_bound_on_the_divergence_ends_the_epochs_early():
    bold = replace(SETTINGS, learning_rate=5e-2, epochs=20, clip=1.0)
    (free,) = (found for found in train(learner(replace(bold, kl_bound=None)), 16) if found)
    (bounded,) = (found for found in train(learner(replace(bold, kl_bound=0.01)), 16) if found)
    assert free["minibatches"] == 20 * 4
    assert free["kl_last"] > 0.01
    assert 1 <= bounded["minibatches"] < 20
    assert bounded["kl_last"] > 0.01
    assert bounded["kl"] <= 0.01  # of those that were learned from


def test_the_divergence_is_that_from_the_policy_that_acted():
    agent = learner()
    states = torch.eye(STATES)
    then = torch.randn((STATES, ACTIONS), generator=torch.Generator().manual_seed(2)).log_softmax(-1)
    zeros = torch.zeros(STATES)
    _, figures = agent._loss(Batch(states, zeros.long(), then, zeros, zeros, zeros))
    now = torch.distributions.Categorical(logits=agent.network.still(states)[0])
    expected = torch.distributions.kl_divergence(torch.distributions.Categorical(logits=then), now).mean()
    assert float(figures[-1]) == pytest.approx(float(expected), rel=1e-4)
    assert float(expected) > 0.05


def test_the_first_minibatch_has_no_divergence_and_no_clipped_ratio():
    settings = replace(SETTINGS, epochs=1, minibatch=10_000)
    (found,) = (found for found in train(learner(settings), 16) if found)
    assert found["minibatches"] == 1
    assert found["kl"] == pytest.approx(0, abs=1e-6)
    assert found["clipped"] == 0


def test_an_epoch_goes_once_over_every_step_in_an_order_of_its_own():
    agent = learner(replace(SETTINGS, epochs=2, minibatch=60))
    rows = torch.arange(256.0)
    batch = Batch(rows[:, None], rows.long(), rows[:, None], rows, rows, rows)
    seen = [piece.values for piece in agent._minibatches(batch)]
    assert [len(piece) for piece in seen] == [60, 60, 60, 60, 16] * 2
    first, second = torch.cat(seen[:5]), torch.cat(seen[5:])
    assert torch.equal(first.sort().values, rows)
    assert torch.equal(second.sort().values, rows)
    assert not torch.equal(first, rows)
    assert not torch.equal(first, second)


def test_the_advantages_of_a_rollout_are_normalised_when_asked_for():
    for wanted in (True, False):
        agent = learner(replace(SETTINGS, normalise_advantages=wanted))
        run(agent, Signs(0), 15)
        agent.rollout.add(Signs(0).step(torch.zeros(16, dtype=torch.int64)))
        gains = agent._batch().gains
        assert (gains.mean().abs() < 1e-5 and abs(gains.std(correction=0) - 1) < 1e-4) == wanted


def test_the_best_known_action_is_asked_for_without_changing_anything():
    agent = learner()
    run(agent, Signs(0), 21)
    before = agent.parts()
    assert best_actions(agent) == best_actions(agent)
    assert same(before, agent.parts())


@pytest.mark.parametrize("steps", [0, 5, 32, 41])
def test_a_restored_learner_goes_on_bit_for_bit_also_within_a_rollout(steps):
    settings = replace(SETTINGS, anneal_steps=2_000)
    agent, problem = learner(settings), Signs(1)
    run(agent, problem, steps)
    other = learner(settings, seed=99)
    run(other, Signs(8), 19)
    other.restore(agent.parts())
    copy = Signs(0)
    copy.random.set_state(problem.random.get_state())
    copy.place, copy.age = problem.place.clone(), problem.age.clone()
    assert run(agent, problem, 40) == run(other, copy, 40)
    assert same(agent.parts(), other.parts())


def test_the_same_seed_gives_the_same_learner_and_another_one_another():
    one, same_seed, other = (learner(seed=seed) for seed in (3, 3, 4))
    for agent in (one, same_seed, other):
        run(agent, Signs(0), 20)
    assert same(one.parts(), same_seed.parts())
    assert not same(one.parts(), other.parts())


def test_parts_that_do_not_fit_are_refused_and_nothing_is_taken_in():
    agent = learner()
    run(agent, Signs(0), 21)
    before = agent.parts()
    for settings, message in (
        (replace(SETTINGS, heads=()), "policy"),
        (replace(SETTINGS, embedding=(16,)), "'shared.0.weight'.*needs"),
        (replace(SETTINGS, rollout_steps=4), "steps must be a whole number from 0 to 3"),
    ):
        with pytest.raises(InvalidInput, match=message):
            learner(settings).restore(before)
    network = before["network"]
    for wrong in (
        {"algorithm": "a2c"},
        {"network": network | {"random": torch.zeros(3, dtype=torch.uint8)}},
        {"network": network | {"optimiser": {"exp_avg": torch.zeros(1)}}},
        {"network": network | {"weights": network["weights"] | {"value.0.bias": torch.zeros(2)}}},
    ):
        with pytest.raises(InvalidInput):
            agent.restore(before | wrong)
    assert same(before, agent.parts())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip": 0.0}, "clip must lie above 0 to 1, got 0.0"),
        ({"kl_bound": -0.1}, "kl_bound.*-0.1"),
        ({"value_clip": 0.0}, "value_clip.*0.0"),
        ({"epochs": 0}, "epochs must be a whole number from 1 to 1000, got 0"),
        ({"minibatch": 2.5}, "minibatch.*2.5"),
        ({"gamma": float("inf")}, "gamma.*inf"),
        ({"heads": (0,)}, "each layer of heads.*got 0"),
        ({"embedding": ()}, "embedding must name 1 to 8 layers"),
        ({"activation": "gelu"}, "activation.*gelu"),
        ({"learning_rate": 2.0}, "learning_rate.*2.0"),
    ],
)
def test_settings_outside_of_their_range_are_refused(change, message):
    with pytest.raises(InvalidInput, match=message):
        replace(SETTINGS, **change)


def test_a_change_of_the_number_of_environments_within_a_rollout_is_refused():
    agent = learner()
    run(agent, Signs(0), 3)
    step = Signs(0).step(torch.zeros(16, dtype=torch.int64))
    with pytest.raises(InvalidInput, match="16 environments cannot go on with 8"):
        agent.learn(Transition(*(tensor[:8] for tensor in vars(step).values())))
