"""Discrete variables as blocks of indicator columns: the degenerate Gaussian embedding (Andrews, Ramsey, Cooper 2019).

A variable with k levels becomes k - 1 columns of 0 and 1; with them a Gaussian score or test treats mixed data.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cogorch_dagster.causal.data.dataset import Bools, Floats, Integers, Variable


@dataclass(frozen=True, eq=False)
class Embedded:
    """Columns of p variables.

    Attributes:
        values: (rows, q), NaN where the variable is missing.
        owner: (q,) the variable of each column, ascending.
        continuous: (q,) whether the column is a continuous variable as it was.
        labels: (q,) the variable's name, with `=level` for an indicator.
    """

    values: Floats
    owner: Integers
    continuous: Bools
    labels: tuple[str, ...]


def embedded(variables: Sequence[Variable], values: Floats) -> Embedded:
    """Continuous columns as they are; of a discrete variable the levels that occur, less the most frequent one.

    Args:
        values: (rows, p) with codes 0 .. k-1 of discrete variables.
    """
    columns: list[Floats] = []
    owner: list[int] = []
    labels: list[str] = []
    for place, variable in enumerate(variables):
        column = values[:, place]
        if variable.kind == "continuous":
            parts, names = [column], [variable.name]
        else:
            codes = _codes(column, len(variable.levels))
            parts = [np.where(np.isnan(column), np.nan, (column == code).astype(np.float64)) for code in codes]
            names = [f"{variable.name}={variable.levels[code]}" for code in codes]
        columns += parts
        labels += names
        owner += [place] * len(parts)
    owners = np.array(owner, dtype=np.int64)
    discrete = np.array([variable.kind == "discrete" for variable in variables], dtype=bool)
    return Embedded(
        values=np.stack(columns, axis=1) if columns else np.empty((len(values), 0)),
        owner=owners,
        continuous=~discrete[owners],
        labels=tuple(labels),
    )


def _codes(column: Floats, levels: int) -> list[int]:
    """The levels that occur, without the most frequent (of equals the first)."""
    counts = np.bincount(column[~np.isnan(column)].astype(np.int64), minlength=levels)
    reference = int(counts.argmax())
    return [code for code in range(levels) if counts[code] > 0 and code != reference]
