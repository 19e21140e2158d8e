"""The four agents as one controller: each decides for itself what is best known to it.

How their conflicts are settled before they act belongs in `games/`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.agents.baselines.static import passive
from cogorch_dagster.agents.checkpoints import Checkpoint
from cogorch_dagster.agents.controllers import States
from cogorch_dagster.agents.training.joint_configuration import ALGORITHMS, sizes_of
from cogorch_dagster.errors import Refused
from cogorch_dagster.fleet.actions import Values
from cogorch_dagster.fleet.signals import AgentName

Act = Callable[[NDArray[np.float32]], NDArray[Any]]


@dataclass(frozen=True)
class JointController:
    """A `Controller`; an agent without a policy leaves everything at its defaults.

    Attributes:
        name: for reports.
        policies: by agent, actions [B] or [B, 4] for its states, float32 [B, size].
    """

    name: str
    policies: Mapping[AgentName, Act]

    def act(self, states: States) -> dict[str, Values]:
        """See `Controller.act`."""
        found = passive(len(states["resource"]))
        return found | {agent: policy(states[agent]) for agent, policy in self.policies.items()}


def controller_of(checkpoints: Mapping[AgentName, Checkpoint], *, name: str = "joint") -> JointController:
    """The controller that acts as of the agents' checkpoints, on the CPU.

    Raises:
        Refused: `incompatible_checkpoint`: it is of another agent, or of an earlier shape of this one.
        InvalidInput: its parts are not of its configuration.
    """
    return JointController(name, {agent: _policy(agent, checkpoint) for agent, checkpoint in checkpoints.items()})


def _policy(agent: AgentName, checkpoint: Checkpoint) -> Act:
    from cogorch_dagster.agents.inference import Policy

    wanted = {"agent": agent, "algorithm": ALGORITHMS[agent], **sizes_of(agent)._asdict()}
    differences = [
        f"{name} is {getattr(checkpoint, name)!r}, not {value!r}"
        for name, value in wanted.items()
        if getattr(checkpoint, name) != value
    ]
    if differences:
        raise Refused(
            "incompatible_checkpoint", f"the checkpoint cannot act for agent {agent}: {'; '.join(differences)}"
        )
    return Policy.of(checkpoint).act
