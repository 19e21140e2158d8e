"""What a search may try for an agent: the dimensions that vary, and the document that they are put into.

A space of hyperparameters keeps to what may be proposed: the bounds of the policy's level of strictness and the
largest step from the version in force. How one number varies is `dimension.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies import hyperparameters, ranges
from cogorch_dagster.policies.parameter import Level, Parameter
from cogorch_dagster.tuning.dimension import Choice, Dimension

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution

# Pairs of which the first must not be above the second.
ORDERED = (("finalEpsilon", "epsilon"), ("finalNoise", "noise"))


@dataclass(frozen=True)
class Space:
    """The dimensions of a search, and what stays as it is.

    Attributes:
        dimensions: at least one, each parameter once.
        fixed: parameters that every trial has; those of the dimensions are overridden.

    Raises:
        InvalidInput: no dimension, or a parameter twice.
    """

    dimensions: tuple[Dimension | Choice, ...]
    fixed: Mapping[str, Any]

    def __post_init__(self) -> None:
        names = self.names
        if not names or len(set(names)) < len(names):
            raise InvalidInput(f"a space needs dimensions, each once, got {', '.join(names) or 'none'}")

    @property
    def names(self) -> list[str]:
        """Of the dimensions, in order."""
        return [each.name for each in self.dimensions]

    def suggest(self, trial: "Trial") -> dict[str, Any]:
        """The complete params that a trial of Optuna's tries; asks it for what it has not said yet."""
        return self.complete({each.name: each.suggest(trial) for each in self.dimensions})

    def distributions(self) -> "dict[str, BaseDistribution]":
        """For Optuna, by name."""
        return {each.name: each.distribution() for each in self.dimensions}

    def internal(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What Optuna's trials of these params hold; values beyond an end are at the end."""
        return {each.name: each.internal(params[each.name]) for each in self.dimensions}

    def of_internal(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """The complete params of what a trial of Optuna's holds."""
        return self.complete({each.name: each.external(found[each.name]) for each in self.dimensions})

    def of_unit(self, place: Sequence[float]) -> dict[str, Any]:
        """The complete params at a place of the unit cube, [dimensions]."""
        return self.complete({each.name: each.value(u) for each, u in zip(self.dimensions, place, strict=True)})

    def unit(self, params: Mapping[str, Any]) -> list[float]:
        """The place of params in the unit cube, [dimensions]."""
        return [each.unit(params[each.name]) for each in self.dimensions]

    def drawn(self, seed: int) -> dict[str, Any]:
        """Complete params drawn evenly over the unit cube; the same for the same seed."""
        return self.of_unit(np.random.default_rng(seed).random(len(self.dimensions)).tolist())

    def grid(self, points: int) -> Iterator[dict[str, Any]]:
        """All combinations of at most `points` values of each number and of all choices, each complete."""
        axes = [each.grid(points) for each in self.dimensions]
        return (self.complete(dict(zip(self.names, each, strict=True))) for each in product(*axes))

    def cells(self, points: int) -> int:
        """How many combinations `grid` gives."""
        return int(np.prod([len(each.grid(points)) for each in self.dimensions], dtype=object))

    def complete(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """With what is fixed, and with what must not be above another cut to it."""
        params = {**self.fixed, **found}
        for least, most in ORDERED:
            if least in params and most in params and params[least] > params[most]:
                params[least] = params[most]
        return params

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"dimensions": [each.document() for each in self.dimensions], "fixed": dict(self.fixed)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Space":
        """What `document` was called on."""
        return cls(tuple(_dimension(each) for each in document["dimensions"]), dict(document["fixed"]))


def space_of(
    kind: str,
    level: Level,
    current: Mapping[str, Any],
    *,
    free: bool = False,
    names: Sequence[str] | None = None,
) -> Space:
    """The numeric hyperparameters of a kind, as far as a proposal may change them.

    Each is searched over its `Parameter.search`, cut to what one step from `current` may take at the level; where
    nothing is left of that, over all that the step may take. The architecture stays as it is in `current`.

    Args:
        kind: dqn, a2c, ppo or ddpg.
        level: of strictness.
        current: complete params of the version in force.
        free: whether steps of any size count, for a search whose result is not proposed as the next version.
        names: the parameters to vary; all without it.

    Raises:
        InvalidInput: an unknown kind, level or parameter, an incomplete `current`, or nothing that may vary.
    """
    if kind not in hyperparameters.PARAMETERS:
        raise InvalidInput(f"kind {kind!r} has no hyperparameters; there are {', '.join(hyperparameters.PARAMETERS)}")
    parameters = {each.name: each for each in hyperparameters.PARAMETERS[kind]}
    chosen = list(parameters) if names is None else list(names)
    if unknown := sorted(set(chosen) - parameters.keys()):
        raise InvalidInput(f"{kind} has no hyperparameter {', '.join(unknown)}; there are {', '.join(parameters)}")
    if problems := ranges.invalid(kind, current):
        raise InvalidInput(f"the {kind} params to search around are not valid: {'; '.join(problems)}")
    ends = {name: searched(parameters[name], level, None if free else current[name]) for name in chosen}
    for least, most in ORDERED:
        # What is cut to the second of a pair stays within its own ends.
        if most in ends:
            low, high = ends[most]
            floor = ends[least][0] if least in ends else current[least]
            ends[most] = max(low, floor), max(high, floor)
    dimensions = tuple(
        Dimension(name, low, high, parameters[name].scale, parameters[name].whole)
        for name, (low, high) in ends.items()
        if low < high
    )
    if not dimensions:
        raise InvalidInput(
            f"none of {', '.join(chosen)} may be changed at level {level}; set another with `cogorch policy strictness`"
        )
    return Space(dimensions, dict(current))


def searched(parameter: Parameter, level: Level, current: float | None) -> tuple[float, float]:
    """The ends between which a parameter is searched, as `space_of` has it; `current` None: steps of any size."""
    allowed = parameter.bounds(level) if current is None else parameter.reach(current, level)
    low, high = max(allowed[0], parameter.search[0]), min(allowed[1], parameter.search[1])
    return (low, high) if low <= high else allowed


def _dimension(document: Mapping[str, Any]) -> Dimension | Choice:
    if "choices" in document:
        return Choice(document["name"], tuple(document["choices"]))
    return Dimension(**document)
