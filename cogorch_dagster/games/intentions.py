"""What an agent says it wants to do in a state, or why it said nothing; read from a line that cannot be trusted.

The processes that say it are `agent_process.py`, what the agents finally do is decided by `coordinator.py`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.actions import ACTION_COUNTS, RESOURCE_DIMENSIONS
from cogorch_dagster.fleet.signals import AgentName

# An agent is asked about this many states around the present one, normal with this deviation in every dimension.
NEARBY, NEARBY_SIGMA = 64, 0.02


@dataclass(frozen=True)
class Intention:
    """What an agent would do by itself.

    Attributes:
        action: index into the agent's table of actions, or the resource agent's four levels in 0..1.
        preference: in which share of nearby states it would take each action; of the resource agent the standard
            deviation of each level over those states.
        confidence: 0..1; the share of nearby states in which it would take this very action, or 1 less twice the
            largest deviation of a level.
        checkpoint: digest of what it acts from.
    """

    agent: AgentName
    action: int | tuple[float, ...]
    preference: tuple[float, ...]
    confidence: float
    checkpoint: str


@dataclass(frozen=True)
class Silence:
    """That an agent gave no usable intention in time, and why."""

    agent: AgentName
    reason: str


def request(number: int, state: NDArray[np.float32]) -> bytes:
    """The line that asks for an intention in a state, [size]."""
    return json.dumps({"id": number, "state": [float(value) for value in state]}).encode() + b"\n"


def message(line: bytes) -> dict[str, Any]:
    """A line as the object that it holds.

    Raises:
        InvalidInput: it is not a JSON object.
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"answered nonsense: {_shown(line)}") from error
    if not isinstance(found, dict):
        raise InvalidInput(f"answered nonsense: {_shown(line)}")
    return found


def intention(agent: AgentName, checkpoint: str, answer: Mapping[str, Any]) -> Intention:
    """The intention in an answer.

    Raises:
        InvalidInput: it is not an action of this agent, or the preference does not fit it; with what it is.
    """
    action, preference = answer.get("action"), _numbers(answer.get("preference"))
    if agent == "resource":
        levels = _numbers(action)
        if levels is None or len(levels) != len(RESOURCE_DIMENSIONS) or preference is None:
            raise InvalidInput(f"answered nonsense: levels {action!r}, deviations {answer.get('preference')!r}")
        if len(preference) != len(levels) or min(preference) < 0 or not all(0 <= value <= 1 for value in levels):
            raise InvalidInput(f"answered nonsense: levels {list(levels)} with deviations {list(preference)}")
        return Intention(agent, levels, preference, max(0.0, 1 - 2 * max(preference)), checkpoint)
    count = ACTION_COUNTS[agent]
    if not isinstance(action, int) or isinstance(action, bool) or not 0 <= action < count:
        raise InvalidInput(f"answered nonsense: action {action!r}, where 0 to {count - 1} are possible")
    if preference is None or len(preference) != count or min(preference) < 0 or abs(sum(preference) - 1) > 1e-6:
        raise InvalidInput(f"answered nonsense: preferences {answer.get('preference')!r} over {count} actions")
    return Intention(agent, action, preference, preference[action], checkpoint)


def _numbers(values: object) -> tuple[float, ...] | None:
    """A list of finite numbers, or None."""
    if not isinstance(values, list) or not values:
        return None
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return None
    return tuple(float(value) for value in values) if all(abs(value) < 1e9 for value in values) else None


def _shown(line: bytes) -> str:
    text = line[:80].decode("utf-8", "replace").strip()
    return repr(text if len(line) <= 80 else f"{text}…")
