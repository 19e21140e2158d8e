"""The answer where only a class of graphs is known: one for all of them, a range, or why there is none."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from cogorch_dagster.causal.effects.identification import estimands, mixed, mpdag
from cogorch_dagster.causal.effects.identification.admg import Admg, bits
from cogorch_dagster.causal.effects.identification.estimands import Question
from cogorch_dagster.causal.effects.identification.pag import PagQuestion, adjustment_in_pag
from cogorch_dagster.causal.effects.identification.partial import PossibleCauses
from cogorch_dagster.causal.effects.identification.paths import open_path
from cogorch_dagster.causal.effects.query import Answer, Effect, Estimand, IdentifiedRange, NotIdentified, Reason
from cogorch_dagster.causal.graphs.equivalence import marks_of
from cogorch_dagster.causal.graphs.graph import Booleans, Graph
from cogorch_dagster.errors import InvalidInput

_NO_MEMBER = "no directed acyclic graph has these edges and colliders; give a class that has a member"


def total_in_mpdag(graph: Graph, treatment: str, outcome: str) -> Answer:
    """The total effect in a CPDAG or MPDAG, all of whose variables are measured.

    Raises:
        InvalidInput: the class has no member.
    """
    t, y = graph.index(treatment), graph.index(outcome)
    if not PossibleCauses.of(graph).descendants(1 << t) >> y & 1:
        return estimands.zero(_question(graph, graph.directed, t, y))
    deciding = mpdag.deciding_edges(graph, t, y)
    if not deciding:
        directed = mpdag.member(graph)
        found = [] if directed is None else [directed]
    elif int(graph.undirected[t].sum()) > mpdag.MOST_NEIGHBOURS:
        return _too_many(graph, treatment, outcome, "total")
    else:
        found = list(mpdag.local_members(graph, t))
    if not found:
        raise InvalidInput(_NO_MEMBER)
    answers = [mixed.answer(_question(graph, each, t, y), 0, ("backdoor",)) for each in found]
    return _joined(answers, tuple(f"{treatment} -- {graph.names[each]}" for each in deciding))


def in_members(
    graph: Graph,
    treatment: str,
    outcome: str,
    effect: Effect,
    needed: Iterable[str],
    ask: Callable[[Graph], Estimand | NotIdentified],
) -> Answer:
    """Any question, asked of each member of the class, without what causes none of the variables it needs.

    Raises:
        InvalidInput: the class has no member.
    """
    wanted = 0
    for each in {treatment, outcome, *needed}:
        wanted |= 1 << graph.index(each)
    part = mpdag.relevant(graph, wanted)
    found = mpdag.members(part)
    if found is None:
        return _too_many(graph, treatment, outcome, effect)
    if not found:
        raise InvalidInput(_NO_MEMBER)
    answers = [ask(Graph(part.names, marks_of(each), "dag")) for each in found]
    return _joined(answers, _undirected(part))


def total_in_pag(graph: Graph, treatment: str, outcome: str) -> Estimand | NotIdentified:
    """The total effect in a PAG, by adjustment alone: other formulas are not searched for (Jaber et al. 2022)."""
    t, y = graph.index(treatment), graph.index(outcome)
    if graph.undirected.any():
        i, j = (graph.names[each] for each in divmod(int(graph.undirected.argmax()), len(graph.names)))
        raise InvalidInput(
            f"the edge {i} -- {j} of the PAG stands for selection, which is not told of here; name the "
            "variables in `selected` of a graph without such edges"
        )
    question = PagQuestion.of(graph, t, y)
    whole = Question(question.graph, t, y)
    if not question.causal >> y & 1:
        return estimands.zero(whole)
    found = adjustment_in_pag(question, t, y)
    if found is not None:
        return estimands.backdoor(whole, *found)
    if question.unclear:
        return _edge_unclear(graph, question, treatment, outcome)
    most = question.graph.ancestors(1 << t | 1 << y) & question.allowed
    path = open_path(question.graph, t, 1 << y, most) or f"{treatment} ... {outcome}"
    detail = f"the path {path} is open whatever is adjusted for, in a graph that the data allow"
    remedy = f"measure the common cause on that path, or randomise {treatment}"
    return NotIdentified(treatment, outcome, "hidden_confounder", detail, remedy, False, (path,))


def _edge_unclear(graph: Graph, question: PagQuestion, treatment: str, outcome: str) -> NotIdentified:
    names = {graph.names[each] for each in bits(question.unclear)}
    edges = [
        each
        for each in graph.edges()
        if (each.a == treatment and each.b in names) or (each.b == treatment and each.a in names)
    ]
    told = ", ".join(each.text for each in edges)
    oriented = all(graph.directed[graph.index(treatment), each] for each in bits(question.unclear))
    if oriented:
        why = f"a hidden common cause of both ends of {told} is not ruled out"
        help_ = f"measure what may cause both, a cause of {treatment} alone, or randomise {treatment}"
    else:
        why = f"the direction of {told} is open, and so is a hidden common cause"
        help_ = f"know whether {treatment} acts on {', '.join(sorted(names))}, or randomise {treatment}"
    detail = f"{treatment} may cause {outcome} through {', '.join(sorted(names))}, but {why}"
    reason: Reason = "hidden_confounder" if oriented else "edge_unoriented"
    return NotIdentified(treatment, outcome, reason, detail, help_, False, tuple(each.text for each in edges))


def _joined(answers: Sequence[Estimand | NotIdentified], edges: tuple[str, ...]) -> Answer:
    refused = [each for each in answers if isinstance(each, NotIdentified)]
    if refused:
        first = refused[0]
        if len(answers) == 1:
            return first
        detail = f"in {len(refused)} of {len(answers)} graphs of the class {first.detail}"
        return replace(first, detail=detail, proven=False)
    found = [each for each in answers if isinstance(each, Estimand)]
    shared = _shared_adjustment(found)
    if shared is not None:
        return shared
    different = tuple({each.formula: each for each in found}.values())
    if len(different) == 1:
        return different[0]
    first_answer = different[0]
    told = ", ".join(edges)
    detail = (
        f"the direction of {told} is not known, and the effect depends on it: it is one of {len(different)} values; "
        f"knowing the direction of {'one of these edges' if len(edges) > 1 else 'the edge'} narrows them"
    )
    return IdentifiedRange(first_answer.treatment, first_answer.outcome, different, edges, detail, first_answer.effect)


def _shared_adjustment(found: list[Estimand]) -> Estimand | None:
    """An answer by a set that is valid in every graph, where one is known."""
    if any(each.kind != "backdoor" for each in found):
        return None
    known = [dict.fromkeys((each.adjustment, *each.alternatives)) for each in found]
    shared = [each for each in known[0] if all(each in other for other in known[1:])]
    return estimands.adjusted(found[0], shared[0], tuple(shared[1:])) if shared else None


def _too_many(graph: Graph, treatment: str, outcome: str, effect: Effect) -> NotIdentified:
    told = _undirected(graph)
    detail = f"{len(told)} edges have no direction ({', '.join(told[:5])}, ...): too many graphs to ask each"
    remedy = f"give the direction of some of them as knowledge, or randomise {treatment}"
    return NotIdentified(treatment, outcome, "too_many_graphs", detail, remedy, False, told, effect)


def _undirected(graph: Graph) -> tuple[str, ...]:
    return tuple(f"{graph.names[i]} -- {graph.names[j]}" for i, j in np.argwhere(np.triu(graph.undirected)))


def _question(graph: Graph, directed: Booleans, t: int, y: int) -> Question:
    return Question(Admg.of(graph.names, directed, directed & False), t, y)
