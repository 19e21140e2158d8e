"""Whether a version's graph can be one: acyclic, within what was known, its model of the same graph."""

import numpy as np

from cogorch_dagster.causal.graphs.graph import Mark
from cogorch_dagster.causal.graphs.separation import is_acyclic
from cogorch_dagster.causal.versions.version import CausalVersion


def problems(version: CausalVersion) -> list[str]:
    """What is wrong, in sentences; empty for a sound version."""
    graph, known = version.graph, version.knowledge
    found = [] if is_acyclic(graph.directed) else ["the graph has a directed cycle"]
    forbidden = known.forbidden_matrix(graph.names)
    for i, j in np.argwhere(graph.directed & forbidden):
        found.append(f"{graph.names[i]} -> {graph.names[j]} is forbidden")
    required = known.required_matrix(graph.names) & ~graph.directed
    # With hidden causes allowed for, an edge may be left with a circle at its cause.
    for i, j in np.argwhere(required & (graph.marks != Mark.ARROW)):
        found.append(f"{graph.names[i]} -> {graph.names[j]} is required and missing")
    if version.model.graph.names != graph.names:
        found.append("the model has other variables than the graph")
    return found
