"""What would happen on average if variables were set, or moved: do() in a linear structural model (Pearl 2009)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.models.answer import Answer, Floats, check_level, estimates
from cogorch_dagster.causal.models.bank import Bank
from cogorch_dagster.causal.models.structural_model import StructuralModel
from cogorch_dagster.causal.models.support import outside, warnings_of
from cogorch_dagster.causal.models.unidentified import unidentified_change
from cogorch_dagster.errors import InvalidInput

LEVEL = 0.95
Values = Mapping[str, float | str]


@dataclass(frozen=True)
class Action:
    """An intervention on columns: those that are set, and those whose equation is shifted."""

    hold: dict[int, float]
    shift: dict[int, float]

    @classmethod
    def of(cls, model: StructuralModel, hold: Values, shift: Mapping[str, float]) -> "Action":
        """The intervention of a question in names.

        Raises:
            InvalidInput: nothing is changed, a name is no variable, one is both set and shifted, or never varied.
        """
        held: dict[int, float] = {}
        for name, value in hold.items():
            held |= model.columns.assigned(name, value)
        moved: dict[int, float] = {}
        for name, amount in shift.items():
            column = model.column(name)
            if not np.isfinite(amount):
                raise InvalidInput(f"{name!r} cannot be shifted by {amount}; give a finite number")
            moved[column] = float(amount)
        both = [model.columns.names[k] for k in held if k in moved]
        if both:
            raise InvalidInput(f"{', '.join(both)} is both set and shifted; do one of them")
        if not held and not moved:
            raise InvalidInput("the question changes nothing; set or shift a variable")
        model.check_varied({**held, **moved})
        return cls(held, moved)

    @property
    def changed(self) -> frozenset[int]:
        return frozenset({*self.hold, *self.shift})

    def change(self, bank: Bank, present: Floats) -> Floats:
        """(q, d) how all columns change, from (q, d) where they stand."""
        return bank.propagated(self.shift, {k: value - present[k] for k, value in self.hold.items()})


def what_if(
    model: StructuralModel,
    hold: Values | None = None,
    *,
    shift: Mapping[str, float] | None = None,
    outcomes: Sequence[str] | None = None,
    level: float = LEVEL,
) -> list[Answer | NotIdentified]:
    """How the means of outcomes would change, against the period that the model was fitted to.

    Args:
        hold: variable: value in its unit, or a level; set whatever its causes are.
        shift: variable: amount that is added to what its causes make of it.
        outcomes: by default the variables with the role outcome, or all where none has it.
        level: of the intervals, 0.5 to 0.999.

    Returns:
        One answer for each outcome, in their order. What does not follow from the changed variables changes by exactly
        0. An outcome that is itself set is left out.

    Raises:
        InvalidInput: a name is no variable, a value is not finite, or nothing is changed.
    """
    check_level(level)
    action = Action.of(model, hold or {}, shift or {})
    targets = targets_of(model, action, outcomes)
    changes = [action.change(bank, bank.means) for bank in model.members]
    before = model.members[0].means[:, 0]
    return answered(model, action, targets, before, changes, level)


def targets_of(model: StructuralModel, action: Action, outcomes: Sequence[str] | None) -> list[int]:
    """Columns that are asked for."""
    asked = [model.column(name) for name in (model.outcomes if outcomes is None else outcomes)]
    return [k for k in asked if k not in action.hold]


def answered(
    model: StructuralModel,
    action: Action,
    targets: list[int],
    before: Floats,
    changes: list[Floats],
    level: float,
    warnings: tuple[str, ...] = (),
) -> list[Answer | NotIdentified]:
    """Answers from (q, d) changes of each member, `before` (q,) where the columns stand."""
    point = {k: float(before[k] + changes[0][k, 0]) for k in sorted(action.changed)}
    told = warnings_of(model.support, model.columns.names, point, model.own_variance)
    shared = (*warnings, *told, *model.class_warnings)
    found = estimates([change[targets] for change in changes], level, model.mixture)
    result: list[Answer | NotIdentified] = []
    for column, estimate in zip(targets, found, strict=True):
        doubtful = unidentified_change(model, action.changed, frozenset(action.hold), column)
        if doubtful is not None:
            result.append(doubtful)
            continue
        name, after = model.columns.names[column], float(before[column]) + estimate.value
        own = outside(model.support, name, column, after) if estimate.value and column not in action.shift else ""
        result.append(
            Answer(
                variable=name,
                unit=model.columns.unit(column),
                before=float(before[column]),
                after=after,
                change=estimate.value,
                interval=estimate.interval,
                range=estimate.range,
                warnings=(*shared, own) if own else shared,
            )
        )
    return result
