"""One graph fitted to two periods, for the attribution of what changed between them.

A cause that hardly varies within a period, as a parameter of a policy that was changed in between, tells nothing there
of its own coefficient: it is taken from the model of the version, which saw it vary.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.models.bank import Bank, Booleans
from cogorch_dagster.causal.models.fitting import fit_model
from cogorch_dagster.causal.models.structural_model import StructuralModel

# Of a column's standard deviation in the version's data; less within a period counts as constant.
STILL = 0.02


def fitted_periods(
    model: StructuralModel, periods: Sequence[CausalDataset], *, seed: int = 0
) -> tuple[StructuralModel, ...]:
    """The model's graph fitted to the rows of each period, with as many draws as the model has.

    Coefficients of causes that stand still in any of the periods are those of the model in all of them.

    Raises:
        InvalidInput: a period lacks a variable of the graph, or has too few rows.
    """
    draws = model.members[0].count - 1
    fitted = [
        fit_model(
            model.graph,
            each,
            latents=model.latents,
            draws=draws,
            most_members=len(model.members),
            seed=seed,
        )
        for each in periods
    ]
    spread = np.sqrt(np.maximum(np.diag(model.support.covariance), 0.0))
    still = np.zeros(len(spread), dtype=bool)
    for each in fitted:
        still |= np.sqrt(np.maximum(np.diag(each.support.covariance), 0.0)) <= STILL * spread
    return tuple(
        replace(
            each,
            members=tuple(_held(bank, known, still) for bank, known in zip(each.members, model.members, strict=True)),
        )
        for each in fitted
    )


def _held(bank: Bank, known: Bank, still: Booleans) -> Bank:
    """The bank with the known coefficients of causes that stand still; means stay as they are."""
    at = {(int(i), int(j)): place for place, (i, j) in enumerate(zip(known.cause, known.effect, strict=True))}
    coefficients, intercepts = bank.coefficients.copy(), bank.intercepts.copy()
    for place, (i, j) in enumerate(zip(bank.cause, bank.effect, strict=True)):
        # A coefficient of exactly 0 is that of a draw in which the cause does not move.
        told = known.coefficients[at[int(i), int(j)]]
        new = told if still[i] else np.where(coefficients[place] == 0, told, coefficients[place])
        intercepts[j] += (coefficients[place] - new) * bank.means[i]
        coefficients[place] = new
    return replace(bank, coefficients=coefficients, intercepts=intercepts)
