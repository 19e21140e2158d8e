"""What changed between two periods: the shift of a mean, attributed to the mechanisms that changed.

A mechanism is a variable's own equation: its intercept (with the mean of its error) and its coefficients. The parts
are Shapley values over mechanisms (Budhathoki, Janzing, Bloebaum and Ng 2021). In a linear model the mean is a
polynomial in which each mechanism occurs at most once in each term, so that the Shapley value is the integral of its
derivative along the diagonal from the old mechanisms to the new ones (Owen 1972); Gauss-Legendre nodes give that
integral exactly, for 50 variables as for three.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.models.answer import Estimate, Floats, check_level, estimates
from cogorch_dagster.causal.models.bank import Bank
from cogorch_dagster.causal.models.intervention import LEVEL
from cogorch_dagster.causal.models.structural_model import StructuralModel
from cogorch_dagster.causal.models.unidentified import unidentified_equations
from cogorch_dagster.errors import InvalidInput


@dataclass(frozen=True)
class Part:
    """What one mechanism adds to a shift.

    Attributes:
        level: of it, what the intercept adds: the variable is higher or lower than its causes explain.
        causes: of it, what each changed coefficient adds, by the name of the cause.
    """

    variable: str
    share: Estimate
    level: float
    causes: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Attribution:
    """The shift of an outcome's mean from one period to another; the parts sum to it.

    Attributes:
        parts: the largest first; variables that cannot reach the outcome are left out.
    """

    outcome: str
    unit: str
    before: float
    after: float
    shift: Estimate
    parts: tuple[Part, ...]
    warnings: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "outcome": self.outcome,
            "unit": self.unit,
            "before": self.before,
            "after": self.after,
            "shift": self.shift.document(),
            "parts": [
                {
                    "variable": part.variable,
                    "share": part.share.document(),
                    "level": part.level,
                    "causes": [list(each) for each in part.causes],
                }
                for part in self.parts
            ],
            "warnings": list(self.warnings),
        }


def attributed(
    before: StructuralModel, after: StructuralModel, outcome: str, *, level: float = LEVEL
) -> Attribution | NotIdentified:
    """Why the mean of an outcome is another in one period than in the one before.

    Args:
        before, after: models of the same graph, fitted with equally many draws to the rows of either period.

    Raises:
        InvalidInput: the models have other graphs or numbers of draws, or the outcome is no variable.
    """
    check_level(level)
    _check_same(before, after)
    column = before.column(outcome)
    doubtful = unidentified_equations(before, column)
    if doubtful is not None:
        return doubtful
    splits = [_split(old, new, column) for old, new in zip(before.members, after.members, strict=True)]
    owner, names = np.array(before.columns.owner), before.columns.names
    reach = [k for k in range(len(before.variables)) if any(split[2][owner == k].any() for split in splits)]
    rows = []
    for own, edges, reached in splits:
        bank_rows = own + _into(edges, reached.shape[0])
        total = bank_rows.sum(axis=0)
        rows.append(np.array([total, *(bank_rows[owner == k].sum(axis=0) for k in reach)]))
    shift, *shares = estimates(rows, level, before.mixture)
    own, edges, _ = splits[0]
    bank = before.members[0]
    parts = []
    for k, share in zip(reach, shares, strict=True):
        into = [e for e in range(len(bank.effect)) if owner[bank.effect[e]] == k and edges[1][e].any()]
        parts.append(
            Part(
                variable=before.variables[k].name,
                share=share,
                level=float(own[owner == k, 0].sum()),
                causes=tuple((names[bank.cause[e]], float(edges[1][e, 0])) for e in into),
            )
        )
    return Attribution(
        outcome=outcome,
        unit=before.columns.unit(column),
        before=float(before.members[0].means[column, 0]),
        after=float(after.members[0].means[column, 0]),
        shift=shift,
        parts=tuple(sorted(parts, key=lambda part: -abs(part.share.value))),
        warnings=before.class_warnings,
    )


_Edges = tuple[Any, Floats]


def _split(old: Bank, new: Bank, column: int) -> tuple[Floats, _Edges, Floats]:
    """(q, d) parts of the intercepts, (e, d) parts of the coefficients, (q, d) whether a column reaches the outcome."""
    nodes, weights = np.polynomial.legendre.leggauss(old.depth // 2 + 1)
    intercept_step = new.intercepts - old.intercepts
    coefficient_step = new.coefficients - old.coefficients
    own, edges = np.zeros_like(old.intercepts), np.zeros_like(old.coefficients)
    reached = np.zeros_like(own)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        between = Bank(
            order=old.order,
            cause=old.cause,
            effect=old.effect,
            coefficients=old.coefficients + node * coefficient_step,
            intercepts=old.intercepts + node * intercept_step,
            deviations=old.deviations,
            unidentified=old.unidentified,
        )
        effect = between.effects_on(column)
        own += weight * effect * intercept_step
        edges += weight * effect[old.effect] * between.means[old.cause] * coefficient_step
        reached += np.abs(effect)
    return own, (old.effect, edges), reached


def _into(edges: _Edges, columns: int) -> Floats:
    """(q, d) sums of the parts of the edges into each column."""
    effect, parts = edges
    total = np.zeros((columns, parts.shape[1]))
    np.add.at(total, effect, parts)
    return total


def _check_same(before: StructuralModel, after: StructuralModel) -> None:
    same_graph = before.graph == after.graph and before.latents == after.latents
    if not same_graph or before.columns.names != after.columns.names:
        raise InvalidInput("the two models have other graphs or variables; fit both periods to the same graph")
    counts = [tuple(bank.count for bank in model.members) for model in (before, after)]
    if counts[0] != counts[1]:
        raise InvalidInput("the two models have other numbers of draws or members; fit both with the same settings")
    same = all(
        np.array_equal(a.cause, b.cause) and np.array_equal(a.effect, b.effect)
        for a, b in zip(before.members, after.members, strict=True)
    )
    if not same:
        raise InvalidInput("the two models have other members of their class; fit both with the same seed")
