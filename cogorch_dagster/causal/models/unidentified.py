"""Which questions a model must decline: those that pass through an equation whose error is tied to its own causes."""

import numpy as np

from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.models.structural_model import StructuralModel


def unidentified_change(
    model: StructuralModel, changed: frozenset[int], held: frozenset[int], column: int
) -> NotIdentified | None:
    """Why it is not known what becomes of a column when others are changed; None if it is known."""
    found = {k for bank in model.members for k in bank.doubtful(changed, held, column)}
    if not found:
        return None
    names = model.columns.names
    return _answer(model, ", ".join(names[k] for k in sorted(changed)), column, found, "the change passes through")


def unidentified_equations(model: StructuralModel, column: int) -> NotIdentified | None:
    """Why a column cannot be split by the equations that lead to it; None if it can."""
    found = {
        int(k)
        for bank in model.members
        if bank.unidentified.any()
        for k in np.flatnonzero(bank.unidentified & bank.effects_on(column).any(axis=1))
    }
    return _answer(model, "every mechanism", column, found, "the split needs the equation of") if found else None


def _answer(model: StructuralModel, treatment: str, column: int, found: set[int], what: str) -> NotIdentified:
    names = model.columns.names
    blame = tuple(names[k] for k in sorted(found))
    return NotIdentified(
        treatment=treatment,
        outcome=names[column],
        reason="hidden_confounder",
        detail=f"{what} {', '.join(blame)}, whose error shares a hidden cause with one of its own causes",
        remedy="measure the hidden cause, randomise the treatment, or ask for an effect by an instrument",
        blame=blame,
    )
