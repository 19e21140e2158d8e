"""All mixed graphs of four variables, grouped by the separations that they have, and the PAG of each group."""

from collections import defaultdict
from functools import cache
from itertools import combinations, permutations, product

import numpy as np

from cogorch_dagster.causal.effects.identification.admg import Admg, bits
from cogorch_dagster.causal.graphs.graph import Graph, Mark
from tests.causal.effects.identification.exact import subsets

COUNT = 4
PAIRS = list(combinations(range(COUNT), 2))
QUESTIONS = [(x, y, z) for x, y in PAIRS for z in subsets((1 << COUNT) - 1 & ~(1 << x | 1 << y))]
Code = tuple[int, ...]


def graph_of(code: Code) -> Admg:
    """For each pair (a, b): 0 nothing, 1 a -> b, 2 a <-> b, 3 both, 4 b -> a, 5 b -> a and a <-> b."""
    directed = np.zeros((COUNT, COUNT), dtype=bool)
    bidirected = np.zeros_like(directed)
    for (a, b), each in zip(PAIRS, code, strict=True):
        directed[a, b] = each in (1, 3)
        directed[b, a] = each in (4, 5)
        bidirected[a, b] = bidirected[b, a] = each in (2, 3, 5)
    return Admg.of(tuple("abcd"), directed, bidirected)


def permuted(code: Code, order: tuple[int, ...]) -> Code:
    """The code of the graph whose variable `order[v]` is what v was."""
    turned = {0: 0, 1: 4, 2: 2, 3: 5, 4: 1, 5: 3}
    of_pair = {}
    for (a, b), each in zip(PAIRS, code, strict=True):
        i, j = order[a], order[b]
        of_pair[min(i, j), max(i, j)] = each if i < j else turned[each]
    return tuple(of_pair[pair] for pair in PAIRS)


@cache
def groups() -> dict[tuple[bool, ...], list[Code]]:
    """Every acyclic mixed graph, by its separations."""
    place = {question: number for number, question in enumerate(QUESTIONS)}
    found: dict[tuple[bool, ...], set[Code]] = defaultdict(set)
    moves = []
    for order in permutations(range(COUNT)):
        move = [0] * len(QUESTIONS)
        for (x, y, z), number in place.items():
            i, j = sorted((order[x], order[y]))
            move[place[i, j, sum(1 << order[v] for v in bits(z))]] = number
        moves.append((order, move))
    for code in product((0, 1, 2, 3), repeat=len(PAIRS)):
        graph = graph_of(code)
        apart = [graph.separated(1 << x, 1 << y, z) for x, y, z in QUESTIONS]
        for order, move in moves:
            found[tuple(apart[number] for number in move)].add(permuted(code, order))
    return {key: sorted(codes) for key, codes in sorted(found.items())}


def pag_of(codes: list[Code]) -> Graph:
    """What the maximal ancestral graphs of a group have in common (Zhang 2008)."""
    marks = None
    for code in codes:
        graph = graph_of(code)
        if not _is_mag(graph):
            continue
        mine = _marks(graph)
        marks = mine if marks is None else np.where(marks == mine, marks, Mark.CIRCLE).astype(np.int8)
    assert marks is not None
    return Graph(tuple("abcd"), marks, "pag")


def _is_mag(graph: Admg) -> bool:
    for a in range(COUNT):
        if graph.spouses[a] & (graph.ancestors(1 << a) | graph.descendants(1 << a)):
            return False
    for a, b in PAIRS:
        adjacent = (graph.parents[b] | graph.spouses[b] | graph.children[b]) >> a & 1
        rest = (1 << COUNT) - 1 & ~(1 << a | 1 << b)
        if not adjacent and not any(graph.separated(1 << a, 1 << b, z) for z in subsets(rest)):
            return False
    return True


def _marks(graph: Admg) -> np.ndarray:
    marks = np.zeros((COUNT, COUNT), dtype=np.int8)
    for v in range(COUNT):
        for parent in bits(graph.parents[v]):
            marks[parent, v], marks[v, parent] = Mark.ARROW, Mark.TAIL
        for other in bits(graph.spouses[v]):
            marks[other, v] = Mark.ARROW
    return marks
