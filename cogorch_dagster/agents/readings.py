"""What a signal of a state says in its own unit: the scaling of `fleet.signals` undone."""

import numpy as np

from cogorch_dagster.agents.comparison.bootstrap import Floats
from cogorch_dagster.agents.controllers import States
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.signals import SIGNALS, VIEWS, AgentName


def reading(states: States, agent: AgentName, name: str) -> Floats:
    """A signal that the agent sees, float64 [B], in its unit; values beyond its range were cut there.

    Raises:
        InvalidInput: the agent does not see that signal.
    """
    view = VIEWS[agent]
    if name not in view:
        raise InvalidInput(f"the {agent} agent does not see {name!r}; it sees {', '.join(view)}")
    signal = SIGNALS[name]
    share = (states[agent][:, view.index(name)].astype(np.float64) + 1) / 2
    if signal.logarithmic:
        return np.asarray(signal.low * (signal.high / signal.low) ** share)
    return np.asarray(signal.low + (signal.high - signal.low) * share)


def readings(states: States, agent: AgentName, name: str, count: int) -> Floats:
    """The signals `name_0`, `name_1`, ... of the models or tenants: float64 [count, B]."""
    return np.stack([reading(states, agent, f"{name}_{index}") for index in range(count)])
