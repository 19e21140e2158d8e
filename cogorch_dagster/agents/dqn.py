"""Deep Q-network for discrete actions: the value of each action is learnt, and the best one taken.

Mnih et al., Human-level control through deep reinforcement learning, Nature 2015, with

- double: the online network chooses the next action, the target network values it (van Hasselt et al. 2016):
  `y = return + discount * Q_target(s', argmax_a Q(s', a))`;
- dueling: `Q(s, a) = V(s) + A(s, a) - mean over a' of A(s, a')` (Wang et al. 2016);
- prioritised replay and returns of several steps (`replay.py`).

Each of them is a switch. The loss is Huber's of `Q(s, a) - y`, with unit bound, weighted by the importance weights.
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
from cogorch_dagster.agents.replay import Memory, Priorities, Replay

HUBER_BOUND = 1.0
PRIORITIES = Priorities()
# What a learner in training cannot change.
FIXED = ("hidden", "activation", "dropout", "dueling", "capacity", "max_age", "device")


@dataclass(frozen=True)
class DQNSettings:
    """Settings of a DQN agent. A step is one transition of one environment; a call, one call of `learn`."""

    states: int  # 1..65536: dimensions of a state
    actions: int  # 2..65536
    hidden: tuple[int, ...] = (128, 128)  # units of the hidden layers
    activation: Activation = "relu"  # relu, silu, tanh
    dropout: float = 0.0  # 0..0.5: share of the hidden units that a gradient step leaves out
    double: bool = True
    dueling: bool = True
    priorities: Priorities | None = PRIORITIES  # none: uniform replay
    discount: float = 0.99  # 0..1, per step
    return_steps: int = 1  # 1..100: steps of reward before the value of a state is asked
    learning_rate: float = 1e-3  # above 0, to 1
    final_learning_rate: float | None = None  # 0..1, reached linearly after decay_steps; none: constant
    decay_steps: int = 100_000  # steps
    batch_size: int = 512  # 1..1e6 rows to a gradient step
    capacity: int = 100_000  # 1..1e9 rows of the replay
    max_age: int | None = None  # calls after which a row is forgotten; none: when the capacity is used up
    learning_start: int = 1000  # steps before the first update
    train_every: int = 1  # calls from one round of updates to the next
    gradient_steps: int = 1  # 1..1e6 updates in a round; batches of a round are drawn together
    target_share: float = 0.005  # above 0, to 1: how far the target moves; 1 copies
    target_every: int = 1  # updates from one move of the target to the next
    epsilon: float = 1.0  # 0..1: share of random actions at the start
    final_epsilon: float = 0.05  # 0..1: at the end
    epsilon_steps: int = 10_000  # steps until then, linearly
    seed: int = 0  # 0..2^63-1
    device: str = "auto"  # auto, cpu, cuda, cuda:1, ...

    def __post_init__(self) -> None:
        """Raise InvalidInput for a value out of its range; those of the replay are checked by the replay."""
        whole("states", self.states, 1, 65_536)
        whole("actions", self.actions, 2, 65_536)
        widths("hidden", self.hidden)
        require_known(self.activation, self.dropout)
        number("discount", self.discount, 0, 1)
        number("learning_rate", self.learning_rate, 0, 1, above=True)
        if self.final_learning_rate is not None:
            number("final_learning_rate", self.final_learning_rate, 0, 1)
        number("target_share", self.target_share, 0, 1, above=True)
        number("epsilon", self.epsilon, 0, 1)
        number("final_epsilon", self.final_epsilon, 0, 1)
        for name in ("decay_steps", "epsilon_steps", "train_every", "target_every"):
            whole(name, getattr(self, name), 1, 10**12)
        for name in ("batch_size", "gradient_steps"):
            whole(name, getattr(self, name), 1, 10**6)
        whole("learning_start", self.learning_start, 0, 10**12)
        whole("seed", self.seed, 0, 2**63 - 1)

    def rate_after(self, steps: int) -> float:
        """The learning rate after that many steps."""
        end = self.learning_rate if self.final_learning_rate is None else self.final_learning_rate
        return _between(self.learning_rate, end, steps / self.decay_steps)

    def epsilon_after(self, steps: int) -> float:
        """The share of random actions after that many steps."""
        return _between(self.epsilon, self.final_epsilon, steps / self.epsilon_steps)


def _between(start: float, end: float, share: float) -> float:
    return start + (end - start) * min(1.0, share)


class DQN:
    """The agent; see `Learner`. One thread at a time; the caller sets torch's number of threads.

    Raises:
        InvalidInput: the device cannot be used, or a setting of the replay is out of its range.
    """

    algorithm = "dqn"

    def __init__(self, settings: DQNSettings) -> None:
        self.settings = settings
        self.device = chosen_device(settings.device)
        self.generator = Generator(self.device).manual_seed(settings.seed)
        self.dropout = dropout_of(settings.dropout, self.generator)
        outputs = settings.actions + settings.dueling  # the value of the state is the last output
        self.online: Network = network((settings.states, *settings.hidden, outputs), self.generator)
        self.target: Network = frozen_copy(self.online)
        self.optimizer = adam(self.online, settings.learning_rate)
        self.replay = Replay(
            capacity=settings.capacity,
            states=settings.states,
            dimensions=1,
            discount=settings.discount,
            generator=self.generator,
            steps=settings.return_steps,
            max_age=settings.max_age,
            priorities=settings.priorities,
        )
        self.calls = 0
        self.updates = 0

    def values(self, layers: Network, states: Tensor, dropout: Dropout | None = None) -> Tensor:
        """The value of each action, float32 [B, actions], in states float32 [B, states]."""
        outputs = forward(layers, states, self.settings.activation, dropout)
        if not self.settings.dueling:
            return outputs
        advantages = outputs[:, :-1]
        return outputs[:, -1:] + advantages - advantages.mean(1, keepdim=True)

    @torch.inference_mode()
    def act(self, states: Tensor, *, explore: bool) -> Tensor:
        """The best known actions, int64 [B], of states float32 [B, states]; with `explore`, some at random."""
        best = self._best(states)
        if not explore:
            return best
        size, device = len(best), self.device
        random = torch.randint(self.settings.actions, (size,), generator=self.generator, device=device)
        drawn = torch.rand(size, generator=self.generator, device=device)
        return random.where(drawn < self.settings.epsilon_after(self.replay.seen), best)

    def _best(self, states: Tensor) -> Tensor:
        """The online network's actions, int64 [B]; the state's value is the same for all: the advantage decides."""
        return forward(self.online, states, self.settings.activation)[:, : self.settings.actions].argmax(1)

    def learn(self, transition: Transition) -> dict[str, float]:
        """Remember the transition, and make a round of updates when it is time.

        Returns of the last update of the round the loss, the mean value of the actions taken and the mean size of the
        TD error, and the share of random actions; nothing when there was no update.
        """
        settings = self.settings
        self.replay.add(transition)
        self.calls += 1
        if self.replay.seen < settings.learning_start or self.calls % settings.train_every or not len(self.replay):
            return {}
        self.optimizer.param_groups[0]["lr"] = settings.rate_after(self.replay.seen)
        drawn = self.replay.sample(settings.batch_size, settings.gradient_steps)
        errors, values = torch.empty_like(drawn.returns), torch.empty(0)
        for at in range(settings.gradient_steps):
            values, errors[at] = self._update(drawn, at)
        self.replay.prioritise(drawn.indices, errors)
        sizes = errors[-1].abs()
        loss = (sizes - 0.5 * HUBER_BOUND).where(sizes > HUBER_BOUND, 0.5 * sizes.square())
        if drawn.weights is not None:
            loss = loss * drawn.weights[-1]
        loss, value, size = torch.stack((loss.mean(), values.mean(), sizes.mean())).tolist()
        return {"loss": loss, "value": value, "td_error": size, "epsilon": settings.epsilon_after(self.replay.seen)}

    def _update(self, drawn: Memory, at: int) -> tuple[Tensor, Tensor]:
        """One gradient step on batch `at`: the values of its actions, and how far they are from their targets."""
        targets = self.targets(drawn.returns[at], drawn.discounts[at], drawn.next_states[at])
        values = self.values(self.online, drawn.states[at], self.dropout).gather(1, drawn.actions[at].long())[:, 0]
        errors = values.detach() - targets
        # The derivative of Huber's loss of the mean weighted error, from where autograd goes on.
        slope = errors.clamp(-HUBER_BOUND, HUBER_BOUND) / len(errors)
        if drawn.weights is not None:
            slope = slope * drawn.weights[at]
        descend(self.optimizer, self.online, torch.autograd.grad(values, self.online, slope))
        self.updates += 1
        if self.updates % self.settings.target_every == 0:
            move_towards(self.target, self.online, self.settings.target_share)
        return values.detach(), errors

    @torch.no_grad()
    def targets(self, returns: Tensor, discounts: Tensor, next_states: Tensor) -> Tensor:
        """What the values should be, float32 [B]; `discounts` is 0 where the episode terminated."""
        later = self.values(self.target, next_states)
        if self.settings.double:
            return returns + discounts * later.gather(1, self._best(next_states)[:, None])[:, 0]
        return returns + discounts * later.amax(1)

    def adopt(self, configuration: Mapping[str, Any]) -> None:
        """See `Learner.adopt`."""
        settings = other_settings(self.algorithm, self.settings, configuration, FIXED)
        replay = self.replay.adopted(
            discount=settings.discount, steps=settings.return_steps, priorities=settings.priorities
        )
        swap((self, {"settings": settings}), (self.replay, replay))

    def parts(self) -> dict[str, Any]:
        """All that resuming needs; see `Learner`."""
        return {
            "algorithm": self.algorithm,
            "online": saved_network(self.online),
            "target": saved_network(self.target),
            "optimizer": saved_optimizer(self.optimizer, self.online),
            "replay": self.replay.parts(),
            "random": self.generator.get_state(),
            "calls": self.calls,
            "updates": self.updates,
        }

    def restore(self, parts: Mapping[str, Any]) -> None:
        """Take in what `parts` gave; see `Learner`.

        Raises:
            InvalidInput: a part is missing, or does not fit the settings.
        """
        restore_network(self.online, part(parts, "online"))
        restore_network(self.target, part(parts, "target"))
        restore_optimizer(self.optimizer, self.online, part(parts, "optimizer"))
        self.replay.restore(part(parts, "replay"))
        state = self.generator.get_state()
        copy_into(state, parts, "random")
        self.generator.set_state(state)
        self.calls, self.updates = part(parts, "calls"), part(parts, "updates")
