"""From a data set to a version: discovery, the structural model of what was found, and both kept at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sqlalchemy as sa

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.data.tiers import default_knowledge
from cogorch_dagster.causal.discovery.discover import Discovery, discover
from cogorch_dagster.causal.discovery.settings import DiscoverySettings
from cogorch_dagster.causal.graphs.equivalence import marks_of
from cogorch_dagster.causal.graphs.graph import Graph, Mark
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.causal.graphs.separation import is_acyclic, topological_order
from cogorch_dagster.causal.models.fitting import fit_model
from cogorch_dagster.causal.models.structural_model import StructuralModel
from cogorch_dagster.causal.versions import datasets, store
from cogorch_dagster.causal.versions.comparison import Comparison, compared
from cogorch_dagster.causal.versions.rows import width_s
from cogorch_dagster.causal.versions.ties import Tie, ties
from cogorch_dagster.causal.versions.version import CausalVersion
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.platform.threads import on_one_thread
from cogorch_dagster.policies.document import as_document
from cogorch_dagster.settings import Settings

PREFERRED = ("reward", "latency_ms")
MOST_VARIABLES = 200
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Built:
    """A version that is kept, whether it is new, and how it differs from the version before it, if there is one."""

    version: CausalVersion
    added: bool
    comparison: Comparison | None


@on_one_thread("scipy.linalg")
def build(
    dataset: CausalDataset,
    *,
    knowledge: Knowledge | None = None,
    settings: DiscoverySettings | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> CausalVersion:
    """Find the graph of a data set and fit its model; the same inputs give the same version, to the bit.

    Args:
        knowledge: added to what follows from the roles of the variables; its tiers replace those.
        progress: called with resamples done and in all.

    Raises:
        InvalidInput: contradictory knowledge, too few rows, too few variables that vary, or more than 200.
    """
    _check_width(dataset)
    settings = _preferring(settings or DiscoverySettings())
    known = default_knowledge(dataset)
    if knowledge is not None:
        known = known.merged(knowledge)
    found = discover(dataset, knowledge=known, settings=settings, seed=seed, progress=progress)
    kept = known.among(found.graph.names)
    model, tied = _model(dataset, found, kept, seed)
    return CausalVersion(
        scope=dataset.scope,
        dataset=dataset.digest,
        since=dataset.since,
        until=dataset.until,
        rows=dataset.rows,
        effective_rows=found.effective_rows,
        variables=tuple(dataset.variables[dataset.index(name)] for name in found.graph.names),
        set_aside=found.set_aside,
        graph=found.graph,
        knowledge=kept,
        given=knowledge,
        width_s=None if dataset.since is None else width_s(dataset),
        tied=tied,
        algorithm=found.algorithm,
        settings=settings.document(),
        score=found.score,
        probabilities=found.probabilities,
        notes=found.notes,
        seed=seed,
        model=model,
    )


def build_and_keep(
    settings: Settings,
    dataset: CausalDataset,
    *,
    knowledge: Knowledge | None = None,
    discovery: DiscoverySettings | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    run_id: str | None = None,
) -> Built:
    """Build a version and keep it with its data set; doing so again changes nothing, and searches for nothing.

    Raises:
        InvalidInput: as `build`.
    """
    with transaction(settings) as connection:
        latest = store.latest(connection, dataset.scope)
    how = _preferring(discovery or DiscoverySettings())
    if latest is not None and _is_of(latest, dataset, knowledge, how, seed):
        version = latest
    else:
        version = build(dataset, knowledge=knowledge, settings=how, seed=seed, progress=progress)
    with transaction(settings) as connection:
        datasets.keep(settings, connection, dataset)
        added = store.save(connection, version, run_id)
        earlier = store.before(connection, version.digest)
    return Built(version, added, None if earlier is None else compared(earlier, version))


def _is_of(
    version: CausalVersion, dataset: CausalDataset, knowledge: Knowledge | None, how: DiscoverySettings, seed: int
) -> bool:
    """Whether searching would give this version again."""
    same = version.dataset == dataset.digest and version.seed == seed and version.given == knowledge
    return same and version.settings == as_document(how.document())


def _check_width(dataset: CausalDataset) -> None:
    if len(dataset.variables) > MOST_VARIABLES:
        raise InvalidInput(
            f"{dataset.scope!r} has {len(dataset.variables)} variables; a graph of more than {MOST_VARIABLES} takes "
            "many minutes and is read by nobody: leave columns out"
        )


def given_before(connection: sa.Connection, scope: str) -> Knowledge | None:
    """The knowledge that the latest version of a scope was given, for one that is found without somebody there."""
    latest = store.latest(connection, scope)
    return None if latest is None else latest.given


def _preferring(settings: DiscoverySettings) -> DiscoverySettings:
    """What counts stays a variable where it follows exactly from others, as a reward may from its parts."""
    if settings.preparation.prefer:
        return settings
    return replace(settings, preparation=replace(settings.preparation, prefer=PREFERRED))


def known_of(knowledge: Knowledge | None, data: Sequence[CausalDataset]) -> list[Knowledge | None]:
    """What is known of each of several data sets, where the knowledge is of all of them together.

    Raises:
        InvalidInput: a variable that none of them has, or contradictory knowledge.
    """
    if knowledge is None:
        return [None] * len(data)
    named = [(*each.names, *(aside.name for aside in each.set_aside)) for each in data]
    knowledge.check(sorted({name for names in named for name in names}))
    return [knowledge.among(names) for names in named]


def _model(
    dataset: CausalDataset, found: Discovery, knowledge: Knowledge, seed: int
) -> tuple[StructuralModel, tuple[Tie, ...]]:
    """The model of what was found, and which of its variables are set together."""
    suspected = {tuple(sorted(pair)) for pair in knowledge.latents}
    graph, data = found.graph, dataset.only(found.graph.names)
    if graph.kind == "pag":
        graph, doubted = _settled(found)
        return fit_model(graph, data, latents=sorted(suspected | doubted), seed=seed), ()
    model = fit_model(graph, data, latents=sorted(suspected), seed=seed)
    columns = [model.columns.of_variable(name) for name in graph.names]
    tied = ties(graph, knowledge, columns, model.support.covariance, found.effective_rows)
    if not tied:
        return model, ()
    return fit_model(graph, data, latents=sorted({*suspected, *tied}), seed=seed), tied


def _settled(found: Discovery) -> tuple[Graph, set[tuple[str, ...]]]:
    """A graph that a model can be fitted to, and the pairs whose edge may be a hidden common cause as well.

    An edge with a circle at its cause stands for a cause, a hidden common cause, or both: it becomes a cause that is in
    doubt, in the direction of the graph that the search found without hidden causes.
    """
    names, pag, order = found.graph.names, found.graph.marks, topological_order(found.dag.directed)
    rank = np.argsort(order)
    doubted = {_pair(names, i, j) for i, j in np.argwhere(pag == Mark.CIRCLE)}
    hidden = found.graph.bidirected
    earlier = rank[:, None] < rank[None, :]
    # A tail at i and an arrowhead at j say i -> j; a circle leaves it to the order.
    forward = found.graph.skeleton & ~hidden
    forward &= (pag.T != Mark.ARROW) & ((pag == Mark.ARROW) | earlier)
    if not is_acyclic(forward):
        # Tests and score contradict each other somewhere; the order decides, and nothing is beyond doubt.
        forward = found.graph.skeleton & ~hidden & earlier
        doubted |= {_pair(names, i, j) for i, j in np.argwhere(forward)}
    marks = marks_of(forward)
    marks[hidden] = Mark.ARROW
    return Graph(names, marks, "admg"), doubted


def _pair(names: tuple[str, ...], i: int, j: int) -> tuple[str, ...]:
    return tuple(sorted((names[i], names[j])))
