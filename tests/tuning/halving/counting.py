"""A training that costs nothing: what it is worth grows with its steps, and every step leaves a mark in its state."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.tuning.halving.resumable import Reached
from cogorch_dagster.tuning.halving.rule import Rule
from cogorch_dagster.tuning.halving.rungs import ladder
from cogorch_dagster.tuning.halving.sampling import Sampler

SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "n": IntDistribution(1, 8)}


def rule(budget: int = 400, *, sampler: Sampler = "random", seed: int = 0) -> Rule:
    """Three rungs at 4, 12 and 36 steps."""
    return Rule(ladder(36, eta=3, rungs=3), budget, SPACE, sampler, seed)


@dataclass
class Counting:
    """A `Training` whose score is 1 - (x - .3)² with a little noise that falls with the steps."""

    values: Mapping[str, Any]
    all: "CountingTrials"
    steps: int = 0
    mark: float = 0.0

    def reach(self, level: int, stop: Callable[[], bool]) -> Reached | None:
        while self.steps < level:
            if stop():
                return None
            self.steps += 1
            self.all.done += 1
            self.mark = float(np.sin(self.mark * 12.9898 + self.values["x"] + self.steps))
        if self.values["n"] in self.all.diverging and self.steps > 4:
            raise Refused("training_diverged", f"x {self.values['x']:.3f} is too much")
        return Reached(1 - (self.values["x"] - 0.3) ** 2 + 0.1 * self.mark / self.steps, {"mark": self.mark})

    def checkpoint(self) -> bytes:
        return json.dumps({"values": dict(self.values), "steps": self.steps, "mark": self.mark}).encode()


@dataclass
class CountingTrials:
    """The `Resumable`: `diverging` values of n fail on their way to rung 1; `done` counts all steps taken."""

    diverging: frozenset[int] = frozenset()
    done: int = 0
    starts: list[str] = field(default_factory=list)

    def start(self, params: Mapping[str, Any]) -> Counting:
        self.starts.append("start")
        return Counting(params, self)

    def resume(self, params: Mapping[str, Any], content: bytes) -> Counting:
        self.starts.append("resume")
        found = json.loads(content)
        if found["values"] != params:
            raise InvalidInput("another trial's state")
        return Counting(params, self, found["steps"], found["mark"])
