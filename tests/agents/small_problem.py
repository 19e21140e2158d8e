"""A problem with a known optimum that is learned in a second, and how a learner is run on it."""

from collections.abc import Iterator
from typing import Any

import torch

from cogorch_dagster.agents.learner import Learner, Transition

STATES, ACTIONS, ENVIRONMENTS = 4, 3, 16


class Signs:
    """The state shows which of four places one is at; the right action is (place mod 3) and pays 1, any other 0.

    A right action leads to the next place, any other nowhere. Episodes are cut off after 20 steps, and end at random
    once in 25 steps on average.
    """

    def __init__(self, seed: int) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self.place = torch.zeros(ENVIRONMENTS, dtype=torch.int64)
        self.age = torch.randint(20, (ENVIRONMENTS,), generator=self.random)

    def states(self) -> torch.Tensor:
        return torch.nn.functional.one_hot(self.place, STATES).float()

    def step(self, actions: torch.Tensor) -> Transition:
        before = self.states()
        right = actions == self.place % ACTIONS
        self.place = torch.where(right, (self.place + 1) % STATES, self.place)
        self.age += 1
        after = self.states()
        terminated = torch.rand(ENVIRONMENTS, generator=self.random) < 0.04
        truncated = self.age >= 20
        ended = terminated | truncated
        self.place, self.age = torch.where(ended, 0, self.place), torch.where(ended, 0, self.age)
        return Transition(before, actions, right.float(), after, terminated, truncated)


def train(learner: Learner, steps: int, seed: int = 0) -> Iterator[dict[str, float]]:
    """The figures of every step."""
    problem = Signs(seed)
    for _ in range(steps):
        yield learner.learn(problem.step(learner.act(problem.states(), explore=True)))


def best_actions(learner: Learner) -> list[int]:
    return learner.act(torch.eye(STATES), explore=False).tolist()


def same(one: Any, other: Any) -> bool:
    """Whether nested parts are equal bit for bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
