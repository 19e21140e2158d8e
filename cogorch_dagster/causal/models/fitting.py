"""Fitting a structural model: moments by EM, equations of every member, and the same in each bootstrap draw."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.data.drawn_moments import DrawnMoments
from cogorch_dagster.causal.data.missing import Moments, em_moments
from cogorch_dagster.causal.data.resampling import block_length, bootstrap_counts
from cogorch_dagster.causal.graphs.graph import Booleans, Graph
from cogorch_dagster.causal.graphs.separation import topological_order
from cogorch_dagster.causal.models import regression
from cogorch_dagster.causal.models.bank import Bank
from cogorch_dagster.causal.models.columns import Columns
from cogorch_dagster.causal.models.members import members
from cogorch_dagster.causal.models.structural_model import StructuralModel
from cogorch_dagster.causal.models.support import Support
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.intervals import quantile

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DRAWS = 200
MOST_MEMBERS = 12
MOST_RESAMPLED = 24
_MOST_DRAWS = 5000
# Rows that an equation needs beyond its coefficients.
_SPARE_ROWS = 8
# Values of a column below which a bootstrap draw says nothing of it.
_FEWEST_VALUES = 5


def fit_model(
    graph: Graph,
    data: CausalDataset,
    *,
    latents: Iterable[Iterable[str]] = (),
    draws: int = DRAWS,
    block: int | None = None,
    most_members: int = MOST_MEMBERS,
    resampled: Sequence[Graph] = (),
    seed: int = 0,
) -> StructuralModel:
    """The linear model of a graph and the rows of a data set, in the variables' own units.

    Args:
        graph: dag; cpdag, then every member is fitted, or `most_members` of them; admg, whose bidirected edges are
            errors that correlate.
        data: has every variable of the graph; missing values are taken as missing at random.
        latents: pairs with a suspected hidden common cause. One that is also an edge leaves its effect unidentified.
        draws: bootstrap draws, 20 to 5,000; in all, if there are resampled graphs.
        block: rows to a block of the bootstrap, by default found from the autocorrelation of the scores.
        resampled: graphs over the same variables as discovery found them in bootstrap samples; of more than 24, as
            many are taken. The intervals then hold the uncertainty of the graph too: each graph gets an equal share of
            the draws, and they are pooled. These draws are of other rows than those the graph was found from, which
            takes the two errors to be independent.
        seed: of draws, samples, and of the choice of members in a large class.

    Raises:
        InvalidInput: the graph has no member, names a variable that the data lack, or there are too few rows.
    """
    if not 20 <= draws <= _MOST_DRAWS:
        raise InvalidInput(f"{draws} bootstrap draws; give 20 to {_MOST_DRAWS}")
    columns = Columns.of(tuple(data.variables[data.index(name)] for name in graph.names))
    values = columns.embedded(data)
    pairs = tuple(sorted(_pair(graph, each) for each in latents))
    found, complete = members(graph, most_members, seed)
    ties = columns.expanded(_ties(graph, pairs))
    others, weights = _distinct([_member(each, graph, seed + k) for k, each in enumerate(_spaced(resampled))])
    _check_rows(len(values), [columns.expanded(each) for each in (*found, *others)])
    first = em_moments(values)
    residuals, scores = _scores(values, first.mean, first.covariance, columns.expanded(found[0]), ties)
    length = block_length(scores, data.groups) if block is None else block
    counts = bootstrap_counts(data.groups, draws, length, _own_seed(seed, data))
    means, covariances = _moments(values, first, counts)
    if others:
        shares = np.split(np.arange(1, draws + 1), np.rint(draws * np.cumsum(weights)[:-1]).astype(int))
        chosen = [np.arange(1), *(np.concatenate([[0], share]) for share in shares)]
        graphs: list[Booleans] = [found[0], *others]
    else:
        chosen, graphs = [np.arange(draws + 1)] * len(found), list(found)
    return StructuralModel(
        graph=graph,
        latents=pairs,
        columns=columns,
        members=tuple(
            _bank(columns.expanded(each), ties, means[at], covariances[at], len(values), length)
            for each, at in zip(graphs, chosen, strict=True)
        ),
        complete=complete or bool(others),
        mixture=bool(others),
        support=Support.of(values, first.mean, first.covariance, residuals, seed),
        rows=len(values),
        block=length,
        seed=seed,
        inputs=data.digest,
    )


def _own_seed(seed: int, data: CausalDataset) -> int:
    """Of the data too, so that draws for two periods are independent of each other."""
    return int(data.digest.removeprefix("sha256:")[:12], 16) ^ seed


def _pair(graph: Graph, names: Iterable[str]) -> tuple[str, str]:
    found = sorted(names, key=graph.index)
    if len(found) != 2 or found[0] == found[1]:
        raise InvalidInput(f"a hidden common cause of {found}; give pairs of two different variables")
    return found[0], found[1]


def _member(graph: Graph, like: Graph, seed: int) -> Booleans:
    """One graph of a class, in the same order of variables."""
    if graph.names != like.names:
        raise InvalidInput("a resampled graph has other variables, or in another order; give the same to all")
    found, _ = members(graph, 8, seed)
    return found[int(np.random.default_rng(seed).integers(len(found)))]


def _ties(graph: Graph, pairs: Iterable[tuple[str, str]]) -> Booleans:
    ties = graph.bidirected.copy()
    for a, b in pairs:
        i, j = graph.index(a), graph.index(b)
        ties[i, j] = ties[j, i] = True
    return ties


def _spaced(graphs: Sequence[Graph]) -> Sequence[Graph]:
    """Some of many graphs, for each that is kept costs time in every answer."""
    if len(graphs) <= MOST_RESAMPLED:
        return graphs
    return [graphs[int(k)] for k in np.linspace(0, len(graphs) - 1, MOST_RESAMPLED)]


def _distinct(graphs: Sequence[Booleans]) -> tuple[list[Booleans], Floats]:
    """Each graph once, and its share among all."""
    held = {each.tobytes(): each for each in graphs}
    count = Counter(each.tobytes() for each in graphs)
    return list(held.values()), np.array([count[key] for key in held]) / max(len(graphs), 1)


def _check_rows(rows: int, graphs: list[Booleans]) -> None:
    fewest = max(int(each.sum(axis=0).max(initial=0)) for each in graphs) + 1 + _SPARE_ROWS
    if rows < fewest:
        raise InvalidInput(
            f"{rows} rows are too few for an equation of this graph, which needs {fewest}; take more data"
        )


def _scores(
    values: Floats, mean: Floats, covariance: Floats, directed: Booleans, ties: Booleans
) -> tuple[Floats, Floats]:
    """(rows, q) residuals and (rows, s) what the estimates are sums of: residuals, and residual times cause."""
    equations = regression.fitted(covariance[None], directed, ties)
    centred = values - mean
    residuals = np.empty_like(centred)
    scores = []
    for j in range(len(directed)):
        causes = np.flatnonzero(directed[:, j])
        residuals[:, j] = centred[:, j] - centred[:, causes] @ equations.coefficients[0, causes, j]
        scores.append(residuals[:, [j]] * np.concatenate([np.ones((len(values), 1)), centred[:, causes]], axis=1))
    return residuals, np.concatenate(scores, axis=1)


def _moments(values: Floats, whole: Moments, counts: Floats) -> tuple[Floats, Floats]:
    """(d, q) means and (d, q, q) covariances: of all rows, then of each draw."""
    drawn = DrawnMoments(values, whole)
    found = [whole, *(drawn.of(weights) for weights in _usable(values, counts))]
    return np.array([each.mean for each in found]), np.array([each.covariance for each in found])


def _usable(values: Floats, counts: Floats) -> Floats:
    """The draws, those that hold hardly any value of some column replaced by others in turn."""
    if not np.isnan(values).any():
        return counts
    known = (counts @ ~np.isnan(values)).min(axis=1)
    good = np.flatnonzero(known >= _FEWEST_VALUES)
    if not len(good):
        raise InvalidInput("some variable is known in too few rows, or too short a stretch of them; set it aside")
    bad = np.flatnonzero(known < _FEWEST_VALUES)
    chosen = np.arange(len(counts))
    chosen[bad] = good[np.arange(len(bad)) % len(good)]
    return np.asarray(counts[chosen])


def _bank(directed: Booleans, ties: Booleans, means: Floats, covariances: Floats, rows: int, block: int) -> Bank:
    equations = regression.fitted(covariances, directed, ties)
    order = np.array(topological_order(directed), dtype=np.int64)
    pairs = [(int(i), int(j)) for j in order for i in np.flatnonzero(directed[:, j])]
    cause = np.array([i for i, _ in pairs], dtype=np.int64)
    effect = np.array([j for _, j in pairs], dtype=np.int64)
    intercepts = means - np.einsum("di,dij->dj", means, equations.coefficients)
    coefficients = equations.coefficients[:, cause, effect].T
    causes = directed.sum(axis=0)
    stretch = _stretch(rows, block, causes)
    spare = np.maximum(rows - 1 - causes, 1)
    return Bank(
        order=order,
        cause=cause,
        effect=effect,
        coefficients=_stretched(coefficients, stretch[effect]),
        intercepts=_stretched(intercepts.T, stretch),
        deviations=np.ascontiguousarray(np.sqrt(equations.variances * rows / spare).T),
        unidentified=equations.unidentified,
    )


def _stretch(rows: int, block: int, causes: Integers) -> Floats:
    """(q,) by how much the draws of an equation are too close together when there are few blocks.

    With k blocks and c causes the variance of draws is some (k - 1 - c) / k of the true one (HC1, MacKinnon and White
    1985), and itself uncertain: of normal rows a product of residual and cause has kurtosis 9, which makes it worth as
    much as k / 4 degrees of freedom, and a mean over a block approaches k. Student's t takes the normal's place.
    """
    k = rows / block
    freedom = np.maximum(k - 1 - causes, k / 4)
    worth = max(k / (1 + 3 / block), 5.0)
    return np.asarray(np.sqrt(k / freedom) * float(quantile(worth)) / float(quantile(np.inf)))


def _stretched(draws: Floats, factor: Floats) -> Floats:
    """(k, d) with the draws moved away from the estimate in place 0."""
    point = draws[:, :1]
    moved = point + factor[:, None] * (draws - point)
    moved[:, :1] = point
    return np.ascontiguousarray(moved)
