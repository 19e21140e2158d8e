"""Sets of allowed variables that separate two sets, minimal ones among them.

After van der Zander, Liskiewicz and Textor (2019): separators lie in the ancestors of the two sets, where m-separation
is ordinary separation in the augmented graph. What is not allowed is taken out of it by joining its neighbours.
"""

from collections.abc import Iterator

from cogorch_dagster.causal.effects.identification.admg import Admg, Set, bits, union


def largest_separator(graph: Admg, first: Set, second: Set, allowed: Set, given: Set = 0) -> Set | None:
    """All allowed ancestors of the two sets and of `given`: a separator together with `given` if there is any."""
    found = graph.ancestors(first | second | given) & allowed & ~(first | second | given)
    return found if graph.separated(first, second, found | given) else None


def minimal_separators(graph: Admg, first: Set, second: Set, allowed: Set, given: Set = 0) -> Iterator[Set]:
    """Each minimal separator once, the one next to `second` first (Shen and Liang 1997); none where there is none.

    Each separates together with `given`. There may be exponentially many; take as many as are needed.
    """
    around = _undirected(graph, first, second, allowed, given)
    a, b = second.bit_length() - 1, first.bit_length() - 1
    a, b = _contracted(around, a, second), _contracted(around, b, first)
    if around[a] >> b & 1:
        return
    start = _far_side(around, 1 << a, b)
    seen, queue = {start}, [start]
    while queue:
        separator = queue.pop(0)
        yield separator
        near = _component(around, 1 << a, separator)
        for each in bits(separator):
            if around[each] >> b & 1:
                continue
            further = _far_side(around, near | 1 << each, b)
            if further not in seen:
                seen.add(further)
                queue.append(further)


def _undirected(graph: Admg, first: Set, second: Set, allowed: Set, given: Set) -> list[Set]:
    """Neighbours of each variable in the augmented graph of the ancestors, without `given`, over allowed variables."""
    within = graph.ancestors(first | second | given)
    around = [0] * len(graph.names)
    for part in graph.districts(within):
        clique = (part | union(graph.parents, part)) & ~given
        for each in bits(clique):
            around[each] |= clique
    ends = first | second
    for gone in bits(within & ~(allowed | ends | given)):
        left = around[gone] & ~(1 << gone)
        for each in bits(left):
            around[each] = (around[each] | left) & ~(1 << gone)
        around[gone] = 0
    return [each & ~(1 << place) for place, each in enumerate(around)]


def _contracted(around: list[Set], into: int, members: Set) -> int:
    """Makes one vertex of several."""
    for each in bits(members & ~(1 << into)):
        around[into] |= around[each]
        for other in bits(around[each]):
            around[other] = (around[other] | 1 << into) & ~(1 << each)
        around[each] = 0
    around[into] &= ~members
    return into


def _component(around: list[Set], start: Set, without: Set) -> Set:
    found = todo = start
    while todo:
        low = todo & -todo
        more = around[low.bit_length() - 1] & ~found & ~without
        found |= more
        todo = (todo ^ low) | more
    return found


def _far_side(around: list[Set], near: Set, b: int) -> Set:
    """The neighbours of the component of b that is left without `near` and its neighbours."""
    border = 0
    for each in bits(near):
        border |= around[each]
    far = _component(around, 1 << b, border & ~near)
    found = 0
    for each in bits(far):
        found |= around[each]
    return found & ~far
