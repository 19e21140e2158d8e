"""In every PAG of four variables an answer holds in all graphs it stands for, and a refusal leaves no valid set."""

import numpy as np
import pytest

from cogorch_dagster.causal.effects.identification.adjustment import Adjustment
from cogorch_dagster.causal.effects.identification.admg import Admg
from cogorch_dagster.causal.effects.identification.identify import identify
from cogorch_dagster.causal.effects.identification.pag import a_mag, visible
from cogorch_dagster.causal.effects.query import Estimand, NotIdentified
from cogorch_dagster.causal.graphs.graph import Graph, Mark
from cogorch_dagster.errors import InvalidInput
from tests.causal.effects.identification import classes
from tests.causal.effects.identification.exact import subsets


def valid_in_all(graphs: list[Admg], t: int, y: int, z: int) -> bool:
    return all(Adjustment.of(graph, 1 << t, 1 << y).valid(z) for graph in graphs)


def test_answers_are_those_of_all_graphs_with_hidden_causes() -> None:
    found = classes.groups()
    assert sum(len(codes) for codes in found.values()) > 30_000
    adjusted = 0
    # Groups differ by names only in the most cases: every third has each shape.
    for codes in list(found.values())[::3]:
        graph = classes.pag_of(codes)
        graphs = [classes.graph_of(code) for code in codes]
        for t in range(classes.COUNT):
            for y in set(range(classes.COUNT)) - {t}:
                answer = identify(graph, "abcd"[t], "abcd"[y])
                never = not any(each.descendants(1 << t) >> y & 1 for each in graphs)
                assert never == (isinstance(answer, Estimand) and answer.kind == "zero")
                if never:
                    continue
                if isinstance(answer, Estimand):
                    adjusted += 1
                    for names in (answer.adjustment, *answer.alternatives):
                        assert valid_in_all(graphs, t, y, sum(1 << "abcd".index(name) for name in names))
                else:
                    rest = 15 & ~(1 << t | 1 << y)
                    assert not any(valid_in_all(graphs, t, y, z) for z in subsets(rest))
    assert adjusted >= 15


def pag(edges: str, names: str = "abcdty") -> Graph:
    """`a o-> t, t --> y`: the marks at both ends."""
    marks = np.zeros((len(names), len(names)), dtype=np.int8)
    drawing = {"o": Mark.CIRCLE, "<": Mark.ARROW, ">": Mark.ARROW, "-": Mark.TAIL}
    for each in edges.split(", "):
        a, drawn, b = each.split()
        i, j = names.index(a), names.index(b)
        marks[j, i], marks[i, j] = drawing[drawn[0]], drawing[drawn[-1]]
    return Graph(tuple(names), marks, "pag")


def test_an_arrow_is_visible_with_a_cause_of_its_tail_that_is_apart_from_its_head() -> None:
    graph = pag("a o-> t, b o-> t, t --> y")
    assert visible(graph, 4, 5)
    answer = identify(graph, "t", "y")
    assert isinstance(answer, Estimand)
    assert (answer.kind, answer.adjustment) == ("backdoor", ())
    # Over colliders that are parents of the head: c o-> a <-> t, with a -> y.
    assert visible(pag("c o-> a, a <-> t, a --> y, t --> y"), 4, 5)
    assert not visible(pag("a o-> t, a --> y, t --> y"), 4, 5)
    assert not visible(pag("t o-> y"), 4, 5)


def test_an_unoriented_edge_and_an_invisible_arrow_are_named() -> None:
    answer = identify(pag("t o-> y, a o-> y"), "t", "y")
    assert isinstance(answer, NotIdentified)
    assert (answer.reason, answer.blame) == ("edge_unoriented", ("t o-> y",))
    assert "t o-> y" in answer.detail
    assert "randomise t" in answer.remedy
    answer = identify(pag("t --> y, a o-> y"), "t", "y")
    assert isinstance(answer, NotIdentified)
    assert (answer.reason, answer.blame) == ("hidden_confounder", ("t -> y",))


def test_a_mag_has_no_circles_and_no_new_collider() -> None:
    mag = a_mag(pag("a o-o b, b o-o c, c o-> t, d o-> t"))
    assert [mag.named(each) for each in mag.parents][4] == ("c", "d")
    assert sum(each.bit_count() for each in mag.parents) == 4
    assert mag.parents[1].bit_count() <= 1


def test_what_a_pag_has_no_criterion_for_is_refused() -> None:
    graph = pag("a o-> t, b o-> t, t --> y")
    with pytest.raises(InvalidInput, match="of the direct effect"):
        identify(graph, "t", "y", effect="direct")
    with pytest.raises(InvalidInput, match="with selected"):
        identify(graph, "t", "y", selected=["a"])
    with pytest.raises(InvalidInput, match="stands for selection"):
        identify(pag("a --- t, t --> y"), "t", "y")
