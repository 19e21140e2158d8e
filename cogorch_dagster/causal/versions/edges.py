"""The edges of a version as a person reads them: how sure, which way, how strong."""

from dataclasses import dataclass

from cogorch_dagster.causal.versions.version import CausalVersion


@dataclass(frozen=True)
class EdgeView:
    """One edge.

    Attributes:
        text: such as `load -> latency`.
        joined, this_way: probabilities from the bootstrap: of an edge, and of the direction that the graph has, None
            where it has none.
        coefficient: units of the effect for one unit of the cause; None without a direction or where one has levels.
        standardised: the same in standard deviations.
        unit: of the coefficient.
    """

    text: str
    joined: float
    this_way: float | None
    coefficient: float | None
    standardised: float | None
    unit: str


def edges(version: CausalVersion) -> list[EdgeView]:
    """Every edge, the surest first."""
    strengths, found = version.strengths, []
    for edge in version.graph.edges():
        i, j = version.graph.index(edge.a), version.graph.index(edge.b)
        numeric = all(len(version.model.columns.of_variable(name)) == 1 for name in (edge.a, edge.b))
        told = bool(version.graph.directed[i, j]) and numeric
        found.append(
            EdgeView(
                text=edge.text,
                joined=float(version.probabilities.adjacent[i, j]),
                this_way=float(version.probabilities.directed[i, j]) if version.graph.directed[i, j] else None,
                coefficient=version.model.coefficient(edge.a, edge.b) if told else None,
                standardised=float(strengths[i, j]) if told else None,
                unit=_per(version.unit(edge.b), version.unit(edge.a)) if told else "",
            )
        )
    return sorted(found, key=lambda each: (-each.joined, each.text))


def _per(effect: str, cause: str) -> str:
    return f"{effect or '1'} per {cause or '1'}" if effect or cause else ""
