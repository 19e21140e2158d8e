"""What an on-policy agent collects between two updates, and what its actions were worth: rollouts and advantages.

Not here: what is learned from them (`a2c`, `ppo`).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cogorch_dagster.agents.checks import copy_into, part, whole
from cogorch_dagster.agents.learner import Transition
from cogorch_dagster.errors import InvalidInput


def advantages(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
    decay: float,
) -> Tensor:
    """Generalised advantage estimates, float32 [T, B] (Schulman et al. 2016, equation 16).

    δ_t = r_t + γ V(s'_t) - V(s_t) and A_t = δ_t + γ λ A_{t+1}, where nothing is added across the end of an episode.
    V(s'_t) counts as 0 after a termination; after a truncation, as within an episode, it is the value of what followed.

    Args:
        rewards, values: float32 [T, B]; values are those of the states in which the actions were taken.
        next_values: float32 [T, B], of what followed the actions: at the end of an episode its final observation.
        terminated, truncated: bool [T, B]; where both are true the episode counts as terminated.
        gamma: discount per step, in 0..1.
        decay: λ, in 0..1: 0 trusts the values (least variance), 1 the rewards (no bias).
    """
    deltas = rewards - values + gamma * next_values.masked_fill(terminated, 0.0)
    carry = (gamma * decay) * (~(terminated | truncated)).to(deltas.dtype)
    found = torch.empty_like(deltas)
    following = torch.zeros_like(deltas[0])
    for t in range(len(deltas) - 1, -1, -1):
        following = torch.addcmul(deltas[t], carry[t], following, out=found[t])
    return found


class Rollout:
    """The last steps of B environments, up to `steps` of them; B is that of the first transition after a `clear`.

    Another length counts from the next rollout on: the present one is filled and learned from as it was begun.

    Attributes:
        next_steps: what `steps` will be after the next `clear`.
        filled: how many steps it holds.
        states, next_states: float32 [steps, B, dimensions].
        actions: int64 [steps, B].
        rewards: float32 [steps, B].
        terminated, truncated: bool [steps, B].
    """

    def __init__(self, steps: int, dimensions: int, device: torch.device) -> None:
        self.steps, self.next_steps, self.dimensions, self.device = steps, steps, dimensions, device
        self._allocate(0)

    def _allocate(self, environments: int) -> None:
        shape = (self.steps, environments)
        self.environments, self.filled = environments, 0
        self.states = torch.zeros((*shape, self.dimensions), device=self.device)
        self.next_states = torch.zeros((*shape, self.dimensions), device=self.device)
        self.actions = torch.zeros(shape, dtype=torch.int64, device=self.device)
        self.rewards = torch.zeros(shape, device=self.device)
        self.terminated = torch.zeros(shape, dtype=torch.bool, device=self.device)
        self.truncated = torch.zeros(shape, dtype=torch.bool, device=self.device)

    def add(self, transition: Transition) -> bool:
        """Store a step of all environments; True when the rollout is now full.

        Raises:
            InvalidInput: the states are not [B, dimensions], or B changed in the middle of a rollout.
        """
        shape = tuple(transition.states.shape)
        if len(shape) != 2 or shape[1] != self.dimensions or shape[0] == 0:
            raise InvalidInput(f"states must have shape [B, {self.dimensions}] with B at least 1, got {list(shape)}")
        if shape[0] != self.environments or (not self.filled and self.steps != self.next_steps):
            if self.filled:
                raise InvalidInput(
                    f"a rollout of {self.environments} environments cannot go on with {shape[0]}; "
                    f"keep their number for {self.steps} steps"
                )
            self.steps = self.next_steps
            self._allocate(shape[0])
        at = self.filled
        for name, target in self._tensors().items():
            target[at].copy_(getattr(transition, name))
        self.filled += 1
        return self.filled == self.steps

    def clear(self) -> None:
        """Forget all steps."""
        self.filled = 0

    def _tensors(self) -> dict[str, Tensor]:
        return {
            "states": self.states,
            "actions": self.actions,
            "rewards": self.rewards,
            "next_states": self.next_states,
            "terminated": self.terminated,
            "truncated": self.truncated,
        }

    def parts(self) -> dict[str, Any]:
        """The steps so far."""
        found: dict[str, Any] = {name: tensor[: self.filled].clone() for name, tensor in self._tensors().items()}
        found |= {"filled": self.filled, "environments": self.environments}
        return found | ({"steps": self.steps} if self.filled and self.steps != self.next_steps else {})

    def restored(self, parts: Mapping[str, Any]) -> "Rollout":
        """A rollout with the steps of `parts`, to be filled to the length that it was begun with; this one stays.

        Raises:
            InvalidInput: a part is missing, or does not fit this size.
        """
        filled, environments, steps = part(parts, "filled"), part(parts, "environments"), self.next_steps
        if "steps" in parts:  # It was begun with another length than the next will have.
            steps = parts["steps"]
            whole("the saved rollout's length", steps, 1, 65_536)
        whole("the saved rollout's steps", filled, 0, steps - 1)
        whole("the saved rollout's environments", environments, 1 if filled else 0, 2**24)
        found = Rollout(steps, self.dimensions, self.device)
        found.next_steps = self.next_steps
        found._allocate(environments)
        for name, tensor in found._tensors().items():
            copy_into(tensor[:filled], parts, name)
        found.filled = filled
        return found
