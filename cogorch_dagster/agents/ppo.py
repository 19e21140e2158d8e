"""Proximal policy optimisation with the clipped surrogate (Schulman et al. 2017), bounded in KL divergence as well.

Every rollout is learned from in several epochs of minibatches:

    loss = -mean(min(r A, clip(r, 1 - clip, 1 + clip) A)) + value_weight / 2 · mean((R - V(s))²)
           - entropy_weight · mean(H(π(·|s))),  r = π(a|s) / π_old(a|s)

with A of `rollout.advantages` and R = A + V_old(s). They end early before the first minibatch on which the policy is
further than `kl_bound` from the one that acted, in mean KL(π_old ‖ π), which for discrete actions is exact.

With dropout, π in the loss is the policy of what is left of the network, anew in each minibatch. π_old and V_old are
those of the whole network, as it is the one that chose the actions: r then is the importance ratio that it should be,
and the clip bounds what a mask does to it as well. The KL divergence is that of the whole network, which will act next:
else masks alone would end the epochs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cogorch_dagster.agents.a2c import annealed
from cogorch_dagster.agents.activations import Activation, require_known
from cogorch_dagster.agents.actor_critic import ActorCritic, Layers, entropy
from cogorch_dagster.agents.adoption import other_settings, swap
from cogorch_dagster.agents.checks import number, part, whole, widths
from cogorch_dagster.agents.learner import Transition
from cogorch_dagster.agents.rollout import Rollout, advantages
from cogorch_dagster.errors import InvalidInput

# What a learner in training cannot change.
FIXED = ("embedding", "heads", "activation", "dropout", "device")
FIGURES = ("policy_loss", "value_loss", "entropy", "clipped", "kl")


@dataclass(frozen=True)
class PPOConfiguration:
    """Settings of `PPO`.

    Attributes:
        embedding: units of the layers that policy and value share; 1 to 8 layers.
        heads: units of the layers that each has for itself after those; 0 to 8 layers.
        activation: relu, silu or tanh.
        dropout: share of the hidden units that a gradient step leaves out, 0..0.5.
        learning_rate: Adam's at first, above 0 up to 1.
        anneal_steps: steps of all environments over which the learning rate falls in a line to `anneal_to` times
            itself, where it stays; 0: it is constant.
        anneal_to: 0..1.
        rollout_steps: of each environment between two updates, 1 to 65536.
        epochs: over a rollout, 1 to 1000.
        minibatch: steps in one, 1 to 2**24; the last of an epoch may be smaller.
        gamma: discount per step, 0..1.
        gae_decay: λ of the advantages, 0..1.
        normalise_advantages: to mean 0 and deviation 1 in every rollout.
        clip: how far the ratio of probabilities is followed from 1, above 0 up to 1.
        kl_bound: above 0 up to 100, nats; None: epochs never end early.
        value_clip: how far a value is followed from the old one in an update, above 0; None: as far as it goes.
        value_weight: 0..100.
        entropy_weight: 0..10; more keeps the policy exploring.
        max_gradient_norm: above 0 up to 1e6.
        device: auto (the GPU where there is one), cpu or cuda.

    Raises:
        InvalidInput: a setting is outside of its range.
    """

    embedding: tuple[int, ...] = (64,)
    heads: tuple[int, ...] = (64,)
    activation: Activation = "relu"
    dropout: float = 0.0
    learning_rate: float = 1e-3
    anneal_steps: int = 0
    anneal_to: float = 0.05
    rollout_steps: int = 64
    epochs: int = 10
    minibatch: int = 512
    gamma: float = 0.99
    gae_decay: float = 0.95
    normalise_advantages: bool = True
    clip: float = 0.2
    kl_bound: float | None = 0.02
    value_clip: float | None = None
    value_weight: float = 0.5
    entropy_weight: float = 0.0
    max_gradient_norm: float = 0.5
    device: str = "auto"

    def __post_init__(self) -> None:
        widths("embedding", self.embedding)
        if self.heads:
            widths("heads", self.heads)
        require_known(self.activation, self.dropout)
        number("learning_rate", self.learning_rate, 0, 1, above=True)
        whole("anneal_steps", self.anneal_steps, 0, 10**15)
        number("anneal_to", self.anneal_to, 0, 1)
        whole("rollout_steps", self.rollout_steps, 1, 65_536)
        whole("epochs", self.epochs, 1, 1_000)
        whole("minibatch", self.minibatch, 1, 2**24)
        number("gamma", self.gamma, 0, 1)
        number("gae_decay", self.gae_decay, 0, 1)
        number("clip", self.clip, 0, 1, above=True)
        if self.kl_bound is not None:
            number("kl_bound", self.kl_bound, 0, 100, above=True)
        if self.value_clip is not None:
            number("value_clip", self.value_clip, 0, 1e9, above=True)
        number("value_weight", self.value_weight, 0, 100)
        number("entropy_weight", self.entropy_weight, 0, 10)
        number("max_gradient_norm", self.max_gradient_norm, 0, 1e6, above=True)


@dataclass(frozen=True)
class Batch:
    """Steps of a rollout in any order, and what the policy that acted made of them; [N, ...] each."""

    states: Tensor  # float32 [N, states]
    actions: Tensor  # int64 [N]
    log_probabilities: Tensor  # float32 [N, actions], of the policy that acted
    values: Tensor  # float32 [N], before the update
    gains: Tensor  # float32 [N], advantages
    returns: Tensor  # float32 [N]

    def rows(self, index: Tensor) -> "Batch":
        """Those at int64 [M]."""
        return Batch(*(tensor.index_select(0, index) for tensor in vars(self).values()))

    def pieces(self, size: int) -> "Iterator[Batch]":
        """One after the other, `size` rows each."""
        return (Batch(*piece) for piece in zip(*(t.split(size) for t in vars(self).values()), strict=True))


def surrogate(ratio: Tensor, gains: Tensor, clip: float) -> Tensor:
    """The clipped objective of each step, to be maximised (Schulman et al. 2017, equation 7).

    Nothing is gained by a ratio further from 1 than `clip` in the direction that the advantage asks for; a ratio that
    is off in the other direction is still pulled back.
    """
    return torch.minimum(ratio * gains, ratio.clamp(1 - clip, 1 + clip) * gains)


def value_error(values: Tensor, old: Tensor, returns: Tensor, clip: float | None) -> Tensor:
    """Squared error of each value, or the larger of that and the error of a value within `clip` of the old one."""
    error = (returns - values).square()
    if clip is None:
        return error
    return torch.maximum(error, (returns - old - (values - old).clamp(-clip, clip)).square())


class PPO:
    """A learner as `agents.learner.Learner` describes it, for discrete actions.

    Args:
        states: dimensions of a state, 1 to 65536.
        actions: how many there are, 2 to 65536.
        seed: of the weights and of everything random after them, 0 to 2**63 - 1.

    Raises:
        InvalidInput: an argument is outside of its range, or the device cannot be used.
    """

    algorithm = "ppo"

    def __init__(self, configuration: PPOConfiguration, *, states: int, actions: int, seed: int) -> None:
        whole("states", states, 1, 65_536)
        whole("actions", actions, 2, 65_536)
        whole("seed", seed, 0, 2**63 - 1)
        self.configuration = configuration
        layers = Layers(states, configuration.embedding, configuration.heads, actions, configuration.activation)
        self.network = ActorCritic(
            layers, optimiser="adam", device=configuration.device, seed=seed, dropout=configuration.dropout
        )
        self.rollout = Rollout(configuration.rollout_steps, states, self.network.device)
        self.seen = 0  # steps of all environments

    def act(self, states: Tensor, *, explore: bool) -> Tensor:
        """int64 [B] for float32 [B, states]: sampled from the policy with `explore`, else the likeliest."""
        return self.network.act(states, explore=explore)

    def learn(self, transition: Transition) -> dict[str, float]:
        """Store a step; with the last step of a rollout, update the weights.

        Returns:
            Empty, or of the update: `policy_loss`, `value_loss`, `entropy` (nats), `clipped` (share of the steps with
            a ratio beyond the clip) and `kl` (nats), each the mean over the minibatches that were learned from;
            `kl_last` of the last minibatch that was looked at, `minibatches` learned from, and `learning_rate`.

        Raises:
            InvalidInput: the states' shape does not fit, or the rollout holds numbers that are not finite.
        """
        full = self.rollout.add(transition)
        self.seen += len(transition.rewards)
        if not full:
            return {}
        self.rollout.clear()
        return self._update(self._batch())

    def _batch(self) -> Batch:
        """The rollout as the policy that acted sees it: its weights have not changed since."""
        settings, rollout = self.configuration, self.rollout
        log_probabilities, values = self.network.still(rollout.states)
        gains = advantages(
            rollout.rewards,
            values,
            self.network.values(rollout.next_states),
            rollout.terminated,
            rollout.truncated,
            gamma=settings.gamma,
            decay=settings.gae_decay,
        )
        returns = gains + values
        if not torch.isfinite(returns).all():
            raise InvalidInput("states or rewards of the rollout are not finite; nothing was learned from it")
        if settings.normalise_advantages:
            gains = (gains - gains.mean()) / (gains.std(correction=0) + 1e-8)
        tensors = (rollout.states, rollout.actions, log_probabilities, values, gains, returns)
        return Batch(*(tensor.flatten(0, 1) for tensor in tensors))

    def _update(self, batch: Batch) -> dict[str, float]:
        settings = self.configuration
        rate = annealed(settings.learning_rate, settings.anneal_to, self.seen, settings.anneal_steps)
        figures, last = [], 0.0
        for minibatch in self._minibatches(batch):
            loss, found = self._loss(minibatch)
            last = float(found[-1])
            if settings.kl_bound is not None and last > settings.kl_bound:
                break
            self.network.descend(loss, learning_rate=rate, max_norm=settings.max_gradient_norm)
            figures.append(found)
        means = torch.stack(figures).mean(0).tolist() if figures else [0.0] * len(FIGURES)
        return dict(zip(FIGURES, means, strict=True)) | {
            "kl_last": last,
            "minibatches": float(len(figures)),
            "learning_rate": rate,
        }

    def _minibatches(self, batch: Batch) -> Iterator[Batch]:
        size = self.configuration.minibatch
        for _ in range(self.configuration.epochs):
            if size >= len(batch.actions):
                yield batch
                continue
            order = torch.randperm(len(batch.actions), generator=self.network.generator)
            yield from batch.rows(order.to(self.network.device)).pieces(size)

    def _loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss with gradient, and FIGURES without."""
        settings = self.configuration
        log_probabilities, values = self.network(batch.states)
        change = log_probabilities - batch.log_probabilities
        ratio = change.gather(-1, batch.actions.unsqueeze(-1)).squeeze(-1).exp()
        policy_loss = -surrogate(ratio, batch.gains, settings.clip).mean()
        value_loss = 0.5 * value_error(values, batch.values, batch.returns, settings.value_clip).mean()
        loss = policy_loss + settings.value_weight * value_loss
        with torch.set_grad_enabled(settings.entropy_weight > 0):
            bonus = entropy(log_probabilities).mean()
        if settings.entropy_weight > 0:
            loss = loss - settings.entropy_weight * bonus
        with torch.no_grad():
            clipped = ((ratio - 1).abs() > settings.clip).float().mean()
            if settings.dropout:
                change = self.network.still(batch.states)[0] - batch.log_probabilities
            kl = -(batch.log_probabilities.exp() * change).sum(-1).mean()
            figures = torch.stack((policy_loss, value_loss, bonus, clipped, kl))
        return loss, figures

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
