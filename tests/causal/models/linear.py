"""Linear models whose truth is known, and rows drawn from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.data.dataset import CausalDataset, Variable
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.separation import topological_order

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """`x = intercepts + B' x + errors`, with B (p, p) from causes (rows) to effects."""

    graph: Graph
    coefficients: Floats
    intercepts: Floats
    deviations: Floats

    @property
    def effects(self) -> Floats:
        """(p, p) total effects."""
        return np.linalg.inv(np.eye(len(self.coefficients)) - self.coefficients)

    @property
    def means(self) -> Floats:
        return self.intercepts @ self.effects

    def predicted(self, errors: Floats, hold: dict[int, float] | None = None) -> Floats:
        """(rows, p) from (rows, p) errors, with columns that are set."""
        x = np.zeros_like(errors)
        for j in topological_order(self.coefficients != 0):
            x[:, j] = self.intercepts[j] + x @ self.coefficients[:, j] + errors[:, j]
            if hold and j in hold:
                x[:, j] = hold[j]
        return x

    def drawn(self, rng: np.random.Generator, rows: int) -> Floats:
        return self.predicted(rng.standard_normal((rows, len(self.intercepts))) * self.deviations)


def truth(rng: np.random.Generator, p: int, degree: float = 3.0) -> Truth:
    """A random one, its variables in random order, named v0 and on."""
    order = rng.permutation(p)
    upper = np.triu(rng.random((p, p)) < degree / max(p - 1, 1), 1)
    weights = upper * rng.uniform(0.3, 1.0, (p, p)) * rng.choice([-1, 1], (p, p))
    coefficients = np.zeros((p, p))
    coefficients[np.ix_(order, order)] = weights
    names = tuple(f"v{k}" for k in range(p))
    graph = Graph.from_edges(names, [(names[i], names[j]) for i, j in np.argwhere(coefficients)])
    return Truth(graph, coefficients, rng.normal(0, 3, p), rng.uniform(0.5, 2.0, p))


def chosen(edges: dict[tuple[str, str], float], names: Sequence[str], intercepts: Sequence[float]) -> Truth:
    """One with these coefficients and errors of deviation 1."""
    names = tuple(names)
    coefficients = np.zeros((len(names), len(names)))
    for (a, b), value in edges.items():
        coefficients[names.index(a), names.index(b)] = value
    return Truth(Graph.from_edges(names, list(edges)), coefficients, np.array(intercepts, float), np.ones(len(names)))


def dataset(
    values: Floats, variables: Sequence[Variable | str], groups: NDArray[np.int64] | None = None
) -> CausalDataset:
    """Rows of one group, or of several."""
    rows = len(values)
    return CausalDataset(
        scope="test",
        variables=tuple(each if isinstance(each, Variable) else Variable(each) for each in variables),
        values=values,
        groups=np.zeros(rows, dtype=np.int64) if groups is None else groups,
        times=np.arange(rows),
    )
