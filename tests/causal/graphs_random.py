"""Random structural equation models and data of them, standardised, so that no variance gives a direction away."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.data.sufficient import SufficientStatistics
from cogorch_dagster.causal.graphs.equivalence import cpdag, marks_of
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.knowledge import Knowledge

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

NOISES: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "normal": lambda rng, rows: rng.normal(size=rows),
    "t3": lambda rng, rows: rng.standard_t(3, size=rows) / np.sqrt(3.0),
    "lognormal": lambda rng, rows: (np.exp(rng.normal(size=rows)) - np.exp(0.5)) / np.sqrt((np.e - 1.0) * np.e),
    "uniform": lambda rng, rows: rng.uniform(-np.sqrt(3.0), np.sqrt(3.0), size=rows),
    "exponential": lambda rng, rows: rng.exponential(size=rows) - 1.0,
}


@dataclass(frozen=True, eq=False)
class Model:
    """A linear model with noise of variance 1.

    Attributes:
        names: p variables.
        weights: (p, p); i -> j where it is not 0.
        order: causes first.
    """

    names: tuple[str, ...]
    weights: Floats
    order: tuple[int, ...]

    @property
    def directed(self) -> Booleans:
        return np.asarray(self.weights != 0)

    @property
    def dag(self) -> Graph:
        return Graph(self.names, marks_of(self.directed), "dag")

    def graph(self, knowledge: Knowledge | None = None) -> Graph:
        """Its equivalence class under the knowledge."""
        known = knowledge or Knowledge()
        marks = cpdag(self.directed, known.required_matrix(self.names), known.forbidden_matrix(self.names))
        return Graph(self.names, marks, "cpdag")


def names_of(count: int) -> tuple[str, ...]:
    return tuple(f"x{k}" for k in range(count))


def random_model(
    rng: np.random.Generator, variables: int, degree: float, *, low: float = 0.5, high: float = 1.0, tiers: int = 1
) -> Model:
    """Erdős-Rényi over a random order with this expected number of neighbours, weights uniform in ±[low, high].

    Args:
        tiers: groups of equal size, in the order of the names, of which an earlier one comes first in the order.
    """
    size = variables // tiers
    order = np.concatenate([rng.permutation(size) + k * size for k in range(tiers)])
    edges = np.triu(rng.random((variables, variables)) < degree / (variables - 1), 1)
    drawn = rng.uniform(low, high, edges.shape) * rng.choice([-1.0, 1.0], edges.shape)
    weights = np.zeros(edges.shape)
    weights[np.ix_(order, order)] = np.where(edges, drawn, 0.0)
    return Model(names_of(variables), weights, tuple(int(v) for v in order))


def tiers_of(model: Model, tiers: int) -> Knowledge:
    """The tiers that `random_model` drew the model with."""
    size = len(model.names) // tiers
    return Knowledge(tiers=tuple(model.names[k * size : (k + 1) * size] for k in range(tiers)))


def sample(
    model: Model,
    rows: int,
    rng: np.random.Generator,
    *,
    noise: str = "normal",
    mechanism: Callable[[Floats], Floats] | None = None,
) -> Floats:
    """(rows, p), each column of mean 0 and variance 1.

    Args:
        mechanism: applied to each cause of variance 1 before its weight; none by default.
    """
    values = np.zeros((rows, len(model.names)))
    for v in model.order:
        inputs = values if mechanism is None else mechanism(values)
        column = inputs @ model.weights[:, v] + NOISES[noise](rng, rows)
        values[:, v] = (column - column.mean()) / column.std() if mechanism is not None else column
    return np.asarray((values - values.mean(axis=0)) / values.std(axis=0))


def statistics_of(values: Floats, names: tuple[str, ...] | None = None) -> SufficientStatistics:
    """Of continuous, complete, independent rows."""
    rows, count = values.shape
    return SufficientStatistics(names or names_of(count), np.arange(count), np.corrcoef(values.T), rows, float(rows))
