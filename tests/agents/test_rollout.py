"""Advantages against the definition of Schulman et al. (2016), and the storage of steps."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.agents.learner import Transition
from cogorch_dagster.agents.rollout import Rollout, advantages
from cogorch_dagster.errors import InvalidInput


def by_definition(rewards, values, next_values, terminated, truncated, gamma, decay):
    """A_t = Σ_k (γλ)^k δ_{t+k} over the steps until the episode ends or the rollout does (equation 16), one by one."""
    steps, environments = rewards.shape
    found = np.zeros((steps, environments))
    for b in range(environments):
        for t in range(steps):
            for k in range(steps - t):
                at = t + k
                following = 0.0 if terminated[at, b] else next_values[at, b]
                found[t, b] += (gamma * decay) ** k * (rewards[at, b] + gamma * following - values[at, b])
                if terminated[at, b] or truncated[at, b]:
                    break
    return found


@settings(max_examples=80, deadline=None)
@given(
    steps=st.integers(1, 12),
    environments=st.integers(1, 5),
    gamma=st.floats(0, 1),
    decay=st.floats(0, 1),
    ends=st.floats(0, 0.6),
    seed=st.integers(0, 2**31),
)
def test_advantages_are_those_of_the_definition(steps, environments, gamma, decay, ends, seed):
    rng = np.random.default_rng(seed)
    shape = (steps, environments)
    numbers = [rng.normal(size=shape).astype(np.float32) for _ in range(3)]
    flags = [rng.random(shape) < ends for _ in range(2)]
    found = advantages(*(torch.from_numpy(x) for x in (*numbers, *flags)), gamma=gamma, decay=decay)
    np.testing.assert_allclose(found.numpy(), by_definition(*numbers, *flags, gamma, decay), atol=2e-4)


def one_step(*, terminated: bool, truncated: bool, next_value: float = 7.0) -> float:
    tensors = (torch.tensor([[value]]) for value in (1.0, 2.0, next_value, terminated, truncated))
    return float(advantages(*tensors, gamma=0.5, decay=1.0))


def test_a_cut_off_episode_is_worth_its_final_observation_and_an_ended_one_is_not():
    assert one_step(terminated=False, truncated=True) == 1 - 2 + 0.5 * 7
    assert one_step(terminated=True, truncated=False) == 1 - 2
    assert one_step(terminated=True, truncated=True) == 1 - 2


def test_what_follows_a_termination_does_not_count_even_where_it_is_not_finite():
    assert one_step(terminated=True, truncated=False, next_value=float("nan")) == -1


def step(environments: int, seed: int = 0, dimensions: int = 3) -> Transition:
    random = torch.Generator().manual_seed(seed)
    states = torch.randn((2, environments, dimensions), generator=random)
    return Transition(
        states[0],
        torch.randint(4, (environments,), generator=random),
        torch.randn(environments, generator=random),
        states[1],
        torch.rand(environments, generator=random) < 0.3,
        torch.rand(environments, generator=random) < 0.3,
    )


def test_a_rollout_holds_copies_of_its_steps_in_their_order_and_says_when_it_is_full():
    rollout = Rollout(2, 3, torch.device("cpu"))
    first, second = step(5, 1), step(5, 2)
    assert [rollout.add(first), rollout.add(second)] == [False, True]
    for name, stored in rollout._tensors().items():
        assert torch.equal(stored, torch.stack((getattr(first, name), getattr(second, name)))), name
    kept = rollout.states.clone()
    first.states.zero_()
    assert torch.equal(rollout.states, kept)


def test_the_number_of_environments_may_change_between_rollouts_only():
    rollout = Rollout(2, 3, torch.device("cpu"))
    rollout.add(step(5))
    with pytest.raises(InvalidInput, match="a rollout of 5 environments cannot go on with 4"):
        rollout.add(step(4))
    rollout.add(step(5))
    rollout.clear()
    rollout.add(step(4))
    assert rollout.states.shape == (2, 4, 3)


def test_states_of_another_width_are_refused():
    with pytest.raises(InvalidInput, match=r"\[B, 3\].*got \[5, 2\]"):
        Rollout(2, 3, torch.device("cpu")).add(step(5, dimensions=2))


def test_parts_are_only_what_is_filled_and_come_back_equal():
    rollout = Rollout(4, 3, torch.device("cpu"))
    rollout.add(step(5))
    parts = rollout.parts()
    assert parts["states"].shape == (1, 5, 3)
    found = Rollout(4, 3, torch.device("cpu")).restored(parts)
    assert found.filled == 1
    for name, tensor in found._tensors().items():
        assert torch.equal(tensor[:1], getattr(step(5), name)[None]), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"filled": 4}, "steps must be a whole number from 0 to 3"),
        ({"rewards": torch.zeros(1, 6)}, "'rewards'.*this configuration needs"),
        ({"actions": torch.zeros(1, 5)}, "'actions'.*torch.int64"),
    ],
)
def test_parts_of_another_shape_are_refused(change, message):
    rollout = Rollout(4, 3, torch.device("cpu"))
    rollout.add(step(5))
    with pytest.raises(InvalidInput, match=message):
        rollout.restored(rollout.parts() | change)
    without = rollout.parts()
    del without["terminated"]
    with pytest.raises(InvalidInput, match="no part 'terminated'"):
        rollout.restored(without)
