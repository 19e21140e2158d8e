"""The seeds of a study: each follows from the study's own, from what it is for and from its number, and from no other.

All trials of a study meet the same ones for training and evaluation (common random numbers).
"""

import hashlib

from cogorch_dagster.tuning.budget import Budget


def seed_of(seed: int, purpose: str, number: int) -> int:
    """The number-th seed that a study of this seed has for a purpose, 0 to 2**62 - 1, unrelated to all others."""
    return int.from_bytes(hashlib.sha256(f"{seed} {purpose} {number}".encode()).digest()[:8], "big") >> 2


def training_seed(seed: int, number: int) -> int:
    """The number-th training seed of a study's trials."""
    return seed_of(seed, "training", number)


def evaluation_seeds(seed: int, budget: Budget, purpose: str = "evaluation") -> tuple[int, ...]:
    """The evaluation seeds of a study; training and validation use none of them."""
    return tuple(seed_of(seed, purpose, number) for number in range(budget.evaluation_episodes))
