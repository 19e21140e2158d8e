"""What causes what, component by component: a version of the graph that never changes."""

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from assets.causal_dataset import causal_dataset
from assets.presentation import picture, shown, table
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.causal.versions.building import Built
    from cogorch_dagster.causal.versions.version import CausalVersion

VERSION_COLUMNS = {
    "component": "whose",
    "outcome": "new, the same as before, or why there is none",
    "version": "digest",
    "rows": "buckets of time",
    "effective_rows": "independent rows that they are worth",
    "edges": "in the graph",
    "undirected": "edges whose direction the data do not tell",
    "algorithm": "that found it",
    "against_the_one_before": "which edges differ",
}
EDGE_COLUMNS = {
    "edge": "cause and effect",
    "joined": "probability of an edge, from the bootstrap",
    "this_way": "probability of this direction",
    "standardised": "standard deviations of the effect for one of the cause",
    "coefficient": "units of the effect for one unit of the cause",
    "unit": "of the coefficient",
}
CHANGE_COLUMNS = {
    "component": "whose",
    "before": "edge in the version before",
    "after": "edge in this one",
    "probability_before": "that the two are joined",
    "probability_after": "that the two are joined",
    "sure": "the bootstrap of one version excludes the other",
}
SHOWN = 6


class GraphConfig(dg.Config):
    """How to search."""

    components: list[str] = Field(default=[], description="Whose graphs; empty: every component with a data set.")
    algorithm: str = Field(default="auto", description="auto, boss, pc, fci or guided_fci.")
    resamples: int = Field(default=200, ge=1, le=100_000, description="Of the bootstrap of the edges.")
    knowledge: str = Field(
        default="", description="Path of a YAML file with tiers and edges; empty: what the latest version was given."
    )
    seed: int = Field(default=0, ge=0, le=2**62, description="Of everything random.")


@dg.asset(deps=[causal_dataset], group_name="causes", kinds={"python", "postgres"}, owners=["team:learning"])
def causal_graph(
    context: dg.AssetExecutionContext, config: GraphConfig, cogorch: CogorchResource
) -> dg.MaterializeResult[None]:
    """For every component the graph of causes, with the probability of each edge and a model that answers questions.

    Found by a search over orders of the variables that respects what is known of them, and by its bootstrap. A version
    holds graph, knowledge, data and settings, and never changes; it is compared with the one before.
    """
    from pathlib import Path

    from cogorch_dagster.causal.discovery.settings import DiscoverySettings
    from cogorch_dagster.causal.graphs.knowledge import Knowledge
    from cogorch_dagster.causal.versions import datasets
    from cogorch_dagster.causal.versions.building import build_and_keep, given_before, known_of
    from cogorch_dagster.errors import InvalidInput, Refused
    from cogorch_dagster.platform.database import transaction

    settings = cogorch.settings
    given = Knowledge.read(Path(config.knowledge)) if config.knowledge else None
    how = DiscoverySettings(algorithm=config.algorithm, resamples=config.resamples)  # type: ignore[arg-type]
    with transaction(settings) as connection:
        kept = [each for each in datasets.latest(connection) if each.of_component]
    stored = [each for each in kept if not config.components or each.scope in config.components]
    rows: list[dict[str, object]] = []
    found: list[Built] = []
    for number, each in enumerate(stored, start=1):
        context.log.info(f"{number} of {len(stored)}: {each.scope}")
        try:
            dataset = datasets.load(settings, each.digest)
            with transaction(settings) as connection:
                known = given_before(connection, each.scope) if given is None else known_of(given, [dataset])[0]
            built = build_and_keep(
                settings, dataset, knowledge=known, discovery=how, seed=config.seed, run_id=context.run_id
            )
        except (InvalidInput, Refused) as refusal:
            context.log.warning(f"{each.scope}: {refusal}")
            rows.append({"component": each.scope, "outcome": str(refusal)})
            continue
        found.append(built)
        rows.append(_row(built))
    outcome = f"{sum(each.added for each in found)} new versions, {len(found)} graphs"
    metadata: dict[str, dg.MetadataValue] = {
        "outcome": dg.MetadataValue.text(outcome if stored else "no component has a data set"),
        "versions": table(rows, VERSION_COLUMNS, limit=200),
        "changes": table([row for each in found for row in _changes(each)], CHANGE_COLUMNS, limit=100),
    }
    for built in found[:SHOWN]:
        scope = built.version.scope
        metadata[f"graph_of_{scope}"] = picture(built.version.picture(), f"what causes what in {scope}")
        metadata[f"edges_of_{scope}"] = table(_edges(built.version), EDGE_COLUMNS, limit=100)
    return dg.MaterializeResult(metadata=metadata)


def _row(built: "Built") -> dict[str, object]:
    version, graph = built.version, built.version.graph
    return {
        "component": version.scope,
        "outcome": "new" if built.added else "the same as before",
        "version": version.digest,
        "rows": version.rows,
        "effective_rows": round(version.effective_rows),
        "edges": len(graph.edges()),
        "undirected": int(graph.undirected.sum()) // 2,
        "algorithm": version.algorithm,
        "against_the_one_before": built.comparison.verdict if built.comparison else "the first",
    }


def _changes(built: "Built") -> list[dict[str, object]]:
    return [change_row(built.version.scope, each) for each in (built.comparison.changes if built.comparison else ())]


def change_row(scope: str, change: object) -> dict[str, object]:
    return {name: value for name, value in {**vars(change), "component": scope}.items() if name in CHANGE_COLUMNS}


def _edges(version: "CausalVersion") -> list[dict[str, object]]:
    from cogorch_dagster.causal.versions.edges import edges

    return [
        {
            "edge": each.text,
            "joined": shown(each.joined, 3),
            "this_way": shown(each.this_way, 3),
            "standardised": shown(each.standardised, 3),
            "coefficient": shown(each.coefficient),
            "unit": each.unit,
        }
        for each in edges(version)
    ]
