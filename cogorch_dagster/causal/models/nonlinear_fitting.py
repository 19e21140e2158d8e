"""Fitting mechanisms that are no lines, by dowhy's gcm: additive noise around boosted trees where those help.

A variable keeps its line unless trees predict rows that were held out better. Noise is additive, so that every
mechanism can be inverted. Everything heavy is imported when it is called.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.data.resampling import block_length, bootstrap_counts
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.errors import InvalidInput

Floats = NDArray[np.float64]

REFITS = 20
_FOLDS = 5
_FEWEST_ROWS = 100
# Trees have to predict held-out rows better by this share of the squared error, and by two standard errors.
_LEAST_GAIN = 0.02
_Z = 2.0


@dataclass(frozen=True)
class Mechanism:
    """How a variable follows from its causes.

    Attributes:
        kind: root, linear or nonlinear.
        linear_error, nonlinear_error: mean squared error in held-out rows, in squared units; NaN for a root.
    """

    variable: str
    causes: tuple[str, ...]
    kind: str
    linear_error: float
    nonlinear_error: float


@dataclass(frozen=True, eq=False)
class NonlinearModel:
    """A fitted model, and models of bootstrap samples for its intervals.

    Attributes:
        rows: (n, p) complete rows, over which means are taken.
        fits: dowhy's models; the first of all rows.
    """

    graph: Graph
    units: tuple[str, ...]
    mechanisms: tuple[Mechanism, ...]
    rows: Floats
    fits: tuple[Any, ...]
    seed: int


def fit_nonlinear(graph: Graph, data: CausalDataset, *, refits: int = REFITS, seed: int = 0) -> NonlinearModel:
    """Additive-noise mechanisms of a DAG, fitted to the complete rows of a data set.

    Args:
        refits: models of bootstrap samples (blocks where residuals hang together in time), 0 for none; at least 2 for
            intervals.

    Raises:
        InvalidInput: the graph is no DAG, a variable has more than two levels, or fewer than 100 rows are complete.
    """
    if graph.kind != "dag":
        raise InvalidInput(f"nonlinear mechanisms need a graph of kind dag, this one is a {graph.kind}")
    variables = [data.variables[data.index(name)] for name in graph.names]
    wide = next((each.name for each in variables if len(each.levels) > 2), None)
    if wide is not None:
        raise InvalidInput(f"{wide!r} has more than two levels, which an additive noise cannot have; leave it out")
    values = np.stack([data.column(name) for name in graph.names], axis=1)
    complete = ~np.isnan(values).any(axis=1)
    rows, groups = values[complete], data.groups[complete]
    if len(rows) < _FEWEST_ROWS:
        raise InvalidInput(f"{len(rows)} complete rows; nonlinear mechanisms need at least {_FEWEST_ROWS}")
    with quiet_gcm(seed):
        judged = [_judged(graph, rows, j) for j in range(len(graph.names))]
        mechanisms = tuple(mechanism for mechanism, _ in judged)
        samples = [rows]
        if refits:
            residuals = np.stack([residual for _, residual in judged], axis=1)
            block = block_length(residuals, groups)
            counts = bootstrap_counts(groups, refits, block, seed).astype(np.int64)
            samples += [np.repeat(rows, each, axis=0) for each in counts]
        fits = tuple(_fitted(graph, mechanisms, sample) for sample in samples)
    return NonlinearModel(graph, tuple(each.unit for each in variables), mechanisms, rows, fits, seed)


def _judged(graph: Graph, rows: Floats, j: int) -> tuple[Mechanism, Floats]:
    """A variable's mechanism and its residuals under a line; folds are pieces of time."""
    name, causes = graph.names[j], np.flatnonzero(graph.directed[:, j])
    parents = tuple(graph.names[k] for k in causes)
    if not len(causes):
        return Mechanism(name, (), "root", float("nan"), float("nan")), rows[:, j] - rows[:, j].mean()
    x, y = rows[:, causes], rows[:, j]
    errors = np.zeros((len(rows), 2))
    for test in np.array_split(np.arange(len(rows)), _FOLDS):
        train = np.setdiff1d(np.arange(len(rows)), test)
        for place, learner in enumerate((_line(), _trees())):
            errors[test, place] = (y[test] - learner.fit(x[train], y[train]).predict(x[test])) ** 2
    linear, nonlinear = errors.mean(axis=0)
    gain = errors[:, 0] - errors[:, 1]
    better = gain.mean() > max(_LEAST_GAIN * linear, _Z * gain.std(ddof=1) / np.sqrt(len(gain)))
    residual = y - _line().fit(x, y).predict(x)
    kind = "nonlinear" if better else "linear"
    return Mechanism(name, parents, kind, float(linear), float(nonlinear)), residual


def _line() -> Any:
    from sklearn.linear_model import LinearRegression

    return LinearRegression()


def _trees() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(max_iter=60, learning_rate=0.15, min_samples_leaf=20, random_state=0)


def _fitted(graph: Graph, mechanisms: Sequence[Mechanism], rows: Floats) -> Any:
    """dowhy's model of a sample, with a graph of its own, for gcm writes into the nodes."""
    import networkx as nx
    import pandas as pd
    from dowhy import gcm
    from dowhy.gcm.ml import SklearnRegressionModel

    causes = nx.DiGraph()
    causes.add_nodes_from(graph.names)
    causes.add_edges_from((graph.names[i], graph.names[j]) for i, j in np.argwhere(graph.directed))
    model = gcm.InvertibleStructuralCausalModel(causes)
    for each in mechanisms:
        if each.kind == "root":
            model.set_causal_mechanism(each.variable, gcm.EmpiricalDistribution())
        else:
            learner = _line() if each.kind == "linear" else _trees()
            model.set_causal_mechanism(each.variable, gcm.AdditiveNoiseModel(SklearnRegressionModel(learner)))
    gcm.fit(model, pd.DataFrame(rows, columns=list(graph.names)))
    return model


@contextmanager
def quiet_gcm(seed: int) -> Iterator[None]:
    """gcm without progress bars, workers or warnings, from a seed, and the global generators as they were."""
    import logging
    import warnings

    from dowhy import gcm
    from dowhy.gcm.config import disable_progress_bars, set_default_n_jobs

    disable_progress_bars()
    set_default_n_jobs(1)
    states = np.random.get_state(), random.getstate()
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gcm.util.general.set_random_seed(seed)
            yield
    finally:
        logging.disable(disabled)
        np.random.set_state(states[0])
        random.setstate(states[1])
