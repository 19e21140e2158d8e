"""Linear Gaussian systems whose correlations are known exactly, or drawn from, with causes hidden or not."""

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.data.sufficient import SufficientStatistics
from cogorch_dagster.causal.graphs.equivalence import marks_of
from cogorch_dagster.causal.graphs.graph import Booleans, Graph

Floats = NDArray[np.float64]
EXACT_ROWS = 1e12


def random_dag(rng: np.random.Generator, p: int, density: float) -> Booleans:
    order = rng.permutation(p)
    return np.triu(rng.random((p, p)) < density, 1)[np.ix_(order, order)]


def with_hidden(rng: np.random.Generator, p: int, density: float, hidden: int) -> Booleans:
    """(p + hidden,) squared: each of the last `hidden` variables causes two or three of the others."""
    directed = np.zeros((p + hidden, p + hidden), dtype=bool)
    directed[:p, :p] = random_dag(rng, p, density)
    for each in range(p, p + hidden):
        directed[each, rng.choice(p, size=rng.integers(2, 4), replace=False)] = True
    return directed


def correlation(rng: np.random.Generator, directed: Booleans) -> Floats:
    """Exact, with weights of 0.4 to 0.9 and either sign."""
    p = len(directed)
    weights = directed * rng.uniform(0.4, 0.9, size=(p, p)) * rng.choice([-1.0, 1.0], size=(p, p))
    total = np.linalg.inv(np.eye(p) - weights)
    covariance = total.T @ total
    scale = np.sqrt(np.diag(covariance))
    return covariance / np.outer(scale, scale)


def names_of(count: int) -> tuple[str, ...]:
    return tuple(f"v{i}" for i in range(count))


def exact(matrix: Floats, rows: float = EXACT_ROWS) -> SufficientStatistics:
    """Statistics as if so many rows had just these correlations."""
    matrix = (matrix + matrix.T) / 2
    np.fill_diagonal(matrix, 1.0)
    return SufficientStatistics(names_of(len(matrix)), np.arange(len(matrix)), matrix, int(rows), float(rows))


def rows_of(rng: np.random.Generator, matrix: Floats, rows: int) -> Floats:
    return rng.multivariate_normal(np.zeros(len(matrix)), matrix, size=rows, method="cholesky")


def sampled(values: Floats) -> SufficientStatistics:
    return exact(np.corrcoef(values.T), len(values))


def dag_of(directed: Booleans) -> Graph:
    return Graph(names_of(len(directed)), marks_of(directed), "dag")
