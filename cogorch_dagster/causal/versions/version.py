"""A version of the causal graph of one component: what was found, from which data, with what settings, and its model.

It never changes: its digest covers everything, and whatever is answered with it is computed from it and its data set
alone. How it is found is `building`, where it is kept `store`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.data.dataset import SetAside, Variable
from cogorch_dagster.causal.discovery.bootstrap import EdgeProbabilities
from cogorch_dagster.causal.graphs.equivalence import consistent_extension, marks_of
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.causal.models.structural_model import StructuralModel
from cogorch_dagster.causal.versions.picture import graph_picture
from cogorch_dagster.policies.document import as_document, digest

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CausalVersion:
    """One version.

    Attributes:
        scope: the component, or the name of a file.
        dataset: digest of the data set it was found in.
        since, until: the period of the data, None for a file without times.
        rows: of the data set.
        effective_rows: what tests and scores took for n.
        variables: of the graph, in its order.
        set_aside: columns that are no variables of the graph, with the reason.
        graph: what was found: a cpdag, or a pag where hidden common causes were looked for.
        knowledge: what was known beforehand of these variables, by their roles and as somebody gave it.
        given: the knowledge that somebody gave, None where nobody did.
        width_s: seconds of a row's bucket, None for a file.
        tied: pairs that are set together: dependent, though neither causes the other.
        algorithm: such as `boss`.
        settings: of discovery.
        score: of the graph where the algorithm has one, higher is better.
        probabilities: of each edge, from the bootstrap.
        notes: what was done to the data and what could not be, in sentences.
        seed: of everything random.
        model: the linear structural model fitted to it.
    """

    scope: str
    dataset: str
    since: datetime | None
    until: datetime | None
    rows: int
    effective_rows: float
    variables: tuple[Variable, ...]
    set_aside: tuple[SetAside, ...]
    graph: Graph
    knowledge: Knowledge
    given: Knowledge | None
    width_s: int | None
    tied: tuple[tuple[str, str], ...]
    algorithm: str
    settings: Mapping[str, Any]
    score: float | None
    probabilities: EdgeProbabilities
    notes: tuple[str, ...]
    seed: int
    model: StructuralModel

    @cached_property
    def digest(self) -> str:
        """`sha256:` and 64 hexadecimal digits of the document, which names the model's."""
        return digest(self.document())

    def document(self) -> dict[str, Any]:
        """Plain JSON, without the numbers of the model."""
        return as_document(
            {
                "scope": self.scope,
                "dataset": self.dataset,
                "since": _iso(self.since),
                "until": _iso(self.until),
                "rows": self.rows,
                "effective_rows": self.effective_rows,
                "variables": [variable.document() for variable in self.variables],
                "set_aside": [{"name": each.name, "reason": each.reason} for each in self.set_aside],
                "graph": self.graph.document(),
                "knowledge": self.knowledge.document(),
                "given": None if self.given is None else self.given.document(),
                "width_s": self.width_s,
                "tied": [list(each) for each in self.tied],
                "algorithm": self.algorithm,
                "settings": dict(self.settings),
                "score": self.score,
                "probabilities": self.probabilities.document(),
                "notes": list(self.notes),
                "seed": self.seed,
                "model": self.model.digest,
            }
        )

    @classmethod
    def of(cls, document: Mapping[str, Any], model: StructuralModel) -> "CausalVersion":
        """The version of a `document` and its model."""
        return cls(
            scope=document["scope"],
            dataset=document["dataset"],
            since=_moment(document["since"]),
            until=_moment(document["until"]),
            rows=document["rows"],
            effective_rows=document["effective_rows"],
            variables=tuple(Variable.of(each) for each in document["variables"]),
            set_aside=tuple(SetAside(**each) for each in document["set_aside"]),
            graph=Graph.of(document["graph"]),
            knowledge=Knowledge.of(document["knowledge"]),
            given=None if document["given"] is None else Knowledge.of(document["given"]),
            width_s=document["width_s"],
            tied=tuple((a, b) for a, b in document["tied"]),
            algorithm=document["algorithm"],
            settings=document["settings"],
            score=document["score"],
            probabilities=EdgeProbabilities.from_document(document["probabilities"]),
            notes=tuple(document["notes"]),
            seed=document["seed"],
            model=model,
        )

    def unit(self, name: str) -> str:
        """The unit of a variable."""
        return self.variables[self.graph.index(name)].unit

    @property
    def latents(self) -> tuple[tuple[str, str], ...]:
        """Pairs with a common cause that is no variable, besides those in the graph; none of a pag, which has all."""
        if self.graph.kind == "pag":
            return ()
        suspected = {(min(pair), max(pair)) for pair in self.knowledge.latents}
        return tuple(sorted(suspected | set(self.tied)))

    @property
    def member(self) -> Graph:
        """One graph without open ends that the data fit as well as any: a DAG, or an ADMG with hidden common causes."""
        graph = self.model.graph
        if graph.kind != "cpdag":
            return graph
        found = consistent_extension(graph.marks)
        return Graph(graph.names, marks_of(graph.directed if found is None else found), "dag")

    @property
    def strengths(self) -> Floats:
        """(p, p) standardised coefficient of i -> j in the model; 0 for other edges and for discrete variables."""
        model, names = self.model, self.graph.names
        spread = np.sqrt(np.maximum(np.diag(model.support.covariance), 0.0))
        found = np.zeros((len(names), len(names)))
        for i, j in np.argwhere(self.graph.skeleton & ~self.graph.bidirected):
            cause, effect = names[i], names[j]
            if len(model.columns.of_variable(cause)) == 1 and len(model.columns.of_variable(effect)) == 1:
                a, b = model.column(cause), model.column(effect)
                if spread[b] > 0:
                    found[i, j] = model.coefficient(cause, effect) * spread[a] / spread[b]
        return found

    def picture(self, image: Literal["png", "svg", "pdf"] = "png") -> bytes:
        """The graph, drawn."""
        period = "" if self.since is None or self.until is None else f", {self.since:%Y-%m-%d} to {self.until:%Y-%m-%d}"
        return graph_picture(
            self.graph,
            title=f"{self.scope}{period}: {self.rows} rows, {self.algorithm}",
            tiers=[variable.tier for variable in self.variables],
            roles={variable.name: variable.role for variable in self.variables},
            strengths=self.strengths,
            probabilities=self.probabilities.adjacent,
            ties=self.tied,
            image=image,
        )


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
