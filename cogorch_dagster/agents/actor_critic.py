"""A policy over discrete actions and a value of states in one network, with its optimiser and its random numbers.

What is optimised belongs in `a2c` and `ppo`. All weights lie in one flat tensor, of which the layers are views: an
update is then one kernel, whatever the number of layers, which on small networks saves most of its time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod, sqrt
from typing import Any, Literal

import torch
from torch import Generator, Tensor
from torch.nn.functional import linear
from torch.nn.init import orthogonal_

from cogorch_dagster.agents.activations import ACTIVATIONS, Activation, Dropout, dropout_of
from cogorch_dagster.agents.checks import chosen_device, copy_into, part
from cogorch_dagster.errors import InvalidInput

Optimiser = Literal["adam", "rmsprop"]


@dataclass(frozen=True)
class Layers:
    """Widths of a network: shared layers, then the same layers once for the policy and once for the value."""

    states: int
    shared: tuple[int, ...]
    own: tuple[int, ...]
    actions: int
    activation: Activation

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of weights and biases by name, in the order in which they lie in the flat tensor."""
        found: dict[str, tuple[int, ...]] = {}

        def add(name: str, widths: Sequence[int]) -> None:
            for layer, (inputs, outputs) in enumerate(pairwise(widths)):
                found[f"{name}.{layer}.weight"] = (outputs, inputs)
                found[f"{name}.{layer}.bias"] = (outputs,)

        add("shared", (self.states, *self.shared))
        inputs = (self.states, *self.shared)[-1]
        add("policy", (inputs, *self.own, self.actions))
        add("value", (inputs, *self.own, 1))
        return found


def initial(layers: Layers, generator: Generator) -> Tensor:
    """Flat weights: orthogonal with gain √2, .01 in the policy's last layer (nearly uniform), 1 in the value's."""
    last = {f"policy.{len(layers.own)}.weight": 0.01, f"value.{len(layers.own)}.weight": 1.0}
    found = []
    for name, shape in layers.shapes().items():
        tensor = torch.zeros(shape)
        if name.endswith("weight"):
            orthogonal_(tensor, last.get(name, sqrt(2)), generator=generator)
        found.append(tensor.flatten())
    return torch.cat(found)


def sampled(logits: Tensor, generator: Generator) -> Tensor:
    """One action per row of float32 [B, actions], with the probabilities of the softmax: the Gumbel-max trick.

    The generator is one of the CPU, whatever the device of the logits.
    """
    noise = torch.empty(logits.shape).exponential_(generator=generator).log_()
    return (logits - noise.to(logits.device)).argmax(-1)


def entropy(log_probabilities: Tensor) -> Tensor:
    """Of each row of normalised log-probabilities, in nats; ln(actions) where all are equally likely."""
    return -(log_probabilities.exp() * log_probabilities).sum(-1)


class ActorCritic:
    """The network, its optimiser and its random state, on one device.

    Attributes:
        weights: the flat tensor that is trained; its layers are views.
        generator: for sampling, shuffling and dropout.

    Raises:
        InvalidInput: torch cannot use the device.
    """

    def __init__(self, layers: Layers, *, optimiser: Optimiser, device: str, seed: int, dropout: float = 0.0) -> None:
        self.layers, self.device = layers, chosen_device(device)
        self._shapes = layers.shapes()
        # On the CPU, so that a seed means the same and a checkpoint can be read on every device.
        self.generator = Generator().manual_seed(seed)
        self.dropout = dropout_of(dropout, self.generator)
        self.weights = initial(layers, self.generator).to(self.device).requires_grad_()
        self._still = self._views(self.weights.detach())
        self.optimiser: torch.optim.Optimizer = (
            torch.optim.Adam([self.weights], eps=1e-5, fused=True)
            if optimiser == "adam"
            else torch.optim.RMSprop([self.weights], alpha=0.99, eps=1e-5, foreach=True)
        )

    def _views(self, flat: Tensor) -> dict[str, Tensor]:
        pieces = torch.split(flat, [prod(shape) for shape in self._shapes.values()])
        return {name: piece.view(shape) for piece, (name, shape) in zip(pieces, self._shapes.items(), strict=True)}

    def _through(
        self, views: Mapping[str, Tensor], name: str, count: int, inputs: Tensor, dropout: Dropout | None
    ) -> Tensor:
        activation = ACTIVATIONS[self.layers.activation]
        for layer in range(count):
            inputs = linear(inputs, views[f"{name}.{layer}.weight"], views[f"{name}.{layer}.bias"])
            inputs = activation(inputs)
            if dropout is not None:
                inputs = dropout(inputs)
        return inputs

    def _head(self, views: Mapping[str, Tensor], name: str, inputs: Tensor, dropout: Dropout | None = None) -> Tensor:
        hidden, last = self._through(views, name, len(self.layers.own), inputs, dropout), len(self.layers.own)
        return linear(hidden, views[f"{name}.{last}.weight"], views[f"{name}.{last}.bias"])

    def act(self, states: Tensor, *, explore: bool) -> Tensor:
        """int64 [B]: sampled from the policy, or its likeliest action."""
        with torch.inference_mode():
            logits = self._head(self._still, "policy", self._trunk(self._still, states))
            actions = sampled(logits, self.generator) if explore else logits.argmax(-1)
        return actions.clone()  # an ordinary tensor, which its receiver may change

    def _trunk(self, views: Mapping[str, Tensor], states: Tensor, dropout: Dropout | None = None) -> Tensor:
        return self._through(views, "shared", len(self.layers.shared), states, dropout)

    def __call__(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities [B, actions] and values [B] of float32 [B, states], with gradient and with dropout."""
        return self._both(self._views(self.weights), states, self.dropout)

    def still(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """The same without either: those of the policy that acts."""
        with torch.no_grad():
            return self._both(self._still, states)

    def values(self, states: Tensor) -> Tensor:
        """Values [...] of float32 [..., states], without gradient."""
        with torch.no_grad():
            return self._head(self._still, "value", self._trunk(self._still, states)).squeeze(-1)

    def _both(
        self, views: Mapping[str, Tensor], states: Tensor, dropout: Dropout | None = None
    ) -> tuple[Tensor, Tensor]:
        hidden = self._trunk(views, states, dropout)
        logits, values = (self._head(views, name, hidden, dropout) for name in ("policy", "value"))
        return logits.log_softmax(-1), values.squeeze(-1)

    def descend(self, loss: Tensor, *, learning_rate: float, max_norm: float) -> None:
        """One step of the optimiser; a gradient longer than `max_norm` is shortened to it."""
        (gradient,) = torch.autograd.grad(loss, self.weights)
        gradient.mul_((max_norm / (gradient.norm() + 1e-6)).clamp_(max=1.0))
        self.weights.grad = gradient
        self.optimiser.param_groups[0]["lr"] = learning_rate
        self.optimiser.step()

    def parts(self) -> dict[str, Any]:
        """Copies of weights by layer, the optimiser's moments and the random state."""
        return {
            "weights": {name: view.clone() for name, view in self._still.items()},
            "optimiser": {name: value.clone() for name, value in self.optimiser.state[self.weights].items()},
            "random": self.generator.get_state(),
        }

    def restore(self, parts: Mapping[str, Any]) -> None:
        """Take in what `parts` gave, all of it or nothing.

        Raises:
            InvalidInput: a part is missing, or does not fit.
        """
        flat = torch.zeros_like(self.weights, requires_grad=False)
        saved = part(parts, "weights")
        for name, view in self._views(flat).items():
            copy_into(view, saved, name)
        moments = self._moments(part(parts, "optimiser"))
        random = torch.empty_like(self.generator.get_state())
        copy_into(random, parts, "random")
        with torch.no_grad():
            self.weights.copy_(flat)
        self.optimiser.state[self.weights] = moments
        self.generator.set_state(random)

    def _moments(self, saved: Mapping[str, Any]) -> dict[str, Tensor]:
        """The optimiser's state; empty before its first step."""
        if not saved:
            return {}
        names = ("exp_avg", "exp_avg_sq") if isinstance(self.optimiser, torch.optim.Adam) else ("square_avg",)
        found = {name: torch.zeros_like(self.weights, requires_grad=False) for name in names}
        found["step"] = torch.zeros((), device=self.device if "exp_avg" in names else "cpu")
        for name, tensor in found.items():
            copy_into(tensor, saved, name)
        if unknown := saved.keys() - found.keys():
            raise InvalidInput(f"the saved optimiser has {sorted(unknown)} too; it is another one")
        return found
