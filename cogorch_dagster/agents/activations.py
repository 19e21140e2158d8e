"""What follows each hidden layer of a network: an activation, and dropout in the gradient steps of what is trained.

Acting, target networks and everything that is measured see the whole network, so all of that is deterministic.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Generator, Tensor
from torch.nn.functional import silu

from cogorch_dagster.agents.checks import number
from cogorch_dagster.errors import InvalidInput

# tanh costs much on large batches, but its bounded features keep A2C steady on small ones.
Activation = Literal["relu", "silu", "tanh"]
ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {"relu": torch.relu_, "silu": silu, "tanh": torch.tanh}
MOST_DROPOUT = 0.5


@dataclass(frozen=True)
class Dropout:
    """Sets each unit to 0 with a probability, and scales up what is left so that the mean stays (inverted dropout).

    Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, JMLR 2014, section 10.

    Attributes:
        share: of the units, above 0 up to 1/2.
        generator: from which the units are drawn, on its own device: the agent's, so that resuming draws the same.
    """

    share: float
    generator: Generator

    def __call__(self, units: Tensor) -> Tensor:
        """The units that are left, in the shape of those given."""
        kept = torch.empty(units.shape, device=self.generator.device)
        kept.bernoulli_(1 - self.share, generator=self.generator).div_(1 - self.share)
        return units * kept.to(units.device)


def dropout_of(share: float, generator: Generator) -> Dropout | None:
    """None for a share of 0, which draws nothing: the random state is then as it is without dropout."""
    return Dropout(share, generator) if share else None


def require_known(activation: str, dropout: float) -> None:
    """Raise InvalidInput unless the activation is one of ACTIVATIONS and the dropout a share from 0 to MOST_DROPOUT."""
    if activation not in get_args(Activation):
        raise InvalidInput(f"activation must be one of {get_args(Activation)}, got {activation!r}")
    number("dropout", dropout, 0, MOST_DROPOUT)
