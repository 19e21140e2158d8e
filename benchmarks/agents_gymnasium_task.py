"""What one task of `benchmarks/agents_gymnasium.py` is: an algorithm on an environment, its settings, its peer's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cogorch_dagster.agents.learner import Learner


@dataclass(frozen=True)
class Peer:
    """A stable-baselines3 algorithm: class name, environments side by side, keyword arguments of its constructor.

    `kwargs` may hold schedules as `"linear 0.001"` (from there to zero over the run); `normalise` wraps the
    environments in VecNormalize, as the zoo does; `shared` are units of layers that policy and value share.
    """

    name: str
    environments: int
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    normalise: bool = False
    shared: tuple[int, ...] = ()


@dataclass(frozen=True)
class Task:
    """An algorithm on an environment.

    Attributes:
        make_learner: from the number of state dimensions, the action space and a seed.
        settings: the learner's, to be printed beside the figures.
        environments: side by side while training.
        steps: of all environments together; the budget.
        threshold: mean return of greedy episodes at which the environment counts as solved.
        tuned: the peer with the settings of its zoo, for the time to the threshold.
        same: the peer with this learner's settings, for the steps per second.
        alike: the learner with only what the peer has of its algorithm, where it has more; else None.
        highest: the return that cannot be beaten, after which there is nothing to evaluate for; else None.
        evaluate_every: steps between two evaluations, each of `episodes` episodes.
    """

    make_learner: Callable[[int, Any, int], Learner]
    settings: Mapping[str, Any]
    environments: int
    steps: int
    threshold: float
    tuned: Peer
    same: Peer
    alike: Callable[[int, Any, int], Learner] | None = None
    highest: float | None = None
    evaluate_every: int = 5_000
    episodes: int = 20
