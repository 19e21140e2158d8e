"""Score-guided FCI: from the class that a score-based search found to one in which causes may be hidden.

As in GFCI (Ogarrio, Spirtes and Ramsey 2016) the search begins with that class, takes out edges that hidden causes
made it put in, and ends with the rules of FCI. But what GFCI decides by tests, one at a time, is decided here by the
BIC of the whole ancestral graph (Triantafillou and Tsamardinos 2016; Claassen and Bucur 2022): where paths nearly
cancel, tests lose edges that the score keeps.
"""

import numpy as np

from cogorch_dagster.causal.data.sufficient import SufficientStatistics
from cogorch_dagster.causal.discovery.independence import first_columns
from cogorch_dagster.causal.discovery.pag import mag_of, pag_of
from cogorch_dagster.causal.graphs.equivalence import consistent_extension, marks_of
from cogorch_dagster.causal.graphs.graph import Booleans, Graph
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.errors import InvalidInput

PENALTY = 1.0
PATIENCE = 12
HURDLE = 2.0
"""What counts as positive evidence for another graph, in units of the BIC (Kass and Raftery 1995)."""


def guided_fci(
    statistics: SufficientStatistics,
    start: Graph,
    *,
    knowledge: Knowledge | None = None,
    penalty: float = PENALTY,
    patience: int = PATIENCE,
    selection: bool = False,
) -> Graph:
    """The partial ancestral graph of `ancestral_graph`, of the same arguments; a valid one, whatever the data.

    Args:
        selection: whether the rows may have been selected by effects of the variables (R5 to R7).
    """
    found = ancestral_graph(statistics, start, knowledge=knowledge, penalty=penalty, patience=patience)
    return pag_of(found, knowledge, selection=selection)


def ancestral_graph(
    statistics: SufficientStatistics,
    start: Graph,
    *,
    knowledge: Knowledge | None = None,
    penalty: float = PENALTY,
    patience: int = PATIENCE,
) -> Graph:
    """The maximal ancestral graph with the best BIC that was met: directed edges, and <-> for hidden common causes.

    Only pairs that `start` joins may be joined, and those that knowledge forbids both ways or suspects of a hidden
    cause. From a member of `start`, the best change of one edge, or of a shielded triple into a collider, is made to a
    graph not met before, until `patience` changes in a row were for nothing. One that is better by at least 2 replaces
    the best so far.

    Args:
        start: a cpdag (or a dag) over the variables of `statistics`.
        penalty: times the penalty of the BIC, above 0.
        patience: at least 1.

    Raises:
        InvalidInput: `start` has other variables, no member, or edges against knowledge; an argument is out of
            its range; the knowledge contradicts itself.
    """
    from cogorch_dagster.causal.discovery.kernels.constraint_ancestral import climb

    names = statistics.variables
    knowledge = knowledge or Knowledge()
    knowledge.check(names)
    member = _member(start, names, knowledge)
    if penalty <= 0.0 or patience < 1:
        raise InvalidInput(f"penalty {penalty} must be above 0 and patience {patience} at least 1")
    # Any numbers would do; these are the same in every run.
    numbers = np.random.default_rng(0).integers(0, 2**64, size=(len(names), len(names), 4), dtype=np.uint64)
    rows = statistics.effective_rows
    marks = climb(
        statistics.correlation,
        first_columns(statistics),
        marks_of(member),
        _permitted(member, knowledge, names),
        rows,
        penalty * float(np.log(rows)),
        patience,
        HURDLE,
        numbers,
    )
    return mag_of(Graph(names, marks, "admg"))


def _member(start: Graph, names: tuple[str, ...], knowledge: Knowledge) -> Booleans:
    if start.names != names:
        raise InvalidInput("the start has other variables than the statistics, or in another order; give it the same")
    member = consistent_extension(start.marks) if start.kind in {"dag", "cpdag"} else None
    if member is None:
        raise InvalidInput(f"the start, a {start.kind}, has no directed acyclic member; give one that a score found")
    for strange, what in (
        (member & knowledge.forbidden_matrix(names), "has {} -> {}, which knowledge forbids"),
        (knowledge.required_matrix(names) & ~member, "lacks {} -> {}, which knowledge requires"),
    ):
        for i, j in np.argwhere(strange)[:1]:
            raise InvalidInput(f"the start {what.format(names[i], names[j])}; search it with the same knowledge")
    return member


def _permitted(member: Booleans, knowledge: Knowledge, names: tuple[str, ...]) -> Booleans:
    """(p, p, 4); whether a pair i < j may have no edge, i -> j, i <- j, i <-> j."""
    forbidden, required = knowledge.forbidden_matrix(names), knowledge.required_matrix(names)
    free = member | member.T | (forbidden & forbidden.T) | knowledge.latent_matrix(names)
    np.fill_diagonal(free, False)
    permitted = np.stack([free, free & ~forbidden, free & ~forbidden.T, free], axis=2)
    permitted[required | required.T] = False
    permitted[required, 1] = True
    permitted[required.T, 2] = True
    return np.asarray(permitted)
