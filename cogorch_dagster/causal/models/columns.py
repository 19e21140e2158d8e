"""The numeric columns that a linear model computes with: one a variable, k - 1 indicators for k > 2 levels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.data.dataset import CausalDataset, Variable
from cogorch_dagster.errors import InvalidInput

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Columns:
    """q columns of p variables.

    Attributes:
        variables: in the order of the graph.
        names: (q) the variable's own name, or `name=level` for an indicator; the first level has none.
        owner: (q) the variable of each column.
    """

    variables: tuple[Variable, ...]
    names: tuple[str, ...]
    owner: tuple[int, ...]

    @classmethod
    def of(cls, variables: tuple[Variable, ...]) -> "Columns":
        """The columns of these variables; two levels are one column with 0 and 1."""
        names: list[str] = []
        owner: list[int] = []
        for place, variable in enumerate(variables):
            own = [variable.name]
            if len(variable.levels) > 2:
                own = [f"{variable.name}={level}" for level in variable.levels[1:]]
            names += own
            owner += [place] * len(own)
        return cls(variables, tuple(names), tuple(owner))

    def of_variable(self, name: str) -> tuple[int, ...]:
        """Positions of a variable's columns, or of the one column of this name.

        Raises:
            InvalidInput: there is no such variable or column.
        """
        if name in self.names:
            return (self.names.index(name),)
        found = tuple(k for k, place in enumerate(self.owner) if self.variables[place].name == name)
        if not found:
            known = ", ".join(variable.name for variable in self.variables)
            raise InvalidInput(f"the model has no variable {name!r}; variables: {known}")
        return found

    def unit(self, column: int) -> str:
        """The unit of a column; an indicator is a share."""
        variable = self.variables[self.owner[column]]
        return "share" if len(variable.levels) > 2 else variable.unit

    def embedded(self, data: CausalDataset) -> Floats:
        """(rows, q) values; a missing value is missing in each of its columns."""
        parts = []
        for variable in self.variables:
            held = data.column(variable.name)
            if len(variable.levels) > 2:
                codes = np.arange(1, len(variable.levels))
                parts.append(np.where(np.isnan(held)[:, None], np.nan, held[:, None] == codes))
            else:
                parts.append(held[:, None])
        return np.concatenate(parts, axis=1)

    def expanded(self, edges: Booleans) -> Booleans:
        """(q, q) of a relation (p, p) between variables."""
        owner = np.array(self.owner)
        return np.asarray(edges[np.ix_(owner, owner)])

    def assigned(self, name: str, value: float | str) -> dict[int, float]:
        """What each column of a variable is when the variable has a value or is at a level.

        Raises:
            InvalidInput: no such variable or level, or a value that is not finite.
        """
        columns = self.of_variable(name)
        variable = self.variables[self.owner[columns[0]]]
        if not variable.levels:
            return {columns[0]: _finite(name, value)}
        code = variable.levels.index(value) if value in variable.levels else _code(variable, value)
        if len(variable.levels) == 2:
            return {columns[0]: code}
        if name != variable.name or code != round(code):
            known = ", ".join(variable.levels)
            raise InvalidInput(f"{name!r} cannot be set to {value!r}; set {variable.name!r} to one of {known}")
        return {column: float(code == place + 1) for place, column in enumerate(columns)}


def _finite(name: str, value: float | str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise InvalidInput(f"{name!r} cannot be {value!r}; give a finite number")
    return number


def _code(variable: Variable, value: float | str) -> float:
    number = _finite(variable.name, value)
    if not 0 <= number <= len(variable.levels) - 1:
        known = ", ".join(variable.levels)
        raise InvalidInput(f"{variable.name!r} cannot be {value!r}; give one of {known}, or a code from 0 on")
    return number
