"""What every agent is: it acts on a batch of states, learns from a batch of transitions, and can be saved whole.

An algorithm belongs in the file of its name. Tensors are on the agent's device; batches have one row per environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Transition:
    """One step of B environments.

    `next_states` is what followed the action, also where the episode ended there: the final observation, not the first
    of the next episode. A truncated episode (cut off by time) goes on in principle, so its value is bootstrapped from
    that observation; a terminated one is worth nothing more.
    """

    states: "Tensor"  # float32 [B, states]
    actions: "Tensor"  # int64 [B], or float32 [B, dimensions] in 0..1
    rewards: "Tensor"  # float32 [B]
    next_states: "Tensor"  # float32 [B, states]
    terminated: "Tensor"  # bool [B]
    truncated: "Tensor"  # bool [B]


class Learner(Protocol):
    """An agent in training. `act` with `explore`, then `learn` from what came of exactly these actions, and again."""

    algorithm: str  # dqn, a2c, ppo or ddpg

    def act(self, states: "Tensor", *, explore: bool) -> "Tensor":
        """Actions for float32 [B, states]: int64 [B], or float32 [B, dimensions] in 0..1.

        With `explore` as training does it (noise, sampling); without, the best known action, and nothing is changed,
        neither in the agent nor in its random state.
        """

    def learn(self, transition: Transition) -> dict[str, float]:
        """Take a transition in, and update the weights when it is time; the figures of the update, or none."""

    def adopt(self, configuration: Mapping[str, Any]) -> None:
        """Go on with other settings from the next step on; all of them are taken over, or none.

        Weights, targets, the optimiser's moments, replay, rollout, counters and random state stay bit for bit. A
        schedule goes on from where it is, on its new line. Rows of a replay keep the return and discount that they were
        taken in with (`replay.py`), and another length of rollouts begins with the next one (`rollout.py`).

        Args:
            configuration: settings of the algorithm by name, as JSON; those left out stay as they are.

        Raises:
            InvalidInput: a setting is unknown, out of its range, or one that takes effect with the next training:
                layers, activation, dropout, the optimiser, the size and kind of the replay, the device.
        """

    def parts(self) -> dict[str, Any]:
        """All that resuming needs, as nested dicts of tensors, numbers, strings and None; no other objects.

        Weights, targets, optimiser, replay or open rollout, counters and random state. A learner of the same
        configuration that takes these parts in continues bit for bit as this one would.
        """

    def restore(self, parts: dict[str, Any]) -> None:
        """Take in what `parts` gave.

        Raises:
            InvalidInput: a part is missing, or has another shape than this configuration's.
        """
