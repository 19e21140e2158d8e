"""From a data set to a graph: which search, what directs the rest, and how sure each edge is.

The searches themselves are in `boss`, `pc`, `fci`, `guided_fci` and `lingam`; what they take is in `data.preparation`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cogorch_dagster.causal.data.dataset import CausalDataset, Floats, SetAside
from cogorch_dagster.causal.data.preparation import prepared
from cogorch_dagster.causal.data.prepared import Prepared
from cogorch_dagster.causal.data.sufficient import SufficientStatistics
from cogorch_dagster.causal.discovery.bootstrap import (
    EdgeProbabilities,
    Progress,
    Search,
    counted,
    counts_search,
    order_search,
)
from cogorch_dagster.causal.discovery.boss import BossResult, boss
from cogorch_dagster.causal.discovery.causal_learn import pc_discrete
from cogorch_dagster.causal.discovery.lingam import LingamResult, lingam
from cogorch_dagster.causal.discovery.representation import Representation, represented
from cogorch_dagster.causal.discovery.score import numbered_counts
from cogorch_dagster.causal.discovery.settings import DiscoverySettings
from cogorch_dagster.causal.graphs.equivalence import consistent_extension, marks_of
from cogorch_dagster.causal.graphs.graph import Graph, Pair
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.errors import InvalidInput

_COMPLETE = 0.5
"""Counts need complete rows; with fewer than this share of them, discrete data are embedded and go through EM."""

_ROWS_A_COLUMN = 3
"""Guided FCI fits whole graphs: with fewer independent rows many resamples are singular, and every graph fits them."""

_HIDDEN = ("hidden common causes were looked for",)


@dataclass(frozen=True)
class Discovery:
    """What was found.

    Attributes:
        graph: over the variables that were not set aside: cpdag, or pag where hidden common causes were looked for.
        dag: a member of the cpdag; of a pag, what the search found when it took it that nothing is hidden.
        score: of the graph where the algorithm has one, higher is better.
        probabilities: of each edge.
        algorithm: the search that was used, such as `boss`.
        directed: (cause, effect) that residuals directed, where correlations could not.
        effective_rows: what tests and scores took for n.
        set_aside: columns that are no variables of the graph.
        notes: what was done, in sentences.
        settings: as given.
    """

    graph: Graph
    dag: Graph
    score: float | None
    probabilities: EdgeProbabilities
    algorithm: str
    directed: tuple[Pair, ...]
    effective_rows: float
    set_aside: tuple[SetAside, ...]
    notes: tuple[str, ...]
    settings: DiscoverySettings


def discover(
    data: CausalDataset,
    *,
    knowledge: Knowledge | None = None,
    settings: DiscoverySettings | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Discovery:
    """Find the graph of a data set; the same inputs give the same result.

    Purely discrete data are scored by their counts, all others by correlations (`data.preparation`).

    Args:
        knowledge: of any variables of the data set, also of those set aside.
        settings: the default search, with 200 resamples, by default.
        progress: called with resamples done and in all.

    Raises:
        InvalidInput: contradictory knowledge, too few rows or variables, or an algorithm that the data do not suit.
    """
    settings, known = settings or DiscoverySettings(), knowledge or Knowledge()
    known.check((*data.names, *(each.name for each in data.set_aside if each.name not in data.names)))
    algorithm = settings.algorithm
    if algorithm == "auto":
        algorithm = "guided_fci" if known.latents else "boss"
    counts = algorithm in ("boss", "pc_discrete") and _countable(data)
    if algorithm == "pc_discrete" and not counts:
        raise InvalidInput(f"pc_discrete needs discrete variables and mostly complete rows, {data.scope!r} has others")
    how = settings.preparation
    if counts and how.autocorrelation != "none":
        # Innovations of counts are no counts.
        how = replace(how, autocorrelation="effective")
    if counts or not settings.adapt:
        chosen = Representation(prepared(data, how))
    else:
        chosen = represented(data, how, knowledge=known, penalty=settings.penalty, seed=seed)
    ready = chosen.prepared
    task = _Task(data, ready, chosen.linear, known.among(ready.variables), settings, seed)
    found = task.by_counts(algorithm) if counts else task.by_correlations(algorithm)
    probabilities = counted(
        found.search,
        found.rows.groups,
        ready.block,
        knowledge=task.knowledge,
        resamples=settings.resamples,
        seed=seed,
        progress=progress,
    )
    return Discovery(
        graph=found.graph,
        dag=found.dag,
        score=found.score,
        probabilities=probabilities,
        algorithm=algorithm,
        directed=found.directed,
        effective_rows=ready.effective_rows,
        set_aside=ready.set_aside,
        notes=(*ready.notes, *chosen.notes, *found.notes),
        settings=settings,
    )


@dataclass(frozen=True)
class _Found:
    graph: Graph
    dag: Graph
    score: float | None
    search: Search
    rows: Prepared | CausalDataset
    directed: tuple[Pair, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Task:
    data: CausalDataset
    ready: Prepared
    linear: bool
    knowledge: Knowledge
    settings: DiscoverySettings
    seed: int

    def by_counts(self, algorithm: str) -> _Found:
        """BOSS with the BDeu, or causal-learn's PC."""
        data = self.data.only(self.ready.variables)
        data = data.where(np.asarray(~np.isnan(data.values).any(axis=1)))
        counts, row = numbered_counts(data)
        weighed = replace(counts, weights=counts.weights * self.ready.worth)
        sample, known = self.settings.equivalent_sample, self.knowledge
        best = boss(weighed, knowledge=known, sample=sample, restarts=self.settings.restarts, seed=self.seed)
        if algorithm == "boss":
            search = counts_search(weighed, row, known, sample, self.seed)
            notes = (f"{len(data.values)} complete rows of discrete variables, scored by their counts (BDeu)",)
            return _Found(best.graph, best.dag, best.score, search, data, notes=notes)

        def find(weights: Floats) -> Graph:
            drawn = np.bincount(row, weights=weights, minlength=len(counts.weights)).astype(np.float64)
            return pc_discrete(replace(counts, weights=drawn), alpha=self.settings.alpha, knowledge=known)

        graph = pc_discrete(counts, alpha=self.settings.alpha, knowledge=known)
        return _Found(graph, _member(graph, best.dag), None, find, data)

    def by_correlations(self, algorithm: str) -> _Found:
        """BOSS with LiNGAM after it, or one of the searches by tests."""
        statistics, known = self.ready.statistics(), self.knowledge
        best = boss(
            statistics,
            knowledge=known,
            penalty=self.settings.penalty,
            restarts=self.settings.restarts,
            seed=self.seed,
        )
        if algorithm == "boss":
            search = order_search(self.ready, known, self.settings.penalty, self.seed)
            found = _Found(best.graph, best.dag, best.score, search, self.ready)
            return self._with_lingam(found) if self.settings.lingam and self.linear else found
        if algorithm == "guided_fci":
            return self._guided(statistics, best)
        by_tests = self._by_tests(algorithm)
        graph = by_tests(statistics)

        def find(weights: Floats) -> Graph:
            return by_tests(self.ready.statistics(weights))

        notes = _HIDDEN if graph.kind == "pag" else ()
        return _Found(graph, _member(graph, best.dag), None, find, self.ready, notes=notes)

    def _by_tests(self, algorithm: str) -> Callable[[SufficientStatistics], Graph]:
        alpha, known = self.settings.alpha, self.knowledge
        if algorithm == "pc":
            from cogorch_dagster.causal.discovery.pc import pc, with_member

            return lambda statistics: with_member(pc(statistics, alpha=alpha, knowledge=known), known)
        from cogorch_dagster.causal.discovery.fci import fci

        return lambda statistics: fci(statistics, alpha=alpha, knowledge=known)

    def _guided(self, statistics: SufficientStatistics, best: BossResult) -> _Found:
        """Begins with all edges that the BIC itself keeps: the guided search only takes edges out."""
        from cogorch_dagster.causal.discovery.guided_fci import PENALTY, guided_fci

        fewest = _ROWS_A_COLUMN * len(statistics.owner)
        if statistics.effective_rows < fewest:
            raise InvalidInput(
                f"the rows of {self.data.scope!r} count as {statistics.effective_rows:.0f}, and guided FCI of "
                f"{len(statistics.owner)} columns needs {fewest}; take a longer period, or the algorithm fci"
            )
        known = self.knowledge
        start = boss(statistics, knowledge=known, penalty=PENALTY, restarts=self.settings.restarts, seed=self.seed)
        graph = guided_fci(statistics, start.graph, knowledge=known)
        starts = order_search(self.ready, known, PENALTY, self.seed)

        def find(weights: Floats) -> Graph:
            return guided_fci(self.ready.statistics(weights), starts(weights), knowledge=known)

        return _Found(graph, best.dag, None, find, self.ready, notes=_HIDDEN)

    def _with_lingam(self, found: _Found) -> _Found:
        """With what residuals direct; the search on resamples does the same to what it finds."""
        if not found.graph.undirected.any():
            return found
        rows = _unscored(self.data, self.ready, self.settings)
        if rows is None:
            return found
        result = self._directed(rows, rows.values, found.graph)
        if not result.directed:
            return found
        member = consistent_extension(result.graph.marks)
        dag = found.dag if member is None else Graph(found.graph.names, marks_of(member), "dag")

        def find(weights: Floats) -> Graph:
            graph = found.search(weights)
            if not graph.undirected.any():
                return graph
            drawn = np.repeat(rows.values, weights.astype(np.int64), axis=0)
            return self._directed(rows, drawn, graph).graph

        edges = ", ".join(f"{a} -> {b}" for a, b in result.directed)
        notes = (*found.notes, f"residuals that are not Gaussian direct {edges}")
        return replace(found, graph=result.graph, dag=dag, search=find, directed=result.directed, notes=notes)

    def _directed(self, rows: Prepared, values: Floats, graph: Graph) -> LingamResult:
        kinds = [self.data.variables[self.data.index(name)].kind for name in rows.variables]
        return lingam(
            values,
            graph,
            knowledge=self.knowledge,
            owner=rows.owner,
            continuous=np.array([kind == "continuous" for kind in kinds], dtype=bool),
            worth=rows.worth,
            alpha=self.settings.lingam_alpha,
        )


def _countable(data: CausalDataset) -> bool:
    complete = ~np.isnan(data.values).any(axis=1)
    return all(each.kind == "discrete" for each in data.variables) and bool(complete.mean() >= _COMPLETE)


def _unscored(data: CausalDataset, ready: Prepared, settings: DiscoverySettings) -> Prepared | None:
    """The prepared rows without rank-normal scores or squares; None if other rows result."""
    plain = prepared(data.only(ready.variables), replace(settings.preparation, scores="never"))
    same = plain.variables == ready.variables and len(plain.values) == len(ready.values)
    return plain if same else None


def _member(graph: Graph, otherwise: Graph) -> Graph:
    """A DAG of the class; where contradictory tests leave none, or the graph is a pag, that of the score."""
    member = None if graph.kind == "pag" else consistent_extension(graph.marks)
    return otherwise if member is None else Graph(graph.names, marks_of(member), "dag")
