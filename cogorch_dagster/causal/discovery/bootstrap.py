"""How sure each edge is: the share of resamples of the rows whose graph has it, and the probability that it follows.

Rows are drawn with replacement, or blocks of rows where they depend on those before (Friedman, Goldszmidt and Wyner
1999). With the search's penalty the shares need no further map: `benchmarks/causal_boss.py` holds them against the
truth of simulated graphs. A count of k in B is taken as (k + 1/2) / (B + 2), so that only what is known is certain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cogorch_dagster.causal.data.dataset import Floats, Integers
from cogorch_dagster.causal.data.prepared import Prepared
from cogorch_dagster.causal.data.resampling import drawn
from cogorch_dagster.causal.discovery.boss import PENALTY, boss, constraints_of
from cogorch_dagster.causal.discovery.score import DiscreteCounts, terms_of
from cogorch_dagster.causal.graphs.equivalence import cpdag
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.causal.graphs.separation import topological_order
from cogorch_dagster.errors import InvalidInput

RESAMPLES = 200
_MOST_RESAMPLES = 100_000

_PRIOR = 0.5
_CONSTANT = 1e-8

Progress = Callable[[int, int], None]
Search = Callable[[Floats], Graph]
"""From how often each row was drawn, (m,), to a graph."""


@dataclass(frozen=True, eq=False)
class EdgeProbabilities:
    """Probabilities of each pair of variables.

    Attributes:
        names: p variables.
        directed: (p, p); i -> j.
        undirected: (p, p), symmetric; i -- j, an edge whose direction the data cannot tell.
        resamples: how many graphs were counted.
    """

    names: tuple[str, ...]
    directed: Floats
    undirected: Floats
    resamples: int

    @property
    def adjacent(self) -> Floats:
        """(p, p), symmetric; an edge of any sort."""
        return np.asarray(self.directed + self.directed.T + self.undirected)

    def of(self, a: str, b: str) -> dict[str, float]:
        """Of one pair: `forward` a -> b, `backward` b -> a, `undirected` and `none`; they add up to 1."""
        i, j = self.names.index(a), self.names.index(b)
        forward, backward, open_ = (
            float(self.directed[i, j]),
            float(self.directed[j, i]),
            float(self.undirected[i, j]),
        )
        return {
            "forward": forward,
            "backward": backward,
            "undirected": open_,
            "none": max(0.0, 1.0 - forward - backward - open_),
        }

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "names": list(self.names),
            "resamples": self.resamples,
            "directed": self.directed.tolist(),
            "undirected": self.undirected.tolist(),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> EdgeProbabilities:
        """The probabilities of a `document`."""
        directed, undirected = (np.array(document[what], dtype=np.float64) for what in ("directed", "undirected"))
        return cls(tuple(document["names"]), directed, undirected, int(document["resamples"]))


def edge_probabilities(
    prepared: Prepared,
    *,
    knowledge: Knowledge | None = None,
    resamples: int = RESAMPLES,
    penalty: float = PENALTY,
    seed: int = 0,
    progress: Progress | None = None,
) -> EdgeProbabilities:
    """Probabilities by the order search on resamples of the prepared rows.

    Args:
        resamples: 1 to 100,000.
        progress: called with how many are done, of how many.

    Raises:
        InvalidInput: resamples out of range, or contradictory knowledge.
    """
    known = knowledge or Knowledge()
    find = order_search(prepared, known, penalty, seed)
    return counted(
        find, prepared.groups, prepared.block, knowledge=known, resamples=resamples, seed=seed, progress=progress
    )


def counted(
    search: Search,
    groups: Integers,
    block: int,
    *,
    knowledge: Knowledge,
    resamples: int,
    seed: int,
    progress: Progress | None = None,
) -> EdgeProbabilities:
    """Probabilities by any search; an edge that is not directed, such as o-> or <->, counts as undirected.

    Args:
        groups: (m,) of the rows; rows of one group follow each other in time.
        block: how many rows that follow each other are drawn at once.

    Raises:
        InvalidInput: resamples out of range.
    """
    if not 1 <= resamples <= _MOST_RESAMPLES:
        raise InvalidInput(f"{resamples} resamples must lie between 1 and {_MOST_RESAMPLES:,}")
    rng = np.random.default_rng(seed)
    names: tuple[str, ...] = ()
    directed = undirected = np.zeros((0, 0), dtype=np.int64)
    for number in range(resamples):
        found = search(drawn(groups, block, rng))
        arrows, some = found.directed.astype(np.int64), found.skeleton.astype(np.int64)
        if not names:
            names, directed, undirected = found.names, np.zeros_like(arrows), np.zeros_like(arrows)
        directed += arrows
        undirected += some - arrows - arrows.T
        if progress is not None:
            progress(number + 1, resamples)
    return _smoothed(names, directed, undirected, resamples, knowledge)


def _smoothed(
    names: tuple[str, ...], directed: Integers, undirected: Integers, resamples: int, knowledge: Knowledge
) -> EdgeProbabilities:
    """Probabilities of counts; what is known to be or not to be is certain."""
    allowed, required = ~knowledge.forbidden_matrix(names), knowledge.required_matrix(names)
    forward = np.where(allowed, (directed + _PRIOR) / (resamples + 4 * _PRIOR), 0.0)
    forward = np.where(required, 1.0, forward)
    either = allowed & allowed.T
    open_ = np.where(either | (undirected > 0), (undirected + _PRIOR) / (resamples + 4 * _PRIOR), 0.0)
    open_ = np.where(required | required.T, 0.0, open_)
    return EdgeProbabilities(names, forward, open_, resamples)


def order_search(prepared: Prepared, knowledge: Knowledge, penalty: float, seed: int) -> Search:
    """BOSS from one start, the order that fits all rows."""
    from cogorch_dagster.causal.discovery.kernels.boss import search

    statistics = prepared.statistics()
    names = prepared.variables
    whole = boss(statistics, knowledge=knowledge, penalty=penalty, seed=seed)
    held = constraints_of(knowledge, names)
    order = np.array(topological_order(whole.dag.directed | held.before), dtype=np.int64)
    terms = terms_of(statistics, penalty)

    def find(weights: Floats) -> Graph:
        matrix = weighted_correlation(prepared.values, weights) if prepared.complete else prepared.correlation(weights)
        start = order[None].copy()
        _, directed, _, _ = search(terms._replace(correlation=matrix), held.allowed, held.required, held.before, start)
        return Graph(names, cpdag(directed, held.required, ~held.allowed), "cpdag")

    return find


def counts_search(counts: DiscreteCounts, row: Integers, knowledge: Knowledge, sample: float, seed: int) -> Search:
    """BOSS on counts of discrete rows from one start, the order that fits them all.

    Args:
        row: (m,) which of the different rows each row is.
        sample: equivalent sample size of the BDeu.
    """
    from cogorch_dagster.causal.discovery.kernels.boss import search

    names = counts.variables
    whole = boss(counts, knowledge=knowledge, sample=sample, seed=seed)
    held = constraints_of(knowledge, names)
    order = np.array(topological_order(whole.dag.directed | held.before), dtype=np.int64)
    terms = terms_of(counts, 1.0, sample)
    worth = counts.effective_rows / len(row)

    def find(weights: Floats) -> Graph:
        drawn_counts = worth * np.bincount(row, weights=weights, minlength=len(counts.weights)).astype(np.float64)
        _, directed, _, _ = search(
            terms._replace(weights=drawn_counts), held.allowed, held.required, held.before, order[None].copy()
        )
        return Graph(names, cpdag(directed, held.required, ~held.allowed), "cpdag")

    return find


def weighted_correlation(values: Floats, weights: Floats) -> Floats:
    """(q, q) of complete columns (m, q) whose rows occur `weights` times; 0 for a column that does not vary."""
    total = weights.sum()
    mean = weights @ values / total
    covariance = (values * weights[:, None]).T @ values / total - np.outer(mean, mean)
    spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    varies = spread > _CONSTANT
    inverse = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)
    matrix = covariance * np.outer(inverse, inverse)
    np.fill_diagonal(matrix, 1.0)
    return np.ascontiguousarray(matrix)
