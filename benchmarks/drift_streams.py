"""Streams for `benchmarks/drift.py`: daily seasonality, noise with tails and memory, and what is planted in them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PERIOD = 24
TRAINING_DAYS = 14
DAYS = 114
TAILS = 8.0  # degrees of freedom of the noise
LARGEST_PHI = 0.3
RAMP_DAYS = 7
KINDS = ("level", "spread", "trend", "incident")
SIZES = {"level": (0.5, 1.0, 2.0), "spread": (0.5, 1.0, 2.0), "trend": (0.5, 1.0, 2.0), "incident": (3.0, 4.0, 6.0)}
# A change must be found within two weeks, an incident within a day.
HORIZON = {"level": 14 * PERIOD, "spread": 14 * PERIOD, "trend": 14 * PERIOD, "incident": PERIOD}


@dataclass(frozen=True)
class Planted:
    """What a stream holds: from bucket `at`, `kind` by `size` s.d. of the noise."""

    kind: str
    size: float
    at: int


def stable(count: int, seed: int) -> Floats:
    """(count, buckets) of season + noise of s.d. 1; three harmonics of the day, up to 3 s.d. high."""
    season, noise = _parts(count, seed)
    return season + noise


def planted(count: int, seed: int) -> tuple[Floats, list[Planted]]:
    """Streams with one change each, kinds and sizes in turn, at a random bucket 20 to 84 days after training."""
    season, noise = _parts(count, seed)
    rng = np.random.default_rng([seed, 1])
    buckets = np.arange(noise.shape[1])
    truth = []
    for row in range(count):
        kind = KINDS[row % len(KINDS)]
        size = SIZES[kind][row // len(KINDS) % 3]
        at = int(rng.integers((TRAINING_DAYS + 20) * PERIOD, (TRAINING_DAYS + 84) * PERIOD))
        sign = rng.choice([-1, 1])
        if kind == "level":
            noise[row, at:] += sign * size
        elif kind == "spread":
            noise[row, at:] *= 1 + size
        elif kind == "trend":
            noise[row] += sign * size * np.clip((buckets - at) / (RAMP_DAYS * PERIOD), 0, 1)
        else:
            noise[row, at : at + rng.integers(3, 9)] += sign * size
        truth.append(Planted(kind, size, at))
    return season + noise, truth


def _parts(count: int, seed: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    buckets = DAYS * PERIOD
    height = rng.uniform(0.5, 3, (count, 3)) * np.array([1, 0.4, 0.2])
    phase = rng.uniform(0, 2 * np.pi, (count, 3))
    angle = 2 * np.pi * np.arange(buckets) / PERIOD
    season = sum(height[:, [k]] * np.cos((k + 1) * angle + phase[:, [k]]) for k in range(3))
    phi = rng.uniform(0, LARGEST_PHI, count)
    noise = rng.standard_t(TAILS, (count, buckets)) / np.sqrt(TAILS / (TAILS - 2))
    for t in range(1, buckets):
        noise[:, t] = phi * noise[:, t - 1] + np.sqrt(1 - phi**2) * noise[:, t]
    return np.asarray(season), noise
