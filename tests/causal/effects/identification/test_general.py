"""Every formula gives the effect in binary models; where there is none, the hedge against it is one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.causal.effects.identification.adjustment import efficient_set
from cogorch_dagster.causal.effects.identification.admg import Admg
from cogorch_dagster.causal.effects.identification.formula import text
from cogorch_dagster.causal.effects.identification.frontdoor import front_door
from cogorch_dagster.causal.effects.identification.general import Hedge, identify_distribution
from tests.causal.effects.identification.exact import BinaryModel, evaluated, random_admg

LAW = settings(max_examples=120, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


def graph_of(arrows: str, hidden: str = "") -> Admg:
    """`ab bc` are the arrows a -> b and b -> c; names in order of appearance."""
    names = tuple(dict.fromkeys((arrows + hidden).replace(" ", "")))
    directed = np.zeros((len(names), len(names)), dtype=bool)
    bidirected = np.zeros_like(directed)
    for a, b in arrows.split():
        directed[names.index(a), names.index(b)] = True
    for a, b in hidden.split():
        bidirected[names.index(a), names.index(b)] = bidirected[names.index(b), names.index(a)] = True
    return Admg.of(names, directed, bidirected)


def require_exact(graph: Admg, treatments: int, outcome: int, found: object, rng: np.random.Generator) -> None:
    for _ in range(2):
        model = BinaryModel.of(graph, rng)
        value, truth = evaluated(found, model.joint()), model.intervened(treatments, outcome)  # type: ignore[arg-type]
        assert np.allclose(*np.broadcast_arrays(value, truth))


def require_hedge(graph: Admg, treatments: int, outcome: int, hedge: Hedge) -> None:
    """Shpitser and Pearl 2006, definition 6 and theorem 4: two forests over the same roots."""
    larger, smaller = hedge.larger, hedge.smaller
    assert smaller and smaller & larger == smaller
    assert larger & treatments and not smaller & treatments
    for part in (larger, smaller):
        assert graph.district(part & -part, part) == part
    assert graph.ancestors(smaller, larger) == larger
    assert graph.ancestors(outcome, ~treatments) & smaller == smaller


@LAW
@given(SEEDS, st.booleans())
def test_a_formula_is_exact_and_a_refusal_has_its_hedge(seed: int, several: bool) -> None:
    rng = np.random.default_rng(seed)
    graph = random_admg(rng, 5, 0.45, float(rng.choice([0.15, 0.3])))
    t, m, y = (1 << int(v) for v in rng.permutation(5)[:3])
    treatments = t | m if several else t
    found = identify_distribution(graph, treatments, y)
    if isinstance(found, Hedge):
        require_hedge(graph, treatments, y, found)
    else:
        require_exact(graph, treatments, y, found, rng)


@pytest.mark.parametrize(
    ("arrows", "hidden"),
    [
        ("ty", "ty"),
        ("tm my", "tm"),
        ("tm my ty", "ty"),
        ("zt ty", "ty"),
        ("ty zt zy", "tz zy ty"),
        ("tm my", "tm ty"),
        ("ta tb ay by", "ta ab"),
        ("tz zy", "tz zy"),
        ("zt ty", "tz zy"),
    ],
)
def test_graphs_known_not_to_identify(arrows: str, hidden: str) -> None:
    graph = graph_of(arrows, hidden)
    t, y = 1 << graph.names.index("t"), 1 << graph.names.index("y")
    found = identify_distribution(graph, t, y)
    assert isinstance(found, Hedge)
    require_hedge(graph, t, y, found)


@pytest.mark.parametrize(
    ("arrows", "hidden", "formula"),
    [
        ("ty", "", "P(y | t)"),
        ("zt zy ty", "", "sum_{z} P(y | z, t) P(z)"),
        ("tm my", "ty", "sum_{m} P(m | t) sum_{t'} P(y | t', m) P(t')"),
        ("ab bt ty", "at ay", "([sum_{a} P(y | a, b, t) P(t | a, b) P(a)] / [sum_{a} P(t | a, b) P(a)])"),
        ("yt", "", "P(y)"),
    ],
)
def test_known_formulas(arrows: str, hidden: str, formula: str) -> None:
    graph = graph_of(arrows, hidden)
    t, y = 1 << graph.names.index("t"), 1 << graph.names.index("y")
    found = identify_distribution(graph, t, y)
    assert not isinstance(found, Hedge)
    assert text(found, graph.names) == formula
    require_exact(graph, t, y, found, np.random.default_rng(0))


def test_a_graph_that_neither_adjustment_nor_front_door_identifies() -> None:
    graph = graph_of("ta ab by", "tb ay")
    t, y = graph.names.index("t"), graph.names.index("y")
    assert efficient_set(graph, 1 << t, 1 << y) is None
    assert front_door(graph, t, y) is None
    found = identify_distribution(graph, 1 << t, 1 << y)
    assert not isinstance(found, Hedge)
    require_exact(graph, 1 << t, 1 << y, found, np.random.default_rng(1))


def test_names_in_text_are_primed_where_they_would_mean_two_things() -> None:
    graph = graph_of("tm my", "ty")
    found = identify_distribution(graph, 1, 4)
    assert not isinstance(found, Hedge)
    assert text(found, ("replicas", "queue", "latency")) == (
        "sum_{queue} P(queue | replicas) sum_{replicas'} P(latency | replicas', queue) P(replicas')"
    )
