"""Through what a total effect comes about: directed paths with their contributions, and the share of each edge.

The total effect is the sum over paths of the product of their coefficients (Wright 1921). The largest products are
found without listing all paths: the k largest to a column extend k largest to one of its causes.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.models.answer import Estimate, Floats, check_level, estimates
from cogorch_dagster.causal.models.bank import Bank
from cogorch_dagster.causal.models.intervention import LEVEL
from cogorch_dagster.causal.models.structural_model import StructuralModel
from cogorch_dagster.causal.models.unidentified import unidentified_change
from cogorch_dagster.errors import InvalidInput

Path = tuple[int, ...]
_MOST_PATHS = 1000


@dataclass(frozen=True)
class PathShare:
    """One path from treatment to outcome and what it adds to the total effect, per unit of the treatment."""

    path: tuple[str, ...]
    contribution: Estimate

    @property
    def text(self) -> str:
        return " -> ".join(self.path)


@dataclass(frozen=True)
class EdgeShare:
    """What of the total effect passes over an edge, and the edge's own coefficient."""

    cause: str
    effect: str
    coefficient: Estimate
    contribution: Estimate


@dataclass(frozen=True)
class Decomposition:
    """A total effect of one unit, by paths and by edges, in the first member of a class.

    Attributes:
        paths: the largest first. rest: the total less those.
        edges: in the order of causes; contributions of the edges into the outcome sum to the total.
    """

    treatment: str
    outcome: str
    unit: str
    total: Estimate
    paths: tuple[PathShare, ...]
    rest: float
    edges: tuple[EdgeShare, ...]

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "treatment": self.treatment,
            "outcome": self.outcome,
            "unit": self.unit,
            "total": self.total.document(),
            "paths": [{"path": list(each.path), "contribution": each.contribution.document()} for each in self.paths],
            "rest": self.rest,
            "edges": [
                {
                    "cause": each.cause,
                    "effect": each.effect,
                    "coefficient": each.coefficient.document(),
                    "contribution": each.contribution.document(),
                }
                for each in self.edges
            ],
        }


def decomposed(
    model: StructuralModel, treatment: str, outcome: str, *, most: int = 10, level: float = LEVEL
) -> Decomposition | NotIdentified:
    """The total effect of one unit of a treatment on an outcome, by its paths.

    Args:
        most: paths that are told, 1 to 1,000.

    Raises:
        InvalidInput: a name is no variable, both are the same, the treatment never varied, or the number is out of
            its bounds.
    """
    check_level(level)
    if not 1 <= most <= _MOST_PATHS:
        raise InvalidInput(f"{most} paths; give 1 to {_MOST_PATHS}")
    start, end = model.column(treatment), model.column(outcome)
    if start == end:
        raise InvalidInput(f"an effect of {treatment!r} on itself has no paths; give two variables")
    model.check_varied((start,))
    doubtful = unidentified_change(model, frozenset({start}), frozenset({start}), end)
    if doubtful is not None:
        return doubtful
    bank, names = model.members[0], model.columns.names
    found = largest_paths(bank, start, end, most)
    down = bank.propagated({}, {start: 1.0})
    # A path into the treatment does not count.
    up = bank.effects_on(end)
    passing = [e for e in range(len(bank.cause)) if _passes(bank, e, start, down, up)]
    rows = np.concatenate(
        [
            down[[end]],
            np.array([_product(bank, path) for path in found]).reshape(-1, bank.count),
            bank.coefficients[passing],
            down[bank.cause[passing]] * bank.coefficients[passing] * up[bank.effect[passing]],
        ]
    )
    told = estimates([rows], level, mixture=False)
    paths, edges = told[1 : 1 + len(found)], told[1 + len(found) :]
    return Decomposition(
        treatment=treatment,
        outcome=outcome,
        unit=model.columns.unit(end),
        total=told[0],
        paths=tuple(PathShare(tuple(names[k] for k in path), share) for path, share in zip(found, paths, strict=True)),
        rest=told[0].value - sum(share.value for share in paths),
        edges=tuple(
            EdgeShare(names[bank.cause[e]], names[bank.effect[e]], edges[k], edges[k + len(passing)])
            for k, e in enumerate(passing)
        ),
    )


def largest_paths(bank: Bank, start: int, end: int, most: int) -> list[Path]:
    """Directed paths whose products of coefficients are the largest in absolute value, in descending order."""
    best: dict[int, list[tuple[float, Path]]] = {start: [(1.0, (start,))]}
    for j in bank.order:
        if j == start:
            continue
        into = [
            (product * float(bank.coefficients[e, 0]), (*path, int(j)))
            for e in np.flatnonzero(bank.effect == j)
            for product, path in best.get(int(bank.cause[e]), ())
        ]
        best[int(j)] = sorted(into, key=lambda each: -abs(each[0]))[:most]
    return [path for _, path in best.get(end, [])]


def _product(bank: Bank, path: Path) -> Floats:
    product = np.ones(bank.count)
    for i, j in pairwise(path):
        product = product * bank.coefficients[np.flatnonzero((bank.cause == i) & (bank.effect == j))[0]]
    return product


def _passes(bank: Bank, edge: int, start: int, down: Floats, up: Floats) -> bool:
    """Whether an edge lies on a directed path from the treatment to the outcome."""
    return bool(bank.effect[edge] != start and down[bank.cause[edge]].any() and up[bank.effect[edge]].any())
