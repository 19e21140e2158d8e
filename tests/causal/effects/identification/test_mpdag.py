"""In a class of graphs the answers are those of all its members, each asked by itself."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.effects.identification import mpdag
from cogorch_dagster.causal.effects.identification.adjustment import Adjustment
from cogorch_dagster.causal.effects.identification.admg import Admg
from cogorch_dagster.causal.effects.identification.identify import identify
from cogorch_dagster.causal.effects.query import Estimand, IdentifiedRange, NotIdentified
from cogorch_dagster.causal.graphs.equivalence import cpdag
from cogorch_dagster.causal.graphs.graph import Booleans, Graph
from cogorch_dagster.causal.graphs.separation import is_acyclic
from cogorch_dagster.errors import InvalidInput
from tests.causal.effects.identification.exact import LinearModel, linear_value, random_admg, slope

LAW = settings(max_examples=60, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


def arrows_of(graph: Admg) -> Booleans:
    count = len(graph.names)
    return np.array([[bool(graph.parents[j] >> i & 1) for j in range(count)] for i in range(count)])


def class_of(rng: np.random.Generator, count: int, known: bool) -> tuple[Admg, Graph]:
    """A graph and its class, with some true directions added as knowledge where asked."""
    dag = random_admg(rng, count, 0.45, 0.0)
    directed = arrows_of(dag)
    required = directed & (rng.random(directed.shape) < 0.25) if known else None
    return dag, Graph(dag.names, cpdag(directed, required), "cpdag")


def colliders(directed: Booleans) -> set[tuple[int, int, int]]:
    count, joined = len(directed), directed | directed.T
    return {
        (a, b, c)
        for a in range(count)
        for c in range(a)
        for b in range(count)
        if directed[a, b] and directed[c, b] and not joined[a, c]
    }


def every_member(graph: Graph, dag: Admg) -> list[Booleans]:
    """By trying each direction of each edge."""
    pairs = np.argwhere(np.triu(graph.undirected))
    wanted = colliders(arrows_of(dag))
    found = []
    for signs in product((False, True), repeat=len(pairs)):
        directed = graph.directed.copy()
        for (i, j), sign in zip(pairs, signs, strict=True):
            directed[(i, j) if sign else (j, i)] = True
        if is_acyclic(directed) and colliders(directed) == wanted:
            found.append(directed)
    return found


@LAW
@given(SEEDS, st.booleans())
def test_members_are_all_graphs_of_the_class(seed: int, known: bool) -> None:
    dag, graph = class_of(np.random.default_rng(seed), 5, known)
    found = mpdag.members(graph)
    assert found is not None
    assert len(found) == len({each.tobytes() for each in found})
    assert {each.tobytes() for each in found} == {each.tobytes() for each in every_member(graph, dag)}


@LAW
@given(SEEDS, st.booleans())
def test_the_range_is_of_the_effects_in_all_members(seed: int, known: bool) -> None:
    """The covariance of one member is that of a model in each; there the parents of the treatment are adjusted for."""
    rng = np.random.default_rng(seed)
    dag, graph = class_of(rng, 5, known)
    t, y = (int(v) for v in rng.permutation(5)[:2])
    covariance = LinearModel.of(dag, rng).covariance
    truths = set()
    for each in every_member(graph, dag):
        parents = np.flatnonzero(each[:, t]).tolist()
        truths.add(0.0 if y in parents else round(float(slope(covariance, y, [t, *parents])[0]), 7) + 0.0)
    found = identify(graph, dag.names[t], dag.names[y])
    assert isinstance(found, Estimand | IdentifiedRange)
    estimands = found.estimands if isinstance(found, IdentifiedRange) else (found,)
    values = {round(linear_value(each, dag.names, covariance), 7) + 0.0 for each in estimands}
    assert len(values) == len(truths)
    assert sorted(values) == pytest.approx(sorted(truths), abs=1e-6)
    assert isinstance(found, IdentifiedRange) == (len(truths) > 1)


@LAW
@given(SEEDS, st.booleans())
def test_a_single_answer_and_its_alternatives_are_valid_in_all_members(seed: int, known: bool) -> None:
    rng = np.random.default_rng(seed)
    dag, graph = class_of(rng, 6, known)
    t, y = (int(v) for v in rng.permutation(6)[:2])
    found = identify(graph, dag.names[t], dag.names[y])
    if isinstance(found, Estimand) and found.kind == "backdoor":
        for each in every_member(graph, dag):
            question = Adjustment.of(Admg.of(dag.names, each, each & False), 1 << t, 1 << y)
            for names in (found.adjustment, *found.alternatives):
                assert question.valid(sum(1 << dag.names.index(name) for name in names))


def test_hidden_variables_that_cause_neither_end_leave_the_answer() -> None:
    names = ("t", "y", *(f"v{k}" for k in range(8)))
    many = [(a, b) for k, a in enumerate(names[2:]) for b in names[3 + k :]]
    graph = Graph.from_edges(names, [("t", "y")], undirected=many, kind="cpdag")
    found = identify(graph, "t", "y", unobserved=["v0"], latents=[("v1", "v2"), ("v3", "y")])
    assert isinstance(found, Estimand)
    assert found == identify(graph, "t", "y")


@LAW
@given(SEEDS)
def test_an_answer_by_members_is_right_in_the_true_graph(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dag, graph = class_of(rng, 5, known=False)
    t, y = (int(v) for v in rng.permutation(5)[:2])
    model = LinearModel.of(dag, rng)
    for effect in ("direct", "indirect"):
        found = identify(graph, dag.names[t], dag.names[y], effect=effect)  # type: ignore[arg-type]
        direct = model.past(t, y, [v for v in range(5) if v not in (t, y)])
        truth = direct if effect == "direct" else model.total(t, y) - direct
        assert isinstance(found, Estimand | IdentifiedRange)
        estimands = found.estimands if isinstance(found, IdentifiedRange) else (found,)
        # All that mediates is a mediator: the direct effect is that of the arrow itself.
        assert min(abs(linear_value(each, dag.names, model.covariance) - truth) for each in estimands) < 1e-7


def test_a_chain_of_unknown_direction_has_a_range_and_knowledge_ends_it() -> None:
    chain = Graph.from_edges("abc", undirected=[("a", "b"), ("b", "c")], kind="cpdag")
    found = identify(chain, "a", "c")
    assert isinstance(found, IdentifiedRange)
    assert [each.kind for each in found.estimands] == ["backdoor", "zero"]
    assert found.edges == ("a -- b",)
    assert "a -- b" in found.detail
    known = Graph.from_edges("abc", [("a", "b"), ("b", "c")], kind="cpdag")
    assert isinstance(identify(known, "a", "c"), Estimand)


def test_an_outcome_that_cannot_be_an_effect_is_not_affected() -> None:
    graph = Graph.from_edges("abcd", [("a", "c"), ("b", "c"), ("c", "d")], kind="cpdag")
    found = identify(graph, "d", "a")
    assert isinstance(found, Estimand)
    assert found.kind == "zero"


def test_a_class_of_too_many_graphs_is_refused_by_name() -> None:
    names = [f"v{k}" for k in range(13)]
    star = Graph.from_edges(names, undirected=[("v0", name) for name in names[1:]], kind="cpdag")
    found = identify(star, "v0", "v1")
    assert isinstance(found, NotIdentified)
    assert found.reason == "too_many_graphs"
    assert "v0 -- v1" in found.blame
    complete = [(a, b) for k, a in enumerate(names[:7]) for b in names[k + 1 : 7]]
    whole = Graph.from_edges(names[:7], undirected=complete, kind="cpdag")
    found = identify(whole, "v0", "v1", effect="direct")
    assert isinstance(found, NotIdentified)
    assert found.reason == "too_many_graphs"


def test_edges_that_no_graph_has_are_an_error() -> None:
    square = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
    graph = Graph.from_edges("abcd", undirected=square, kind="cpdag")
    with pytest.raises(InvalidInput, match="no directed acyclic graph"):
        identify(graph, "a", "c")
    with pytest.raises(InvalidInput, match="no directed acyclic graph"):
        identify(graph, "a", "c", effect="direct")
