"""A table of action values and its update by Q-learning (Watkins and Dayan 1992).

What the rows and the actions mean is `tabular.py`.
"""

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.agents.comparison.bootstrap import Floats

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


def targets(table: Floats, rewards: Floats, next_rows: Integers, terminated: Booleans, *, discount: float) -> Floats:
    """`r + discount * max Q(next)`, and `r` where the episode was over: [B]."""
    return np.asarray(rewards + discount * np.where(terminated, 0.0, table[next_rows].max(axis=1)))


def updated(table: Floats, rows: Integers, actions: Integers, aims: Floats, *, rate: float) -> Floats:
    """The table after steps that B environments took at once, each moving its cell by `rate` towards its target.

    One after the other, k moves of a cell q with targets t_1..t_k give `(1 - rate)^k q` plus the targets with weights
    that depend on their order. Environments have no order, so this is the mean over all orders:
    `(1 - rate)^k q + (1 - (1 - rate)^k) mean(t)`. For k = 1 it is the rule of the textbook, and for more it is less
    noisy than any one order.

    Args:
        table: [rows, actions], left as it is.
        rows, actions: of the steps, [B].
        aims: as `targets` gives them from the table before all steps, [B].
        rate: of learning, above 0 up to 1.
    """
    cells = rows * table.shape[1] + actions
    counts = np.bincount(cells, minlength=table.size).reshape(table.shape)
    means = np.bincount(cells, weights=aims, minlength=table.size).reshape(table.shape) / np.maximum(counts, 1)
    kept = (1 - rate) ** counts
    return np.asarray(kept * table + (1 - kept) * means)


def chosen(table: Floats, rows: Integers, epsilon: float, generator: np.random.Generator) -> Integers:
    """Per row the action with the highest value, the first of equals; with probability epsilon any action."""
    greedy = table[rows].argmax(axis=1)
    explored = generator.random(len(rows)) < epsilon
    anything = generator.integers(0, table.shape[1], len(rows))
    return np.asarray(np.where(explored, anything, greedy), dtype=np.int64)
