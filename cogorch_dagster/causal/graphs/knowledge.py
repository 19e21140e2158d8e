"""What is known of a graph before it is searched for: tiers, required and forbidden edges, suspected hidden causes.

Knowledge is given in YAML or follows from the roles of the variables; what contradicts itself is refused, not resolved.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cogorch_dagster.causal.graphs.graph import Booleans, Pair
from cogorch_dagster.causal.graphs.separation import ancestors
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies import lined_yaml
from cogorch_dagster.policies.schema import problems_of

Name = Annotated[str, Field(min_length=1, max_length=200)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    tiers: list[list[Name]] = []
    within: list[int] = []
    required: list[list[Name]] = []
    forbidden: list[list[Name]] = []
    latents: list[list[Name]] = []


@dataclass(frozen=True)
class Knowledge:
    """Background knowledge.

    Attributes:
        tiers: groups of variables in the order of their causes: no variable causes one of an earlier tier. A variable
            in no tier is free.
        within: places of tiers whose variables do not cause one another.
        required: (cause, effect) that are edges.
        forbidden: (cause, effect) that are not.
        latents: pairs {a, b} that are suspected of a hidden common cause.
    """

    tiers: tuple[tuple[str, ...], ...] = ()
    within: tuple[int, ...] = ()
    required: frozenset[Pair] = frozenset()
    forbidden: frozenset[Pair] = frozenset()
    latents: frozenset[frozenset[str]] = frozenset()

    @classmethod
    def read(cls, path: Path) -> Self:
        """The knowledge in a YAML file: `tiers`, `within`, `required`, `forbidden`, `latents`, each optional.

        Raises:
            InvalidInput: not such a file; one line `file:line: problem` for each problem.
        """
        document, lines = lined_yaml.load(path)
        try:
            found = _File.model_validate(document)
        except ValidationError as error:
            problems = [f"{path}:{lined_yaml.line(lines, place)}: {text}" for place, text in problems_of(error)]
            raise InvalidInput("\n".join(problems)) from error
        for what in ("required", "forbidden", "latents"):
            for place, names in enumerate(getattr(found, what)):
                if len(names) != 2 or names[0] == names[1]:
                    where = f"{path}:{lined_yaml.line(lines, (what, place))}"
                    raise InvalidInput(f"{where}: {what} has {names}; an entry is two different names [a, b]")
        return cls.of(found.model_dump())

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The knowledge of a `document`."""
        return cls(
            tiers=tuple(tuple(each) for each in document.get("tiers", ())),
            within=tuple(document.get("within", ())),
            required=frozenset((a, b) for a, b in document.get("required", ())),
            forbidden=frozenset((a, b) for a, b in document.get("forbidden", ())),
            latents=frozenset(frozenset(each) for each in document.get("latents", ())),
        )

    def document(self) -> dict[str, Any]:
        """Plain JSON, in one order whatever the order it was given in."""
        return {
            "tiers": [list(each) for each in self.tiers],
            "within": sorted(self.within),
            "required": sorted([list(each) for each in self.required]),
            "forbidden": sorted([list(each) for each in self.forbidden]),
            "latents": sorted(sorted(each) for each in self.latents),
        }

    def merged(self, other: "Knowledge") -> "Knowledge":
        """Both; the tiers of `other` replace these where it has any."""
        return Knowledge(
            tiers=other.tiers or self.tiers,
            within=other.within if other.tiers else self.within,
            required=self.required | other.required,
            forbidden=self.forbidden | other.forbidden,
            latents=self.latents | other.latents,
        )

    def among(self, names: Iterable[str]) -> "Knowledge":
        """What it says of these variables alone."""
        kept = set(names)
        return Knowledge(
            tiers=tuple(tuple(name for name in tier if name in kept) for tier in self.tiers),
            within=self.within,
            required=frozenset(each for each in self.required if kept.issuperset(each)),
            forbidden=frozenset(each for each in self.forbidden if kept.issuperset(each)),
            latents=frozenset(each for each in self.latents if kept.issuperset(each)),
        )

    def forbidden_matrix(self, names: Sequence[str]) -> Booleans:
        """(p, p); whether i -> j is forbidden, by itself, by the tiers, or because j -> i is required."""
        place = {name: number for number, name in enumerate(names)}
        tier = {name: number for number, members in enumerate(self.tiers) for name in members}
        at = np.array([tier.get(name, -1) for name in names])
        known = (at[:, None] >= 0) & (at[None, :] >= 0)
        closed = np.isin(at, self.within) & (at >= 0)
        matrix = known & ((at[:, None] > at[None, :]) | ((at[:, None] == at[None, :]) & closed[:, None]))
        for a, b in self.forbidden:
            if a in place and b in place:
                matrix[place[a], place[b]] = True
        matrix |= self.required_matrix(names).T
        np.fill_diagonal(matrix, True)
        return np.asarray(matrix)

    def required_matrix(self, names: Sequence[str]) -> Booleans:
        """(p, p); whether i -> j is required."""
        place = {name: number for number, name in enumerate(names)}
        matrix = np.zeros((len(names), len(names)), dtype=bool)
        for a, b in self.required:
            if a in place and b in place:
                matrix[place[a], place[b]] = True
        return matrix

    def latent_matrix(self, names: Sequence[str]) -> Booleans:
        """(p, p), symmetric; whether a hidden common cause of i and j is suspected."""
        place = {name: number for number, name in enumerate(names)}
        matrix = np.zeros((len(names), len(names)), dtype=bool)
        for a, b in map(sorted, self.latents):
            if a in place and b in place:
                matrix[place[a], place[b]] = matrix[place[b], place[a]] = True
        return matrix

    def check(self, names: Sequence[str]) -> None:
        """Hold the knowledge against itself and against the variables it will be used for.

        Raises:
            InvalidInput: a name that is no variable, a variable in two tiers, `within` of no tier, an edge that is
                required and forbidden, or required edges against the tiers or in a cycle.
        """
        self._check_names(names)
        tier = {name: number for number, members in enumerate(self.tiers) for name in members}
        for a, b in sorted(self.required):
            if (a, b) in self.forbidden:
                raise InvalidInput(f"the edge {a} -> {b} is both required and forbidden; take one of them out")
            if a in tier and b in tier and tier[a] > tier[b]:
                raise InvalidInput(
                    f"the edge {a} -> {b} is required, but {a} is in tier {tier[a]} and {b} in the earlier tier "
                    f"{tier[b]}; move one of them or take the edge out"
                )
            if a in tier and tier[a] == tier.get(b) and tier[a] in self.within:
                raise InvalidInput(
                    f"the edge {a} -> {b} is required, but both are in tier {tier[a]}, whose variables do not cause "
                    "one another; take the tier out of `within` or the edge out"
                )
        required = self.required_matrix(names)
        at = np.array([tier.get(name, -1) for name in names])
        earlier = (at[:, None] >= 0) & (at[:, None] < at[None, :])
        for order, problem in (
            (required, "form a cycle"),
            (required | earlier, "lead from a later tier to an earlier one"),
        ):
            against = required & ancestors(order).T
            if against.any():
                edges = ", ".join(f"{names[i]} -> {names[j]}" for i, j in np.argwhere(against))
                raise InvalidInput(f"the required edges {edges} {problem}; take one of them out")

    def _check_names(self, names: Sequence[str]) -> None:
        known = set(names)
        told = [name for members in self.tiers for name in members]
        twice = sorted({name for name in told if told.count(name) > 1})
        if twice:
            raise InvalidInput(f"in more than one tier: {', '.join(twice)}; give each variable one tier")
        pairs = [name for pair in (*self.required, *self.forbidden, *map(tuple, self.latents)) for name in pair]
        unknown = sorted({*told, *pairs} - known)
        if unknown:
            raise InvalidInput(f"knowledge names {', '.join(unknown)}; variables: {', '.join(names)}")
        strange = [each for each in self.within if not 0 <= each < len(self.tiers)]
        if strange:
            raise InvalidInput(f"`within` names tier {strange[0]}; tiers are numbered 0 to {len(self.tiers) - 1}")
