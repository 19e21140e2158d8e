"""How far two graphs over the same variables are apart."""

from dataclasses import dataclass

import numpy as np

from cogorch_dagster.causal.graphs.graph import Graph, Mark
from cogorch_dagster.errors import InvalidInput


@dataclass(frozen=True)
class Scores:
    """Precision and recall, each 0 to 1, of `found` things of which `true` exist and `right` are both.

    Where nothing was found the precision is 1, where nothing exists the recall is.
    """

    right: int
    found: int
    true: int

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        total = self.found + self.true
        return 2 * self.right / total if total else 1.0


def shd(found: Graph, truth: Graph) -> int:
    """Structural Hamming distance: pairs of variables whose edge differs in any mark (Tsamardinos et al. 2006)."""
    _require_same(found, truth)
    differs = (found.marks != truth.marks) | (found.marks.T != truth.marks.T)
    return int(np.triu(differs).sum())


def skeleton_scores(found: Graph, truth: Graph) -> Scores:
    """Of pairs that have an edge."""
    _require_same(found, truth)
    mine, true = np.triu(found.skeleton), np.triu(truth.skeleton)
    return Scores(int((mine & true).sum()), int(mine.sum()), int(true.sum()))


def arrowhead_scores(found: Graph, truth: Graph) -> Scores:
    """Of arrowheads: j at the end of i *-> j, whatever stands at i."""
    _require_same(found, truth)
    mine, true = found.marks == Mark.ARROW, truth.marks == Mark.ARROW
    return Scores(int((mine & true).sum()), int(mine.sum()), int(true.sum()))


def directed_scores(found: Graph, truth: Graph) -> Scores:
    """Of directed edges i -> j."""
    _require_same(found, truth)
    return Scores(int((found.directed & truth.directed).sum()), int(found.directed.sum()), int(truth.directed.sum()))


def bidirected_scores(found: Graph, truth: Graph) -> Scores:
    """Of bidirected edges."""
    _require_same(found, truth)
    mine, true = np.triu(found.bidirected), np.triu(truth.bidirected)
    return Scores(int((mine & true).sum()), int(mine.sum()), int(true.sum()))


def _require_same(found: Graph, truth: Graph) -> None:
    if found.names != truth.names:
        raise InvalidInput("the graphs have other variables, or in another order; compare graphs of the same variables")
