"""The columns of a data set that an estimand needs, as the estimators take them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.effects.query import Estimand
from cogorch_dagster.errors import InvalidInput

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_FEWEST = 20


@dataclass(frozen=True, eq=False)
class Columns:
    """Complete rows; discrete variables with k levels are k-1 indicators.

    Attributes:
        names: of the columns of `controls`, such as `load` or `tenant=b`.
        dropped: rows that were left out for a missing value.
    """

    outcome: Floats
    treatment: Floats
    controls: Floats
    mediators: Floats
    instruments: Floats
    names: tuple[str, ...]
    groups: Integers
    dropped: int


def columns(data: CausalDataset, estimand: Estimand, adjustment: Sequence[str] | None = None) -> Columns:
    """What the estimand needs; with another adjustment set where one is given.

    Raises:
        InvalidInput: no such variable, treatment or outcome with more than two levels, fewer than 20 complete rows.
    """
    chosen = estimand.adjustment if adjustment is None else tuple(adjustment)
    used = (estimand.outcome, estimand.treatment, *chosen, *estimand.mediators, *estimand.instruments)
    missing = np.isnan(data.values[:, [data.index(name) for name in used]])
    complete = np.asarray(~missing.any(axis=1), dtype=np.bool_)
    if complete.sum() < _FEWEST:
        raise InvalidInput(
            f"{int(complete.sum())} rows know all of {', '.join(used)}, {_FEWEST} are needed: take a longer period"
        )
    for name in (estimand.outcome, estimand.treatment):
        levels = data.variables[data.index(name)].levels
        if len(levels) > 2:
            raise InvalidInput(f"{name} has {len(levels)} levels; an effect compares two: keep the rows of two levels")

    def several(names: Sequence[str]) -> Floats:
        found = [_expanded(data, name, complete)[0] for name in names]
        return np.concatenate(found, axis=1) if found else np.empty((int(complete.sum()), 0))

    # With the mediators held fixed these are treatments too, and a slope given them is the direct effect.
    held = (*chosen, *estimand.mediators) if estimand.effect == "controlled" else chosen
    return Columns(
        outcome=data.column(estimand.outcome)[complete],
        treatment=data.column(estimand.treatment)[complete],
        controls=several(held),
        mediators=several(estimand.mediators),
        instruments=several(estimand.instruments),
        names=tuple(label for name in held for label in _expanded(data, name, complete)[1]),
        groups=data.groups[complete],
        dropped=int((~complete).sum()),
    )


def _expanded(data: CausalDataset, name: str, rows: npt.NDArray[np.bool_]) -> tuple[Floats, tuple[str, ...]]:
    variable, values = data.variables[data.index(name)], data.column(name)[rows]
    if variable.kind == "continuous" or len(variable.levels) == 2:
        return values[:, None], (name,)
    codes = np.arange(1, len(variable.levels))
    return (values[:, None] == codes).astype(np.float64), tuple(f"{name}={variable.levels[k]}" for k in codes)
