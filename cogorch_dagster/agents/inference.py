"""A trained agent that only acts: the best known action in a state, from a checkpoint.

How an agent is trained further from a checkpoint is not here, nor is what its actions mean to the fleet.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from cogorch_dagster.agents import algorithms, store
from cogorch_dagster.agents.checkpoints import Checkpoint
from cogorch_dagster.agents.checks import chosen_device
from cogorch_dagster.agents.learner import Learner
from cogorch_dagster.agents.store import StoredCheckpoint
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.settings import Settings


@dataclass(frozen=True)
class Policy:
    """What an agent does, as of its checkpoint; it neither explores nor learns, so the same state has the same action.

    Attributes:
        agent: as the checkpoint names it.
        states: dimensions of a state.
        actions: number of discrete actions, or dimensions of a continuous one.
        calibration: digest of the parameters of the environment that it was trained in.
        steps: trained so far.
    """

    agent: str
    algorithm: str
    states: int
    actions: int
    calibration: str
    steps: int
    _learner: Learner
    _device: torch.device

    @classmethod
    def of(cls, checkpoint: Checkpoint, *, device: str = "cpu") -> Self:
        """The policy of a checkpoint.

        Args:
            device: where it computes, whatever it was trained on; a single state is fastest on the CPU.

        Raises:
            InvalidInput: an unknown algorithm or setting, or parts that are not of that configuration.
        """
        learner = algorithms.learner(
            checkpoint.algorithm,
            {**checkpoint.configuration, "device": device},
            states=checkpoint.states,
            actions=checkpoint.actions,
            seed=checkpoint.seed,
        )
        # Acting draws nothing at random, and a GPU's random state does not fit the CPU's generator.
        fresh = {name: part for name, part in learner.parts().items() if name == "random"}
        learner.restore({**checkpoint.parts, **fresh})
        return cls(
            agent=checkpoint.agent,
            algorithm=checkpoint.algorithm,
            states=checkpoint.states,
            actions=checkpoint.actions,
            calibration=checkpoint.calibration,
            steps=checkpoint.steps,
            _learner=learner,
            _device=chosen_device(device),
        )

    @classmethod
    def stored(cls, settings: Settings, stored: StoredCheckpoint, *, device: str = "cpu") -> Self:
        """The policy of a stored checkpoint; raises as `of` and as `store.load` do."""
        return cls.of(store.load(settings, stored), device=device)

    def act(self, states: NDArray[np.float32]) -> NDArray[Any]:
        """The best known actions: of float32 [B, states] int64 [B], or float32 [B, actions] in 0..1 if continuous.

        For a single state [states], a single action: int64 [], or float32 [actions].

        Raises:
            InvalidInput: another shape, or numbers that are not finite.
        """
        batch = np.array(states, dtype=np.float32)
        if batch.ndim not in (1, 2) or batch.shape[-1] != self.states:
            raise InvalidInput(
                f"states have shape {list(batch.shape)}; agent {self.agent} takes [{self.states}] or [B, {self.states}]"
            )
        if not np.isfinite(batch).all():
            raise InvalidInput(
                f"states of agent {self.agent} hold numbers that are not finite; mend what measures them"
            )
        rows = torch.from_numpy(batch.reshape(-1, self.states)).to(self._device)
        actions: NDArray[Any] = self._learner.act(rows, explore=False).cpu().numpy()
        return actions[0] if batch.ndim == 1 else actions
