"""Acyclic directed mixed graphs for identification: a pair may have an arrow and a hidden common cause at once.

Sets of variables are Python integers, bit i for variable i: the searches here are many small set operations, for which
that is faster than arrays. Paths that are told to people are in `paths`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from cogorch_dagster.causal.graphs.graph import Booleans

Set = int


def bits(members: Set) -> Iterator[int]:
    """The members in ascending order."""
    while members:
        low = members & -members
        yield low.bit_length() - 1
        members ^= low


def union(sets: tuple[Set, ...], members: Set) -> Set:
    found = 0
    for each in bits(members):
        found |= sets[each]
    return found


def closure(sets: tuple[Set, ...], start: Set, within: Set) -> Set:
    """What can be reached in `within` from its members of `start`, by steps from a variable to those of its set."""
    found = todo = start & within
    while todo:
        low = todo & -todo
        more = sets[low.bit_length() - 1] & within & ~found
        found |= more
        todo = (todo ^ low) | more
    return found


@dataclass(frozen=True)
class Admg:
    """A mixed graph over measured variables.

    Attributes:
        names: of the p variables.
        parents: of each variable, those with an arrow to it.
        spouses: of each variable, those with which it has a hidden common cause.
        hidden: the names of the hidden causes of a pair (smaller, larger), where they have names.
    """

    names: tuple[str, ...]
    parents: tuple[Set, ...]
    spouses: tuple[Set, ...]
    hidden: Mapping[tuple[int, int], frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, names: tuple[str, ...], directed: Booleans, bidirected: Booleans) -> "Admg":
        """The graph of two (p, p) matrices; `directed[i, j]` is i -> j, `bidirected` symmetric."""
        parents, spouses = [0] * len(names), [0] * len(names)
        for i, j in np.argwhere(directed):
            parents[j] |= 1 << int(i)
        for i, j in np.argwhere(bidirected):
            spouses[j] |= 1 << int(i)
        return cls(names, tuple(parents), tuple(spouses))

    @cached_property
    def everything(self) -> Set:
        return (1 << len(self.names)) - 1

    @cached_property
    def children(self) -> tuple[Set, ...]:
        found = [0] * len(self.names)
        for child, parents in enumerate(self.parents):
            for parent in bits(parents):
                found[parent] |= 1 << child
        return tuple(found)

    def named(self, members: Set) -> tuple[str, ...]:
        return tuple(self.names[each] for each in bits(members))

    def ancestors(self, members: Set, within: Set = -1) -> Set:
        """The members and what has a directed path to one, in the subgraph of `within`."""
        return closure(self.parents, members, within)

    def descendants(self, members: Set, within: Set = -1) -> Set:
        return closure(self.children, members, within)

    def district(self, members: Set, within: Set = -1) -> Set:
        """The members and what is joined to one by hidden common causes alone."""
        return closure(self.spouses, members, within)

    def districts(self, within: Set) -> list[Set]:
        """The parts of `within` that hidden common causes join (c-components)."""
        found = []
        while within:
            part = self.district(within & -within, within)
            found.append(part)
            within &= ~part
        return found

    def order(self) -> list[int]:
        """Causes before effects; the smallest first where the graph leaves it open."""
        left, found = self.everything, []
        while left:
            first = next((each for each in bits(left) if not self.parents[each] & left), None)
            if first is None:
                raise ValueError("the graph has a directed cycle")
            found.append(first)
            left &= ~(1 << first)
        return found

    def without_arrows(self, out_of: Set = 0, into: Set = 0) -> "Admg":
        """Without arrows out of the first and without any arrowhead at the second (hidden common causes as well)."""
        parents = tuple(0 if into >> v & 1 else each & ~out_of for v, each in enumerate(self.parents))
        if not into:
            return replace(self, parents=parents)
        spouses = tuple(0 if into >> v & 1 else each & ~into for v, each in enumerate(self.spouses))
        return replace(self, parents=parents, spouses=spouses)

    def without_edges(self, cause: int, effects: Set) -> "Admg":
        """Without the arrows from the cause to these effects."""
        parents = tuple(each & ~(1 << cause) if effects >> v & 1 else each for v, each in enumerate(self.parents))
        return replace(self, parents=parents)

    def reached(self, start: Set, given: Set) -> Set:
        """Variables outside `given` that are m-connected to one of `start` given it (Richardson 2003), start included.

        By search over (variable, entered at an arrowhead or not), as in Koller and Friedman 2009, algorithm 3.1.
        """
        opened = self.ancestors(given)
        heads = union(self.children, start) | union(self.spouses, start)
        tails = union(self.parents, start)
        new_heads, new_tails = heads, tails
        while new_heads or new_tails:
            upward = (new_tails & ~given) | (new_heads & opened)
            downward = (new_tails | new_heads) & ~given
            across = upward
            more_tails = union(self.parents, upward)
            more_heads = union(self.children, downward) | union(self.spouses, across)
            new_heads, new_tails = more_heads & ~heads, more_tails & ~tails
            heads |= new_heads
            tails |= new_tails
        return (heads | tails | start) & ~given

    def separated(self, first: Set, second: Set, given: Set = 0) -> bool:
        """Whether `given` m-separates two sets that share nothing with it."""
        return not self.reached(first, given) & second


def projected(graph: Admg, unobserved: Set) -> Admg:
    """The graph over the measured variables: the latent projection (Verma 1993; Richardson et al. 2023, def. 7)."""
    parents, children = list(graph.parents), list(graph.children)
    spouses, hidden = list(graph.spouses), dict(graph.hidden)
    for gone in bits(unobserved):
        bit = 1 << gone
        below = children[gone]
        for child in bits(below):
            parents[child] = (parents[child] | parents[gone]) & ~bit
            for other in bits((below | spouses[gone]) & ~(1 << child)):
                spouses[child] |= 1 << other
                spouses[other] |= 1 << child
                pair = (min(child, other), max(child, other))
                further = hidden.get((min(gone, other), max(gone, other)), frozenset())
                hidden[pair] = hidden.get(pair, frozenset()) | (further if spouses[gone] >> other & 1 else frozenset())
                if below >> other & 1:
                    hidden[pair] |= {graph.names[gone]}
        for parent in bits(parents[gone]):
            children[parent] = (children[parent] | below) & ~bit
        for other in bits(spouses[gone]):
            spouses[other] &= ~bit
        parents[gone] = children[gone] = spouses[gone] = 0
    kept = [each for each in range(len(graph.names)) if not unobserved >> each & 1]
    return _among(Admg(graph.names, tuple(parents), tuple(spouses), hidden), kept)


def _among(graph: Admg, kept: list[int]) -> Admg:
    place = {old: new for new, old in enumerate(kept)}
    hidden = {
        (place[a], place[b]): names for (a, b), names in graph.hidden.items() if a in place and b in place and names
    }
    return Admg(
        tuple(graph.names[each] for each in kept),
        tuple(_renumbered(graph.parents[each], place) for each in kept),
        tuple(_renumbered(graph.spouses[each], place) for each in kept),
        hidden,
    )


def _renumbered(members: Set, place: Mapping[int, int]) -> Set:
    return as_set(place[each] for each in bits(members) if each in place)


def as_set(members: Iterable[int]) -> Set:
    found = 0
    for each in members:
        found |= 1 << each
    return found
