"""What one observed row would have been, had something been different: abduction, action, prediction (Pearl 2009)."""

from collections.abc import Mapping, Sequence

import numpy as np

from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.models.answer import Answer, Floats, check_level
from cogorch_dagster.causal.models.bank import Integers
from cogorch_dagster.causal.models.intervention import LEVEL, Action, Values, answered, targets_of
from cogorch_dagster.causal.models.structural_model import StructuralModel


def counterfactual(
    model: StructuralModel,
    row: Values,
    hold: Values | None = None,
    *,
    shift: Mapping[str, float] | None = None,
    outcomes: Sequence[str] | None = None,
    level: float = LEVEL,
) -> list[Answer | NotIdentified]:
    """What outcomes of a row would have been.

    In a linear model the errors that the row had (abduction) cancel in the difference between the row and what it
    would have been, so that each draw needs only to carry the change from causes to effects; a variable that is set
    to what it was changes nothing at all.

    Args:
        row: variable: value, or a level; NaN and what is left out are missing and taken at their mean given the rest.
            The interval then holds how far they may have been from it, where that matters.
        hold, shift, outcomes, level: as in `what_if`.

    Raises:
        InvalidInput: a name is no variable, a value is not finite, or nothing is changed.
    """
    check_level(level)
    action = Action.of(model, hold or {}, shift or {})
    targets = targets_of(model, action, outcomes)
    present, missing = completed(model, row)
    changes = [action.change(bank, present[:, : bank.count]) for bank in model.members]
    concerned = [k for k in missing if k in {*targets, *action.hold}]
    told = tuple(f"{model.columns.names[k]} was not observed; taken at its mean given the rest" for k in concerned)
    return answered(model, action, targets, present[:, 0], changes, level, told)


def completed(model: StructuralModel, row: Values) -> tuple[Floats, tuple[int, ...]]:
    """(q, d) a row without gaps, and the columns that were missing.

    Place 0 of d has the conditional means given the observed columns, under the mean and covariance of all rows; the
    others have draws from that conditional distribution.

    Raises:
        InvalidInput: a name is no variable.
    """
    given: dict[int, float] = {}
    for name, value in row.items():
        if not (isinstance(value, float) and np.isnan(value)):
            given |= model.columns.assigned(name, value)
    count = max(bank.count for bank in model.members)
    present = np.zeros((len(model.columns.names), count))
    seen = np.array(sorted(given), dtype=np.int64)
    present[seen] = np.array([given[k] for k in seen])[:, None]
    missing = np.array([k for k in range(len(present)) if k not in given], dtype=np.int64)
    if len(missing):
        mean, spread = _conditional(model.support.mean, model.support.covariance, present[seen, 0], seen, missing)
        rng = np.random.default_rng(model.seed)
        present[missing] = mean[:, None]
        present[missing, 1:] += spread @ rng.standard_normal((len(missing), count - 1))
    return present, tuple(int(k) for k in missing)


def abduction(model: StructuralModel, row: Values) -> dict[str, float]:
    """How unusual each variable of a row was given its causes: its error in standard deviations; missing ones left out.

    Raises:
        InvalidInput: a name is no variable.
    """
    present, missing = completed(model, row)
    bank = model.members[0]
    errors, deviations = bank.errors(present[:, 0])[:, 0], bank.deviations[:, 0]
    return {
        name: float(errors[k] / deviations[k])
        for k, name in enumerate(model.columns.names)
        if k not in missing and deviations[k] > 0
    }


def _conditional(
    mean: Floats,
    covariance: Floats,
    values: Floats,
    seen: Integers,
    missing: Integers,
) -> tuple[Floats, Floats]:
    """Mean (m,) of the missing columns given the others, and a square root (m, m) of their covariance."""
    across = covariance[np.ix_(missing, seen)]
    pull = across @ np.linalg.pinv(covariance[np.ix_(seen, seen)], rcond=1e-12, hermitian=True)
    left = covariance[np.ix_(missing, missing)] - pull @ across.T
    size, axes = np.linalg.eigh((left + left.T) / 2)
    return mean[missing] + pull @ (values - mean[seen]), axes * np.sqrt(np.maximum(size, 0.0))
