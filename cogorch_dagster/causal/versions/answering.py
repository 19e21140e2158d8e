"""Questions to a version, answered by its model as far as its graph stands behind the model.

A model needs a direction for every edge. Where the graph leaves one open because of hidden causes (pag), the model has
a guess, and an answer that rests on the guess is none.
"""

from collections.abc import Mapping, Sequence

from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.graphs.graph import Booleans
from cogorch_dagster.causal.graphs.separation import ancestors, possible_ancestors
from cogorch_dagster.causal.models import counterfactual as by_row
from cogorch_dagster.causal.models import intervention
from cogorch_dagster.causal.models.answer import Answer
from cogorch_dagster.causal.models.intervention import LEVEL, Values
from cogorch_dagster.causal.versions.version import CausalVersion

Answers = list[Answer | NotIdentified]


def what_if(
    version: CausalVersion,
    hold: Values | None = None,
    *,
    shift: Mapping[str, float] | None = None,
    outcomes: Sequence[str] | None = None,
    level: float = LEVEL,
) -> Answers:
    """How means of outcomes would change; see `models.intervention.what_if`."""
    found = intervention.what_if(version.model, hold, shift=shift, outcomes=outcomes, level=level)
    return [_stood_behind(version, {*(hold or {}), *(shift or {})}, each) for each in found]


def counterfactual(
    version: CausalVersion,
    row: Values,
    hold: Values | None = None,
    *,
    shift: Mapping[str, float] | None = None,
    outcomes: Sequence[str] | None = None,
    level: float = LEVEL,
) -> Answers:
    """What outcomes of a row would have been; see `models.counterfactual.counterfactual`."""
    found = by_row.counterfactual(version.model, row, hold, shift=shift, outcomes=outcomes, level=level)
    return [_stood_behind(version, {*(hold or {}), *(shift or {})}, each) for each in found]


def _stood_behind(version: CausalVersion, changed: set[str], answer: Answer | NotIdentified) -> Answer | NotIdentified:
    """The answer, unless the graph leaves open that a change reaches the outcome where the model has no way."""
    graph, model = version.graph, version.model.graph
    if graph.kind != "pag" or isinstance(answer, NotIdentified):
        return answer
    owner = version.model.variables[version.model.columns.owner[version.model.column(answer.variable)]].name
    target = graph.index(owner)
    may, does = possible_ancestors(graph.marks), ancestors(model.directed)
    open_ends = [name for name in sorted(changed) if _only_perhaps(version, name, target, may, does)]
    if not open_ends:
        return answer
    named = ", ".join(open_ends)
    return NotIdentified(
        treatment=", ".join(sorted(changed)),
        outcome=answer.variable,
        reason="edge_unoriented",
        detail=f"the graph leaves open whether {named} causes {owner} or a hidden cause joins them",
        remedy="say which in the knowledge (required, forbidden), or randomise what is changed",
        blame=tuple(open_ends),
    )


def _only_perhaps(version: CausalVersion, name: str, target: int, may: Booleans, does: Booleans) -> bool:
    known = version.graph.names
    # A level of a discrete variable is set by the variable's name.
    place = known.index(name) if name in known else known.index(name.partition("=")[0])
    return bool(may[place, target] and not does[place, target])
