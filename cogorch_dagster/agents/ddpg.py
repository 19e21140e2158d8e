"""Deep deterministic policy gradient for continuous actions: an actor proposes, a critic values, both learn.

Lillicrap et al., Continuous control with deep reinforcement learning, ICLR 2016:

    critic: mean square of Q(s, a) - (return + discount * Q_target(s', actor_target(s')))
    actor:  up the gradient of Q(s, actor(s));  targets: target += share (online - target), after each update

Actions lie in 0..1. The actor is linear at its end and clamped there, not squashed: a sigmoid has no slope left at 0
and 1, where an actor that is once driven there stays. To keep it within bounds the gradient of Q by the action is
inverted (Hausknecht and Stone, Deep reinforcement learning in parameterized action space, ICLR 2016):

    times 1 - z where Q rises with the action, times z where it falls,   z: the actor's output before clamping

so that it fades towards the bound it points to and turns round beyond it: an action at a bound comes back at full
slope as soon as Q asks for it.

Exploration adds an Ornstein-Uhlenbeck process per environment and dimension, `x += -theta x + sigma N(0, 1)`, with a
scale that decays; it starts anew with each episode.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from cogorch_dagster.agents.activations import Activation, Dropout, dropout_of, require_known
from cogorch_dagster.agents.adoption import other_settings, swap
from cogorch_dagster.agents.checks import chosen_device, copy_into, number, part, whole, widths
from cogorch_dagster.agents.learner import Transition
from cogorch_dagster.agents.perceptron import (
    Network,
    adam,
    descend,
    forward,
    frozen_copy,
    move_towards,
    network,
    restore_network,
    restore_optimizer,
    saved_network,
    saved_optimizer,
)
from cogorch_dagster.agents.replay import Memory, Replay

# Of the actor's first proposals around the middle: as good as none.
SMALL = 0.01
# What a learner in training cannot change.
FIXED = ("actor_hidden", "critic_hidden", "activation", "dropout", "capacity", "max_age", "device")


@dataclass(frozen=True)
class DDPGSettings:
    """Settings of a DDPG agent. A step is one transition of one environment; a call, one call of `learn`."""

    states: int  # 1..65536: dimensions of a state
    dimensions: int  # 1..65536: of an action, each in 0..1
    actor_hidden: tuple[int, ...] = (128, 128)  # units of the hidden layers
    critic_hidden: tuple[int, ...] = (128, 128)
    activation: Activation = "relu"  # of both: relu, silu, tanh
    dropout: float = 0.0  # 0..0.5: share of the hidden units that a network's own gradient step leaves out
    discount: float = 0.99  # 0..1, per step
    return_steps: int = 1  # 1..100: steps of reward before the value of a state is asked
    reward_scale: float = 1.0  # above 0, to 1e6: factor on rewards; values of about 1 to 10 are learnt best
    actor_rate: float = 1e-3  # above 0, to 1: learning rate
    critic_rate: float = 1e-3
    batch_size: int = 512  # 1..1e6 rows to a gradient step
    capacity: int = 100_000  # 1..1e9 rows of the replay
    max_age: int | None = None  # calls after which a row is forgotten; none: when the capacity is used up
    learning_start: int = 1000  # steps before the first update; until then actions are uniformly random
    train_every: int = 1  # calls from one round of updates to the next
    gradient_steps: int = 1  # 1..1e6 updates in a round; batches of a round are drawn together
    actor_every: int = 1  # updates of the critic to one of the actor and the targets; 2 is the delay of TD3
    target_share: float = 0.005  # above 0, to 1: how far the targets move
    noise_theta: float = 0.15  # above 0, to 1: how fast the noise returns to 0, per step
    noise: float = 0.1  # 0..1: sigma of the noise at the start, in units of the action
    final_noise: float = 0.02  # 0..1: at the end
    noise_steps: int = 100_000  # steps until then, linearly
    seed: int = 0  # 0..2^63-1
    device: str = "auto"  # auto, cpu, cuda, cuda:1, ...

    def __post_init__(self) -> None:
        """Raise InvalidInput for a value out of its range; those of the replay are checked by the replay."""
        whole("states", self.states, 1, 65_536)
        whole("dimensions", self.dimensions, 1, 65_536)
        widths("actor_hidden", self.actor_hidden)
        widths("critic_hidden", self.critic_hidden)
        require_known(self.activation, self.dropout)
        number("discount", self.discount, 0, 1)
        number("reward_scale", self.reward_scale, 0, 1e6, above=True)
        for name in ("actor_rate", "critic_rate", "target_share", "noise_theta"):
            number(name, getattr(self, name), 0, 1, above=True)
        number("noise", self.noise, 0, 1)
        number("final_noise", self.final_noise, 0, 1)
        for name in ("noise_steps", "train_every", "actor_every"):
            whole(name, getattr(self, name), 1, 10**12)
        for name in ("batch_size", "gradient_steps"):
            whole(name, getattr(self, name), 1, 10**6)
        whole("learning_start", self.learning_start, 0, 10**12)
        whole("seed", self.seed, 0, 2**63 - 1)

    def noise_after(self, steps: int) -> float:
        """Sigma of the noise after that many steps."""
        return self.noise + (self.final_noise - self.noise) * min(1.0, steps / self.noise_steps)


class DDPG:
    """The agent; see `Learner`. One thread at a time; the caller sets torch's number of threads.

    Raises:
        InvalidInput: the device cannot be used, or a setting of the replay is out of its range.
    """

    algorithm = "ddpg"

    def __init__(self, settings: DDPGSettings) -> None:
        self.settings = settings
        self.device = chosen_device(settings.device)
        self.generator = Generator(self.device).manual_seed(settings.seed)
        self.dropout = dropout_of(settings.dropout, self.generator)
        states, dimensions = settings.states, settings.dimensions
        self.actor: Network = network((states, *settings.actor_hidden, dimensions), self.generator, last=SMALL)
        with torch.no_grad():
            self.actor[-1].fill_(0.5)  # begin in the middle of 0..1
        self.critic: Network = network((states + dimensions, *settings.critic_hidden, 1), self.generator)
        self.actor_target, self.critic_target = frozen_copy(self.actor), frozen_copy(self.critic)
        self.actor_optimizer = adam(self.actor, settings.actor_rate)
        self.critic_optimizer = adam(self.critic, settings.critic_rate)
        self.replay = Replay(
            capacity=settings.capacity,
            states=states,
            dimensions=dimensions,
            discount=settings.discount,
            generator=self.generator,
            steps=settings.return_steps,
            max_age=settings.max_age,
        )
        self.drift = torch.zeros(0, dimensions, device=self.device)  # the noise, one row to an environment
        self.calls = 0
        self.updates = 0

    def _through(self, layers: Network, inputs: Tensor, dropout: Dropout | None = None) -> Tensor:
        return forward(layers, inputs, self.settings.activation, dropout)

    @torch.inference_mode()
    def act(self, states: Tensor, *, explore: bool) -> Tensor:
        """Actions float32 [B, dimensions] in 0..1 for states float32 [B, states]; with `explore`, with noise."""
        if not explore:
            return self._through(self.actor, states).clamp_(0, 1)
        shape, seen = (len(states), self.settings.dimensions), self.replay.seen
        if seen < self.settings.learning_start:
            return torch.rand(shape, generator=self.generator, device=self.device)
        drawn = torch.randn(shape, generator=self.generator, device=self.device)
        drift = self.drift if len(self.drift) else torch.zeros_like(drawn)
        self.drift = drift * (1 - self.settings.noise_theta) + drawn * self.settings.noise_after(seen)
        return (self._through(self.actor, states).clamp_(0, 1) + self.drift).clamp_(0, 1)

    def learn(self, transition: Transition) -> dict[str, float]:
        """Remember the transition, and make a round of updates when it is time.

        Returns of the last update of the round the critic's loss and the mean value of the actions taken, and the
        noise's sigma; nothing when there was no update.
        """
        settings = self.settings
        self.replay.add(transition)
        if len(self.drift):
            self.drift = self.drift * ~(transition.terminated | transition.truncated)[:, None]
        self.calls += 1
        if self.replay.seen < settings.learning_start or self.calls % settings.train_every or not len(self.replay):
            return {}
        self.actor_optimizer.param_groups[0]["lr"] = settings.actor_rate
        self.critic_optimizer.param_groups[0]["lr"] = settings.critic_rate
        drawn = self.replay.sample(settings.batch_size, settings.gradient_steps)
        figures = torch.zeros(2)
        for at in range(settings.gradient_steps):
            figures = self._improve_critic(drawn, at)
            self.updates += 1
            if self.updates % settings.actor_every == 0:
                self.improve_actor(drawn.states[at])
                move_towards(self.actor_target, self.actor, settings.target_share)
                move_towards(self.critic_target, self.critic, settings.target_share)
        loss, value = figures.tolist()
        return {"critic_loss": loss, "value": value, "noise": settings.noise_after(self.replay.seen)}

    @torch.no_grad()
    def targets(self, returns: Tensor, discounts: Tensor, next_states: Tensor) -> Tensor:
        """What the values should be, float32 [B]; `discounts` is 0 where the episode terminated."""
        actions = self._through(self.actor_target, next_states).clamp_(0, 1)
        later = self._through(self.critic_target, torch.cat((next_states, actions), 1))[:, 0]
        return self.settings.reward_scale * returns + discounts * later

    def _improve_critic(self, drawn: Memory, at: int) -> Tensor:
        """One gradient step on batch `at`: the loss and the mean value, float32 [2]."""
        targets = self.targets(drawn.returns[at], drawn.discounts[at], drawn.next_states[at])
        inputs = torch.cat((drawn.states[at], drawn.actions[at]), 1)
        values = self._through(self.critic, inputs, self.dropout)[:, 0]
        errors = values.detach() - targets
        # The derivative of the mean squared error, from where autograd goes on.
        slope = errors * (2 / len(errors))
        descend(self.critic_optimizer, self.critic, torch.autograd.grad(values, self.critic, slope))
        return torch.stack((errors.square().mean(), values.detach().mean()))

    def improve_actor(self, states: Tensor) -> None:
        """One gradient step of the actor up the critic, on states float32 [B, states]."""
        proposals = self._through(self.actor, states, self.dropout)
        z = proposals.detach()
        actions = z.clamp(0, 1).requires_grad_()
        values = self._through(self.critic, torch.cat((states, actions), 1))
        (rise,) = torch.autograd.grad(values.sum(), actions)
        inverted = rise * (1 - z).where(rise > 0, z) / len(z)
        descend(self.actor_optimizer, self.actor, torch.autograd.grad(proposals, self.actor, -inverted))

    def adopt(self, configuration: Mapping[str, Any]) -> None:
        """See `Learner.adopt`."""
        settings = other_settings(self.algorithm, self.settings, configuration, FIXED)
        replay = self.replay.adopted(discount=settings.discount, steps=settings.return_steps, priorities=None)
        swap((self, {"settings": settings}), (self.replay, replay))

    def parts(self) -> dict[str, Any]:
        """All that resuming needs; see `Learner`."""
        return {
            "algorithm": self.algorithm,
            "actor": saved_network(self.actor),
            "critic": saved_network(self.critic),
            "actor_target": saved_network(self.actor_target),
            "critic_target": saved_network(self.critic_target),
            "actor_optimizer": saved_optimizer(self.actor_optimizer, self.actor),
            "critic_optimizer": saved_optimizer(self.critic_optimizer, self.critic),
            "replay": self.replay.parts(),
            "drift": self.drift.clone(),
            "random": self.generator.get_state(),
            "calls": self.calls,
            "updates": self.updates,
        }

    def restore(self, parts: Mapping[str, Any]) -> None:
        """Take in what `parts` gave; see `Learner`.

        Raises:
            InvalidInput: a part is missing, or does not fit the settings.
        """
        for name in ("actor", "critic", "actor_target", "critic_target"):
            restore_network(getattr(self, name), part(parts, name))
        restore_optimizer(self.actor_optimizer, self.actor, part(parts, "actor_optimizer"))
        restore_optimizer(self.critic_optimizer, self.critic, part(parts, "critic_optimizer"))
        self.replay.restore(part(parts, "replay"))
        rows = self.replay.environments if len(part(parts, "drift")) else 0
        self.drift = torch.zeros(rows, self.settings.dimensions, device=self.device)
        copy_into(self.drift, parts, "drift")
        state = self.generator.get_state()
        copy_into(state, parts, "random")
        self.generator.set_state(state)
        self.calls, self.updates = part(parts, "calls"), part(parts, "updates")
