"""Advantage actor-critic, synchronous (Mnih et al. 2016), with generalised advantage estimates and an entropy bonus.

One step of the optimiser per rollout, over policy and value at once, which share their layers:

    loss = -mean(log π(a|s) A) + value_weight / 2 · mean((R - V(s))²) - entropy_weight · mean(H(π(·|s)))

with A of `rollout.advantages` and R = A + V(s). With dropout, π and V(s) in the loss are those of what is left of the
network; A and R are of the whole network, which chose the actions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from cogorch_dagster.agents.activations import Activation, require_known
from cogorch_dagster.agents.actor_critic import ActorCritic, Layers, Optimiser, entropy
from cogorch_dagster.agents.adoption import other_settings, swap
from cogorch_dagster.agents.checks import number, part, whole, widths
from cogorch_dagster.agents.learner import Transition
from cogorch_dagster.agents.rollout import Rollout, advantages
from cogorch_dagster.errors import InvalidInput

# What a learner in training cannot change.
FIXED = ("shared", "heads", "activation", "dropout", "optimiser", "device")


@dataclass(frozen=True)
class A2CConfiguration:
    """Settings of `A2C`.

    Attributes:
        shared: units of the layers that policy and value share; 0 to 8 layers.
        heads: units of the layers that each has for itself after those; 0 to 8 layers, at least one if none is shared.
        activation: relu, silu or tanh.
        dropout: share of the hidden units that a gradient step leaves out, 0..0.5.
        optimiser: adam or rmsprop.
        learning_rate: of the first update, above 0 up to 1.
        anneal_steps: steps of all environments over which the learning rate falls in a line to `anneal_to` times
            itself, where it stays; 0: it is constant.
        anneal_to: 0..1.
        rollout_steps: of each environment between two updates, 1 to 65536.
        gamma: discount per step, 0..1.
        gae_decay: λ of the advantages, 0..1.
        normalise_advantages: to mean 0 and deviation 1 in every rollout.
        value_weight: 0..100.
        entropy_weight: 0..10; more keeps the policy exploring.
        max_gradient_norm: above 0 up to 1e6.
        device: auto (the GPU where there is one), cpu or cuda.

    Raises:
        InvalidInput: a setting is outside of its range.
    """

    shared: tuple[int, ...] = (64, 64)
    heads: tuple[int, ...] = ()
    activation: Activation = "relu"
    dropout: float = 0.0
    optimiser: Optimiser = "adam"
    learning_rate: float = 1e-3
    anneal_steps: int = 0
    anneal_to: float = 0.05
    rollout_steps: int = 16
    gamma: float = 0.99
    gae_decay: float = 0.95
    normalise_advantages: bool = True
    value_weight: float = 0.5
    entropy_weight: float = 0.01
    max_gradient_norm: float = 0.5
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.shared or not self.heads:
            widths("shared", self.shared)
        if self.heads:
            widths("heads", self.heads)
        require_known(self.activation, self.dropout)
        if self.optimiser not in get_args(Optimiser):
            raise InvalidInput(f"optimiser must be one of {get_args(Optimiser)}, got {self.optimiser!r}")
        number("learning_rate", self.learning_rate, 0, 1, above=True)
        whole("anneal_steps", self.anneal_steps, 0, 10**15)
        number("anneal_to", self.anneal_to, 0, 1)
        whole("rollout_steps", self.rollout_steps, 1, 65_536)
        number("gamma", self.gamma, 0, 1)
        number("gae_decay", self.gae_decay, 0, 1)
        number("value_weight", self.value_weight, 0, 100)
        number("entropy_weight", self.entropy_weight, 0, 10)
        number("max_gradient_norm", self.max_gradient_norm, 0, 1e6, above=True)


class A2C:
    """A learner as `agents.learner.Learner` describes it, for discrete actions.

    Args:
        states: dimensions of a state, 1 to 65536.
        actions: how many there are, 2 to 65536.
        seed: of the weights and of everything random after them, 0 to 2**63 - 1.

    Raises:
        InvalidInput: an argument is outside of its range, or the device cannot be used.
    """

    algorithm = "a2c"

    def __init__(self, configuration: A2CConfiguration, *, states: int, actions: int, seed: int) -> None:
        whole("states", states, 1, 65_536)
        whole("actions", actions, 2, 65_536)
        whole("seed", seed, 0, 2**63 - 1)
        self.configuration = configuration
        layers = Layers(states, configuration.shared, configuration.heads, actions, configuration.activation)
        self.network = ActorCritic(
            layers,
            optimiser=configuration.optimiser,
            device=configuration.device,
            seed=seed,
            dropout=configuration.dropout,
        )
        self.rollout = Rollout(configuration.rollout_steps, states, self.network.device)
        self.seen = 0  # steps of all environments

    def act(self, states: Tensor, *, explore: bool) -> Tensor:
        """int64 [B] for float32 [B, states]: sampled from the policy with `explore`, else the likeliest."""
        return self.network.act(states, explore=explore)

    def learn(self, transition: Transition) -> dict[str, float]:
        """Store a step; with the last step of a rollout, update the weights.

        Returns:
            Empty, or the update's `policy_loss`, `value_loss`, `entropy` (nats) and `learning_rate`.

        Raises:
            InvalidInput: the states' shape does not fit, or the rollout holds numbers that are not finite.
        """
        full = self.rollout.add(transition)
        self.seen += len(transition.rewards)
        if not full:
            return {}
        self.rollout.clear()
        return self._update()

    def _update(self) -> dict[str, float]:
        settings, rollout = self.configuration, self.rollout
        log_probabilities, values = self.network(rollout.states)
        # What the policy that acted was worth, and that is the whole network.
        known = self.network.still(rollout.states)[1] if settings.dropout else values.detach()
        gains = advantages(
            rollout.rewards,
            known,
            self.network.values(rollout.next_states),
            rollout.terminated,
            rollout.truncated,
            gamma=settings.gamma,
            decay=settings.gae_decay,
        )
        returns = gains + known
        if not torch.isfinite(returns).all():
            raise InvalidInput("states or rewards of the rollout are not finite; nothing was learned from it")
        if settings.normalise_advantages:
            gains = (gains - gains.mean()) / (gains.std(correction=0) + 1e-8)
        chosen = log_probabilities.gather(-1, rollout.actions.unsqueeze(-1)).squeeze(-1)
        policy_loss = -(chosen * gains).mean()
        value_loss = 0.5 * (returns - values).square().mean()
        bonus = entropy(log_probabilities).mean()
        loss = policy_loss + settings.value_weight * value_loss - settings.entropy_weight * bonus
        rate = annealed(settings.learning_rate, settings.anneal_to, self.seen, settings.anneal_steps)
        self.network.descend(loss, learning_rate=rate, max_norm=settings.max_gradient_norm)
        figures = torch.stack((policy_loss.detach(), value_loss.detach(), bonus.detach())).tolist()
        return dict(zip(("policy_loss", "value_loss", "entropy"), figures, strict=True)) | {"learning_rate": rate}

    def adopt(self, configuration: Mapping[str, Any]) -> None:
        """See `Learner.adopt`."""
        settings = other_settings(self.algorithm, self.configuration, configuration, FIXED)
        swap((self, {"configuration": settings}), (self.rollout, {"next_steps": settings.rollout_steps}))

    def parts(self) -> dict[str, Any]:
        """See `Learner.parts`; the open rollout included."""
        return {
            "algorithm": self.algorithm,
            "seen": self.seen,
            "network": self.network.parts(),
            "rollout": self.rollout.parts(),
        }

    def restore(self, parts: Mapping[str, Any]) -> None:
        """See `Learner.restore`; all of it is taken in, or nothing."""
        if part(parts, "algorithm") != self.algorithm:
            raise InvalidInput(f"the saved agent's algorithm is {parts['algorithm']!r}, this one's {self.algorithm!r}")
        whole("seen of the saved agent", part(parts, "seen"), 0, 2**63 - 1)
        rollout = self.rollout.restored(part(parts, "rollout"))
        self.network.restore(part(parts, "network"))
        self.rollout, self.seen = rollout, parts["seen"]


def annealed(rate: float, share: float, seen: int, steps: int) -> float:
    """A rate that falls in a line from `rate` to `share` times that over `steps`, where it stays; 0 steps: constant."""
    return rate if steps == 0 else rate * max(share, 1 - (1 - share) * seen / steps)
