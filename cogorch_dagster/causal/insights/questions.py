"""Which effects of a version are worth an estimate: of what can be set or is given, on what counts."""

from cogorch_dagster.causal.graphs.separation import possible_ancestors
from cogorch_dagster.causal.insights.direction import better_of
from cogorch_dagster.causal.versions.version import CausalVersion

_ORDER = {"policy": 0, "state": 1, "context": 2, "outcome": 3}


def questions(version: CausalVersion) -> list[tuple[str, str]]:
    """(cause, outcome) with a path that may be directed, what can be set first.

    Outcomes are those of which it is known what is better; causes are no outcomes themselves.
    """
    graph = version.graph
    reach = possible_ancestors(graph.marks)
    outcomes = [each.name for each in version.variables if better_of(each.name) is not None and each.role == "outcome"]
    causes = sorted(
        (each for each in version.variables if each.role != "outcome" and len(each.levels) <= 2),
        key=lambda each: (_ORDER[each.role], graph.index(each.name)),
    )
    return [
        (cause.name, outcome)
        for cause in causes
        for outcome in outcomes
        if cause.name != outcome and reach[graph.index(cause.name), graph.index(outcome)]
    ]
