"""In which columns the data obey a sparse graph: as measured, as rank-normal scores, with squares beside them.

A representation that does not suit the data breaks independences and so adds edges: of the same number of columns the
one with the fewest edges is taken (frugality, Forster, Raskutti, Stern and Weinberger 2018). Squares come in where the
residuals of its graph are curved in a cause. A variable is then a block of two columns, by which edges cost more: that
alone would make a graph sparser, hence the test.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from cogorch_dagster.causal.data.dataset import Bools, CausalDataset, Floats, Integers
from cogorch_dagster.causal.data.preparation import Preparation, prepared
from cogorch_dagster.causal.data.prepared import Prepared
from cogorch_dagster.causal.discovery.boss import BossResult, boss
from cogorch_dagster.causal.graphs.graph import Booleans, Graph
from cogorch_dagster.causal.graphs.knowledge import Knowledge

RESTARTS = 3
_CURVED = 0.01
_FURTHEST = 4.0
_ROWS_A_COLUMN = 20
_SCORED = "rank-normal scores"


@dataclass(frozen=True, eq=False)
class Representation:
    """Prepared data.

    Attributes:
        linear: whether the columns as measured would do as well, so that their residuals mean something.
        notes: the reasons, in sentences, where the data are not what preparation alone would give.
    """

    prepared: Prepared
    linear: bool = True
    notes: tuple[str, ...] = ()


def represented(
    data: CausalDataset, how: Preparation, *, knowledge: Knowledge, penalty: float, seed: int = 0
) -> Representation:
    """The prepared data in the columns in which their graph is sparsest.

    Raises:
        InvalidInput: as `prepared`.
    """
    ready = prepared(data, how)
    if how.scores != "auto":
        return Representation(ready)
    known = knowledge.among(ready.variables)

    def searched(each: Prepared) -> BossResult:
        return boss(each.statistics(), knowledge=known, penalty=penalty, restarts=RESTARTS, seed=seed)

    found, notes = searched(ready), []
    as_measured = _edges(found.graph)
    if any(note.startswith(_SCORED) for note in ready.notes):
        for other in ("never", "always"):
            changed = prepared(data.only(ready.variables), replace(how, scores=other))
            if changed.variables != ready.variables:
                continue
            result = searched(changed)
            if other == "never":
                as_measured = _edges(result.graph)
            if _edges(result.graph) < _edges(found.graph):
                ready, found = replace(changed, set_aside=ready.set_aside), result
                notes = [f"the graph is sparsest with {_SCORED} of {'no' if other == 'never' else 'every'} column"]
    linear = as_measured <= _edges(found.graph)
    continuous = _continuous(data, ready)
    if len(ready.values) > _ROWS_A_COLUMN * len(ready.owner) and curved(ready, found.dag.directed, continuous):
        richer = with_squares(ready, continuous)
        if _edges(searched(richer).graph) < _edges(found.graph):
            ready, linear = richer, False
            notes.append("relations are curved, so that squares are taken beside the columns")
    return Representation(ready, linear, tuple(notes))


def curved(ready: Prepared, directed: Booleans, continuous: Bools) -> bool:
    """Whether the square or the cube of a continuous cause explains more of an effect than the parents' columns do.

    By tests that allow for unequal variances (White 1980), at 1 % for all of them together. An effect may be discrete:
    a level in the middle goes with the middle of its cause.
    """
    values = ready.values[~np.isnan(ready.values).any(axis=1)]
    edges = [(int(i), int(j)) for i, j in np.argwhere(directed) if continuous[i]]
    if not edges or len(values) < _ROWS_A_COLUMN * len(ready.owner):
        return False
    tests = 2 * sum(int((ready.owner == j).sum()) for _, j in edges)
    bound = NormalDist().inv_cdf(1.0 - _CURVED / (2.0 * tests)) / np.sqrt(ready.worth)
    for i, j in edges:
        cause = np.clip(values[:, ready.owner == i][:, 0], -_FURTHEST, _FURTHEST)
        inputs = np.column_stack([np.ones(len(values)), values[:, directed[ready.owner, j]]])
        extras = _left(inputs, np.column_stack([cause**2, cause**3]))
        effects = _left(inputs, values[:, ready.owner == j])
        products = extras[:, :, None] * effects[:, None, :]
        if (np.abs(products.sum(axis=0)) > bound * np.sqrt((products**2).sum(axis=0))).any():
            return True
    return False


def with_squares(ready: Prepared, continuous: Bools) -> Prepared:
    """With a second column for each continuous variable: its square, less what a line explains of it."""
    columns: list[Floats] = []
    owner: list[int] = []
    for place in range(len(ready.variables)):
        own = [ready.values[:, column] for column in np.flatnonzero(ready.owner == place)]
        if continuous[place]:
            own.append(_square(own[0]))
        columns += own
        owner += [place] * len(own)
    numbers: Integers = np.array(owner, dtype=np.int64)
    return replace(ready, values=np.stack(columns, axis=1), owner=numbers)


def _square(column: Floats) -> Floats:
    known = ~np.isnan(column)
    x = np.clip(column[known], -_FURTHEST, _FURTHEST)
    left = _left(np.column_stack([np.ones(len(x)), x]), (x**2)[:, None])[:, 0]
    result = np.full(len(column), np.nan)
    result[known] = left / left.std()
    return result


def _left(inputs: Floats, outputs: Floats) -> Floats:
    return np.asarray(outputs - inputs @ np.linalg.lstsq(inputs, outputs, rcond=None)[0])


def _edges(graph: Graph) -> int:
    return int(np.triu(graph.skeleton).sum())


def _continuous(data: CausalDataset, ready: Prepared) -> Bools:
    """(p,) continuous, and of enough values for a square to be a column of its own."""
    variables = [data.variables[data.index(name)] for name in ready.variables]
    single = np.bincount(ready.owner, minlength=len(variables)) == 1
    return np.array(
        [
            variable.kind == "continuous" and single[place] and len(np.unique(data.column(variable.name))) > 5
            for place, variable in enumerate(variables)
        ],
        dtype=bool,
    )
