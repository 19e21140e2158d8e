"""Queries with a known effect of `t` on `y`, one family for each way to identify it; `zero` makes the effect 0."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.data.dataset import CausalDataset, Variable
from cogorch_dagster.causal.graphs.graph import Graph

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Query:
    data: CausalDataset
    graph: Graph
    truth: float


def dataset(units: dict[str, str] | None = None, **columns: Floats) -> CausalDataset:
    rows = len(next(iter(columns.values())))
    units = units or {}
    return CausalDataset(
        scope="synthetic",
        variables=tuple(Variable(name, unit=units.get(name, "")) for name in columns),
        values=np.column_stack(list(columns.values())),
        groups=np.zeros(rows, dtype=np.int64),
        times=np.arange(rows),
    )


def linear_backdoor(rng: np.random.Generator, *, zero: bool = False, rows: int = 1000) -> Query:
    """A random linear Gaussian graph of 10 variables, standardised; of `zero`, nothing leads out of the treatment."""
    p, t, y = 10, 4, 9
    weights = np.triu(rng.uniform(0.3, 0.8, (p, p)) * rng.choice([-1, 1], (p, p)), 1)
    edges = np.triu(rng.random((p, p)) < 0.35, 1)
    edges[t, y] = edges[0, t] = edges[0, y] = True
    weights = weights * edges
    if zero:
        weights[t] = 0.0
    values = rng.normal(size=(rows, p)) @ np.linalg.inv(np.eye(p) - weights)
    # By the model's own deviations, not those of the sample, so that the truth is a constant.
    total = np.linalg.inv(np.eye(p) - weights)
    scale = np.sqrt(np.diag(total.T @ total))
    names = [f"v{k}" for k in range(p)]
    names[t], names[y] = "t", "y"
    graph = Graph.from_edges(names, [(names[i], names[j]) for i, j in np.argwhere(edges)])
    data = dataset(**{name: values[:, k] / scale[k] for k, name in enumerate(names)})
    return Query(data, graph, float(total[t, y] * scale[t] / scale[y]))


def front_door(rng: np.random.Generator, *, zero: bool = False, rows: int = 1000) -> Query:
    """A hidden confounder, and a mediator that carries everything."""
    first, second, hidden = rng.uniform(0.4, 1.0), 0.0 if zero else rng.uniform(0.3, 1.0), rng.normal(size=rows)
    t = rng.uniform(0.5, 1.5) * hidden + rng.normal(size=rows)
    m = first * t + rng.normal(size=rows)
    y = second * m + rng.uniform(0.5, 1.5) * hidden + rng.normal(size=rows)
    graph = Graph.from_edges(["u", "t", "m", "y"], [("u", "t"), ("u", "y"), ("t", "m"), ("m", "y")])
    return Query(dataset(t=t, m=m, y=y), graph, first * second)


def instrument(rng: np.random.Generator, *, zero: bool = False, rows: int = 1000) -> Query:
    """A hidden confounder, an instrument, unequal variances."""
    hidden, z = rng.normal(size=rows), rng.normal(size=rows)
    slope = 0.0 if zero else rng.uniform(0.3, 1.5)
    t = rng.uniform(0.3, 0.9) * z + hidden + rng.normal(size=rows)
    y = slope * t + 1.5 * hidden + rng.normal(size=rows) * (0.5 + np.abs(z))
    graph = Graph.from_edges(["z", "u", "t", "y"], [("z", "t"), ("u", "t"), ("u", "y"), ("t", "y")])
    return Query(dataset(z=z, t=t, y=y), graph, float(slope))


def curved(rng: np.random.Generator, *, zero: bool = False, rows: int = 2000) -> Query:
    """A binary treatment whose confounders act in curves, with another effect at each level of one of them."""
    x = rng.normal(size=(rows, 4))
    score = rng.uniform(0.6, 1.2) * np.sin(1.5 * x[:, 0]) + 0.4 * (x[:, 1] ** 2 - 1.0) + 0.3 * x[:, 2]
    t = (rng.random(rows) < 1.0 / (1.0 + np.exp(-score))).astype(np.float64)
    slope = 0.0 if zero else rng.uniform(0.3, 1.5)
    y = (slope + 0.5 * x[:, 2]) * t + 2.0 * np.sin(1.5 * x[:, 0]) + x[:, 1] ** 2 + x[:, 3] + rng.normal(size=rows)
    names = ["x0", "x1", "x2", "x3"]
    graph = Graph.from_edges([*names, "t", "y"], [*((n, "t") for n in names), *((n, "y") for n in names), ("t", "y")])
    return Query(dataset(**{n: x[:, k] for k, n in enumerate(names)}, t=t, y=y), graph, float(slope))


def curved_continuous(rng: np.random.Generator, *, zero: bool = False, rows: int = 2000) -> Query:
    """A continuous treatment whose confounders act in curves; its own effect is a straight line."""
    x = rng.normal(size=(rows, 4))
    curve = rng.uniform(0.6, 1.2) * np.sin(1.5 * x[:, 0]) + 0.4 * (x[:, 1] ** 2 - 1.0) + 0.3 * x[:, 2]
    t = curve + rng.normal(size=rows)
    slope = 0.0 if zero else rng.uniform(0.3, 1.5)
    y = slope * t + 2.0 * np.sin(1.5 * x[:, 0]) + x[:, 1] ** 2 + x[:, 3] + rng.normal(size=rows)
    names = ["x0", "x1", "x2", "x3"]
    graph = Graph.from_edges([*names, "t", "y"], [*((n, "t") for n in names), *((n, "y") for n in names), ("t", "y")])
    return Query(dataset(**{n: x[:, k] for k, n in enumerate(names)}, t=t, y=y), graph, float(slope))


FAMILIES: dict[str, Callable[..., Query]] = {
    "linear back-door": linear_backdoor,
    "front-door": front_door,
    "instrument": instrument,
    "doubly robust, curved": curved,
    "continuous, curved": curved_continuous,
}
