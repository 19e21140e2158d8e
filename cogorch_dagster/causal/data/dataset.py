"""The data set of a causal question: named variables with unit, role and tier, and one row for each unit of time.

It knows nothing of where it came from (`reading`, `reading_file`) nor of what is done to it (`preparation`).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from cogorch_dagster.errors import InvalidInput

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MOST = 1e100
"""The largest value, of either sign."""

Role = Literal["context", "policy", "state", "outcome"]
Kind = Literal["continuous", "discrete"]


@dataclass(frozen=True)
class Variable:
    """One column of a data set.

    Attributes:
        unit: of its values, "" for a number without one.
        role: what acts (policy), what is given (context), what lies between (state), what comes out (outcome).
        tier: 0 and up; a variable is never a cause of one in a lower tier.
        levels: of a discrete variable, by code 0 .. k-1; () for a continuous one.

    Raises:
        InvalidInput: no name, an unknown role or kind, a negative tier, or levels that do not fit the kind.
    """

    name: str
    unit: str = ""
    role: Role = "context"
    tier: int = 0
    kind: Kind = "continuous"
    levels: tuple[str, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise InvalidInput("a variable needs a name")
        for what, value, known in (("role", self.role, Role), ("kind", self.kind, Kind)):
            if value not in get_args(known):
                raise InvalidInput(f"{what} {value!r} of {self.name!r} must be one of {', '.join(get_args(known))}")
        if self.tier < 0:
            raise InvalidInput(f"tier {self.tier} of {self.name!r} must not be negative")
        if (self.kind == "discrete") != bool(self.levels) or len(set(self.levels)) != len(self.levels):
            raise InvalidInput(f"{self.name!r} is {self.kind}: a discrete variable, no other, lists distinct levels")

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The variable of a `document`."""
        return cls(**{**document, "levels": tuple(document["levels"])})

    def document(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "name": self.name,
            "unit": self.unit,
            "role": self.role,
            "tier": self.tier,
            "kind": self.kind,
            "levels": list(self.levels),
            "description": self.description,
        }


@dataclass(frozen=True)
class SetAside:
    """A column that is no variable of the data set, and why."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class CausalDataset:
    """Rows of p variables, in order of time within each group.

    Attributes:
        scope: the component or the file.
        values: (rows, p) float64; NaN is missing; a discrete variable holds its codes 0 .. k-1.
        groups: (rows,) rows of one group lie together and follow each other in time.
        times: (rows,) seconds since 1970 of the beginning of the row's bucket, or the row's number.
        since, until: the period, None for a file.
        inputs: digest of what was read.
        set_aside: columns that reading or preparation left out.

    Raises:
        InvalidInput: no variables, a name twice, shapes that do not fit, infinite values or some beyond 1e100, codes
            outside the levels, a group in several pieces.
    """

    scope: str
    variables: tuple[Variable, ...]
    values: Floats
    groups: Integers
    times: Integers
    since: datetime | None = None
    until: datetime | None = None
    inputs: str = ""
    set_aside: tuple[SetAside, ...] = field(default=())

    def __post_init__(self) -> None:
        for name, kind in (("values", np.float64), ("groups", np.int64), ("times", np.int64)):
            held = np.array(getattr(self, name), dtype=kind)
            held.setflags(write=False)
            object.__setattr__(self, name, held)
        _check_shapes(self)
        _check_values(self)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(variable.name for variable in self.variables)

    @property
    def rows(self) -> int:
        return len(self.values)

    def index(self, name: str) -> int:
        """Position of a variable.

        Raises:
            InvalidInput: there is none of this name.
        """
        if name in self.names:
            return self.names.index(name)
        aside = next((f"it was set aside: {each.reason}" for each in self.set_aside if each.name == name), None)
        raise InvalidInput(f"{self.scope!r} has no variable {name!r}; {aside or 'it has ' + ', '.join(self.names)}")

    def column(self, name: str) -> Floats:
        """(rows,) of one variable, read only.

        Raises:
            InvalidInput: there is none of this name.
        """
        held: Floats = self.values[:, self.index(name)]
        return held

    def where(self, rows: Bools | Integers) -> "CausalDataset":
        """The same variables of some rows, by a mask or by numbers in ascending order."""
        return replace(self, values=self.values[rows], groups=self.groups[rows], times=self.times[rows])

    def only(self, names: tuple[str, ...], set_aside: tuple[SetAside, ...] = ()) -> "CausalDataset":
        """The same rows of these variables; `set_aside` is added to what was set aside before."""
        at = [self.index(name) for name in names]
        return replace(
            self,
            variables=tuple(self.variables[k] for k in at),
            values=self.values[:, at],
            set_aside=(*self.set_aside, *set_aside),
        )

    @cached_property
    def digest(self) -> str:
        """`sha256:` and 64 hexadecimal digits over scope, variables, values, groups and times."""
        found = hashlib.sha256()
        head = {"scope": self.scope, "variables": [variable.document() for variable in self.variables]}
        found.update(json.dumps(head, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
        # One pattern of bits for missing, and no negative zero.
        values = np.where(np.isnan(self.values), np.nan, self.values + 0.0)
        found.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
        found.update(self.groups.astype("<i8").tobytes())
        found.update(self.times.astype("<i8").tobytes())
        return f"sha256:{found.hexdigest()}"


def _check_shapes(data: CausalDataset) -> None:
    if not data.variables:
        raise InvalidInput(f"{data.scope!r} has no variables")
    twice = [name for name, count in Counter(v.name for v in data.variables).items() if count > 1]
    if twice:
        raise InvalidInput(f"{data.scope!r} has variables of the same name: {', '.join(twice)}; rename them")
    if data.values.ndim != 2 or data.values.shape[1] != len(data.variables):
        raise InvalidInput(f"values are {data.values.shape}, they must be (rows, {len(data.variables)})")
    for name in ("groups", "times"):
        if getattr(data, name).shape != (len(data.values),):
            raise InvalidInput(f"{name} are {getattr(data, name).shape}, they must be ({len(data.values)},)")
    starts = data.groups[np.flatnonzero(np.diff(data.groups, prepend=data.groups[:1] - 1))]
    if len(np.unique(starts)) != len(starts):
        raise InvalidInput(f"a group of {data.scope!r} is in several pieces; order the rows by group and time")


def _check_values(data: CausalDataset) -> None:
    if np.isinf(data.values).any():
        row, column = (int(k) for k in np.argwhere(np.isinf(data.values))[0])
        raise InvalidInput(f"row {row} of {data.variables[column].name!r} is infinite; leave it empty or correct it")
    # Their squares are summed.
    huge = np.abs(data.values) > MOST
    if huge.any():
        row, column = (int(k) for k in np.argwhere(huge)[0])
        what = f"row {row} of {data.variables[column].name!r} is {data.values[row, column]:.3g}"
        raise InvalidInput(f"{what}, beyond {MOST:g}; take another unit or leave it empty")
    for place, variable in enumerate(data.variables):
        if variable.kind == "discrete":
            codes = data.values[~np.isnan(data.values[:, place]), place]
            wrong = codes[(codes != np.round(codes)) | (codes < 0) | (codes >= len(variable.levels))]
            if len(wrong):
                raise InvalidInput(
                    f"{variable.name!r} has the code {wrong[0]:g}; its codes are 0 .. {len(variable.levels) - 1}"
                )
