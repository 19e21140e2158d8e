"""Streams of rewards whose truth is known, for the tests of this folder."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]
LENGTH = 10_000
DEVIATION = 0.25


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return rng.normal(0.5, DEVIATION, shape)


def inflated(share: float) -> Draw:
    """0 with probability 1 - share, else uniform in [0, 1]."""
    return lambda rng, shape: (rng.random(shape) < share) * rng.random(shape)


def binary(rate: float) -> Draw:
    return lambda rng, shape: (rng.random(shape) < rate).astype(np.float64)


def arms(
    seed: int, streams: int, share: float, control: Draw = normal, treatment: Draw | None = None
) -> tuple[Floats, NDArray[np.bool_]]:
    """Values and which of them are treated; the treatment's share is drawn at random."""
    rng = np.random.default_rng(seed)
    shape = (streams, LENGTH)
    treated = rng.random(shape) < share
    values = control(rng, shape)
    return (values if treatment is None else np.where(treated, treatment(rng, shape), values)), treated
