"""Where fleets stand between two steps, and its arrays as a tree: chosen by fleet, copied, put back, compared.

A fleet is the last axis of every array. What a step does with them is `environment`'s.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.signals import States
from cogorch_dagster.fleet.simulation import FleetState, Outcome

Floats = NDArray[np.float64]
Tree = dict[str, Any]


@dataclass(frozen=True)
class Present:
    """Where fleets stand between two steps.

    Attributes:
        states: what each agent sees, float32 [B, size].
        smoothed: [B], requests per step, smoothed.
        good: [T, B], measured shares of good answers.
        violations: [B], share of the promises broken.
    """

    state: FleetState
    outcome: Outcome
    states: States
    smoothed: Floats
    good: Floats
    violations: Floats

    def tree(self) -> Tree:
        """The arrays as nested dicts, without copying; what the agents see follows from them."""
        state = fields(self.state)
        state["traffic"], state["knobs"] = fields(state["traffic"]), fields(state["knobs"])
        return {
            "state": state,
            "outcome": fields(self.outcome),
            "smoothed": self.smoothed,
            "good": self.good,
            "violations": self.violations,
        }


def fields(value: Any) -> dict[str, Any]:
    """A dataclass's fields by name, as they are."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def copied(parts: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """A copy of each array."""
    return {name: value.copy() for name, value in parts.items()}


def columns_of(parts: Mapping[str, NDArray[Any]], columns: NDArray[np.int64]) -> dict[str, Any]:
    """Of each array the part of some fleets."""
    return {name: value[..., columns] for name, value in parts.items()}


def every(parts: Mapping[str, Any], change: Callable[[NDArray[Any]], NDArray[Any]]) -> Tree:
    """The tree with each array changed."""
    return {name: every(value, change) if isinstance(value, dict) else change(value) for name, value in parts.items()}


def put(own: Mapping[str, Any], fresh: Mapping[str, Any], columns: NDArray[np.int64]) -> None:
    """Overwrite the columns of some fleets, in place."""
    for name, value in fresh.items():
        if isinstance(value, dict):
            put(own[name], value, columns)
        else:
            own[name][..., columns] = value


def require_like(own: Mapping[str, Any], given: Mapping[str, Any], path: str) -> None:
    """Raises InvalidInput where a part of `own` is missing or has another shape."""
    for name, value in own.items():
        if name not in given:
            raise InvalidInput(f"{path}.{name} is missing; the parts are not those of this version")
        if isinstance(value, dict):
            require_like(value, given[name], f"{path}.{name}")
        elif np.shape(given[name]) != np.shape(value):
            raise InvalidInput(f"{path}.{name} has shape {np.shape(given[name])}; this one has {np.shape(value)}")
