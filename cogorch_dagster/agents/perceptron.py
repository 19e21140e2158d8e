"""Fully connected networks as flat lists of tensors: weight, bias, weight, bias, ...

Calling the kernels directly, without modules and hooks, saves a third of the time of a small network. Random numbers
come from the caller's generator only. What the outputs mean belongs in the algorithm's file.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import linear

from cogorch_dagster.agents.activations import ACTIVATIONS, Activation, Dropout
from cogorch_dagster.agents.checks import copy_into, part
from cogorch_dagster.errors import InvalidInput

Network = list[Tensor]


def network(sizes: Sequence[int], generator: Generator, *, last: float = 1.0) -> Network:
    """A network of layers `sizes` (inputs, hidden ..., outputs) on the generator's device, ready for training.

    Weights and biases are uniform in ±1/sqrt(inputs of the layer), those of the last layer times `last`.
    """
    tensors: Network = []
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        bound = inputs**-0.5 * (last if layer == len(sizes) - 2 else 1.0)
        for shape in ((outputs, inputs), (outputs,)):
            tensor = torch.empty(shape, device=generator.device).uniform_(-bound, bound, generator=generator)
            tensors.append(tensor.requires_grad_())
    return tensors


def forward(
    layers: Sequence[Tensor], inputs: Tensor, activation: Activation = "relu", dropout: Dropout | None = None
) -> Tensor:
    """The outputs, float32 [B, outputs], of inputs float32 [B, inputs]; hidden units are dropped if so asked."""
    activate = ACTIVATIONS[activation]
    for at in range(0, len(layers) - 2, 2):
        inputs = activate(linear(inputs, layers[at], layers[at + 1]))
        if dropout is not None:
            inputs = dropout(inputs)
    return linear(inputs, layers[-2], layers[-1])


def frozen_copy(layers: Sequence[Tensor]) -> Network:
    """A copy that takes no gradient: a target network."""
    return [tensor.detach().clone() for tensor in layers]


def move_towards(target: Network, layers: Sequence[Tensor], share: float) -> None:
    """target += share (layers - target) in place; a share of 1 copies."""
    with torch.no_grad():
        torch._foreach_lerp_(target, [tensor.detach() for tensor in layers], share)


def adam(layers: Network, learning_rate: float) -> torch.optim.Adam:
    """Adam (Kingma and Ba 2015) over the layers, all of them in one kernel."""
    return torch.optim.Adam(layers, lr=learning_rate, fused=True)


def descend(optimizer: torch.optim.Adam, layers: Network, gradients: Sequence[Tensor]) -> None:
    """One step of Adam along these gradients."""
    for tensor, gradient in zip(layers, gradients, strict=True):
        tensor.grad = gradient
    optimizer.step()


def saved_network(layers: Sequence[Tensor]) -> dict[str, Tensor]:
    """Copies of the tensors, by their place."""
    return {str(at): tensor.detach().clone() for at, tensor in enumerate(layers)}


def restore_network(layers: Network, parts: Mapping[str, Any]) -> None:
    """Overwrite the tensors with what `saved_network` gave; InvalidInput where shapes differ."""
    if len(parts) != len(layers):
        raise InvalidInput(f"the saved network has {len(parts)} tensors, this configuration needs {len(layers)}")
    for at, tensor in enumerate(layers):
        copy_into(tensor, parts, str(at))


def saved_optimizer(optimizer: torch.optim.Adam, layers: Network) -> dict[str, dict[str, Tensor]]:
    """Copies of Adam's moments and counters, by the tensor's place; empty before the first step."""
    return {
        str(at): {name: value.clone() for name, value in optimizer.state[tensor].items()}
        for at, tensor in enumerate(layers)
        if tensor in optimizer.state
    }


def restore_optimizer(optimizer: torch.optim.Adam, layers: Network, parts: Mapping[str, Any]) -> None:
    """Take in what `saved_optimizer` gave; InvalidInput where shapes differ."""
    optimizer.state.clear()
    if not parts:
        return
    for at, tensor in enumerate(layers):
        blank = {
            "step": torch.zeros((), device=tensor.device),
            "exp_avg": torch.zeros_like(tensor, requires_grad=False),
            "exp_avg_sq": torch.zeros_like(tensor, requires_grad=False),
        }
        for name, value in blank.items():
            copy_into(value, part(parts, str(at)), name)
        optimizer.state[tensor] = blank
