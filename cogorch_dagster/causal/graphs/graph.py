"""A graph of causes: variables, and at each end of an edge a mark.

One matrix serves directed acyclic graphs, their equivalence classes, and graphs with hidden common causes. What
follows from a graph is in `equivalence` and `separation`, what two graphs have in common in `comparison`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies.document import digest

Marks = NDArray[np.int8]
Booleans = NDArray[np.bool_]
Kind = Literal["dag", "cpdag", "admg", "pag"]
Pair = tuple[str, str]


class Mark(IntEnum):
    """What stands at one end of an edge."""

    NONE = 0
    CIRCLE = 1
    ARROW = 2
    TAIL = 3


_LEFT = {Mark.CIRCLE: "o", Mark.ARROW: "<", Mark.TAIL: ""}
_RIGHT = {Mark.CIRCLE: "o", Mark.ARROW: ">", Mark.TAIL: ""}


@dataclass(frozen=True)
class Edge:
    """An edge as it is read: `text` is such as `load -> latency`, `a <-> b`, `a o-> b`, `a -- b`."""

    a: str
    b: str
    at_a: Mark
    at_b: Mark

    @property
    def text(self) -> str:
        ends = {self.at_a, self.at_b}
        line = "-" if Mark.ARROW in ends or ends == {Mark.CIRCLE} else "--"
        return f"{self.a} {_LEFT[self.at_a]}{line}{_RIGHT[self.at_b]} {self.b}"


@dataclass(frozen=True, eq=False)
class Graph:
    """Variables and the marks of their edges; equal when both are.

    Attributes:
        names: p variables.
        marks: (p, p); `marks[i, j]` is the mark at j of the edge between i and j, 0 both ways where there is none.
        kind: dag; cpdag, an equivalence class, also with knowledge added (MPDAG); admg, with hidden common causes as
            bidirected edges; pag, an equivalence class of those.

    Raises:
        InvalidInput: names twice, marks of another shape, or marks that the kind does not have.
    """

    names: tuple[str, ...]
    marks: Marks
    kind: Kind

    def __post_init__(self) -> None:
        marks = np.array(self.marks, dtype=np.int8)
        count = len(self.names)
        if len(set(self.names)) != count:
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            raise InvalidInput(f"a graph names {', '.join(twice)} twice; give each variable a name of its own")
        if marks.shape != (count, count):
            raise InvalidInput(f"marks of shape {marks.shape} for {count} variables; give ({count}, {count})")
        if self.kind not in get_args(Kind):
            raise InvalidInput(f"a graph is no {self.kind!r}; kinds: {', '.join(get_args(Kind))}")
        if (
            marks.diagonal().any()
            or ((marks > 0) != (marks.T > 0)).any()
            or marks.min(initial=0) < 0
            or marks.max(initial=0) > 3
        ):
            raise InvalidInput("marks need 0 on the diagonal, 0 to 3 elsewhere, and a mark at both ends of each edge")
        marks.setflags(write=False)
        object.__setattr__(self, "marks", marks)
        self._require_marks_of_kind()

    def _require_marks_of_kind(self) -> None:
        tails = (self.marks == Mark.TAIL) & (self.marks.T == Mark.TAIL)
        double = (self.marks == Mark.ARROW) & (self.marks.T == Mark.ARROW)
        foreign = {
            "dag": tails | double | (self.marks == Mark.CIRCLE),
            "cpdag": double | (self.marks == Mark.CIRCLE),
            "admg": tails | (self.marks == Mark.CIRCLE),
            "pag": np.zeros_like(tails),
        }[self.kind]
        if foreign.any():
            i, j = np.argwhere(foreign)[0]
            raise InvalidInput(f"a {self.kind} cannot have the edge {self._edge(int(i), int(j)).text}")

    @classmethod
    def from_edges(
        cls,
        names: Iterable[str],
        directed: Iterable[Pair] = (),
        *,
        undirected: Iterable[Pair] = (),
        bidirected: Iterable[Pair] = (),
        kind: Kind = "dag",
    ) -> Self:
        """A graph of these edges; of a pair only one may be given.

        Raises:
            InvalidInput: an edge that names no variable, or a pair with two edges.
        """
        names = tuple(names)
        place = {name: number for number, name in enumerate(names)}
        marks = np.zeros((len(names), len(names)), dtype=np.int8)
        ends = (
            (directed, Mark.TAIL, Mark.ARROW),
            (undirected, Mark.TAIL, Mark.TAIL),
            (bidirected, Mark.ARROW, Mark.ARROW),
        )
        for pairs, at_first, at_second in ends:
            for a, b in pairs:
                if a not in place or b not in place:
                    raise InvalidInput(f"the edge between {a} and {b} names no variable of: {', '.join(names)}")
                i, j = place[a], place[b]
                if marks[i, j] or i == j:
                    raise InvalidInput(f"more than one edge between {a} and {b}; give one, or bidirected with kind pag")
                marks[j, i], marks[i, j] = at_first, at_second
        return cls(names, marks, kind)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The graph of a `document`."""
        names = tuple(document["names"])
        marks = np.zeros((len(names), len(names)), dtype=np.int8)
        for i, j, at_i, at_j in document["edges"]:
            marks[j, i], marks[i, j] = at_i, at_j
        return cls(names, marks, document["kind"])

    def document(self) -> dict[str, Any]:
        """Plain JSON: names, kind, and (i, j, mark at i, mark at j) of each edge."""
        found = [[int(i), int(j), int(self.marks[j, i]), int(self.marks[i, j])] for i, j in self._pairs()]
        return {"names": list(self.names), "kind": self.kind, "edges": found}

    @cached_property
    def digest(self) -> str:
        """`sha256:` and 64 hexadecimal digits of the document."""
        return digest(self.document())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def index(self, name: str) -> int:
        """Where a variable stands.

        Raises:
            InvalidInput: there is none of this name.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise InvalidInput(f"no variable is named {name!r}; variables: {', '.join(self.names)}") from None

    @cached_property
    def directed(self) -> Booleans:
        """(p, p); whether i -> j."""
        return np.asarray((self.marks == Mark.ARROW) & (self.marks.T == Mark.TAIL))

    @cached_property
    def undirected(self) -> Booleans:
        """(p, p), symmetric; whether i -- j."""
        return np.asarray((self.marks == Mark.TAIL) & (self.marks.T == Mark.TAIL))

    @cached_property
    def bidirected(self) -> Booleans:
        """(p, p), symmetric; whether i <-> j."""
        return np.asarray((self.marks == Mark.ARROW) & (self.marks.T == Mark.ARROW))

    @cached_property
    def skeleton(self) -> Booleans:
        """(p, p), symmetric; whether there is an edge of any sort."""
        return np.asarray(self.marks > 0)

    def adjacent(self, a: str, b: str) -> bool:
        return bool(self.marks[self.index(a), self.index(b)])

    def parents(self, name: str) -> tuple[str, ...]:
        """Each variable with an arrow to this one, in order."""
        return self._named(self.directed[:, self.index(name)])

    def children(self, name: str) -> tuple[str, ...]:
        return self._named(self.directed[self.index(name)])

    def neighbours(self, name: str) -> tuple[str, ...]:
        """Each variable with an undirected edge to this one."""
        return self._named(self.undirected[self.index(name)])

    def spouses(self, name: str) -> tuple[str, ...]:
        """Each variable with a bidirected edge to this one."""
        return self._named(self.bidirected[self.index(name)])

    def edges(self) -> tuple[Edge, ...]:
        """Every edge once; a directed one from its cause on, others in the order of the variables."""
        return tuple(self._edge(int(i), int(j)) for i, j in self._pairs())

    def _pairs(self) -> list[tuple[int, int]]:
        found = [(int(i), int(j)) for i, j in np.argwhere(np.triu(self.skeleton))]
        return [
            (j, i) if self.marks[i, j] != Mark.ARROW and self.marks[j, i] == Mark.ARROW else (i, j) for i, j in found
        ]

    def _edge(self, i: int, j: int) -> Edge:
        return Edge(self.names[i], self.names[j], Mark(int(self.marks[j, i])), Mark(int(self.marks[i, j])))

    def _named(self, mask: Booleans) -> tuple[str, ...]:
        return tuple(self.names[place] for place in np.flatnonzero(mask))
