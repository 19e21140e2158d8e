"""The bank of a linear model: its equations once as estimated and once for each bootstrap draw.

Every answer is computed in all of them together, from causes to effects, so that its interval costs no more than
reading the bank. Axis d is the last: place 0 is the estimate, the others are the draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Bank:
    """The equations `x_j = intercept_j + sum over causes i of coefficient_ij x_i + error_j` of q columns, d times.

    Attributes:
        order: (q,) columns, causes before effects.
        cause, effect: (e,) the edges, those into one column together, columns in `order`.
        coefficients: (e, d) units of the effect for one unit of the cause.
        intercepts: (q, d).
        deviations: (q, d) standard deviations of the errors.
        unidentified: (q,) columns whose equation a regression does not identify.
    """

    order: Integers
    cause: Integers
    effect: Integers
    coefficients: Floats
    intercepts: Floats
    deviations: Floats
    unidentified: Booleans

    @property
    def count(self) -> int:
        """d: the estimate and the draws."""
        return int(self.intercepts.shape[1])

    @cached_property
    def _spans(self) -> tuple[tuple[int, Integers, Floats], ...]:
        """Of each column with causes, in order: the column, its causes, the edges' coefficients (k, d)."""
        edges = np.searchsorted(np.argsort(self.order)[self.effect], np.arange(len(self.order) + 1))
        return tuple(
            (int(j), self.cause[a:b], self.coefficients[a:b])
            for j, a, b in zip(self.order, edges[:-1], edges[1:], strict=True)
            if b > a
        )

    def propagated(self, shift: Mapping[int, Floats | float], hold: Mapping[int, Floats | float]) -> Floats:
        """(q, d) how much each column changes.

        Args:
            shift: what is added to a column's equation; it still follows its causes.
            hold: the change of a column that is set, whatever its causes do.
        """
        change = np.zeros((len(self.order), self.count))
        for column, amount in shift.items():
            change[column] = amount
        for column, amount in hold.items():
            change[column] = amount
        moved = np.zeros(len(self.order), dtype=bool)
        moved[[*shift, *hold]] = True
        for j, causes, coefficients in self._spans:
            if j not in hold and moved[causes].any():
                change[j] += np.einsum("kd,kd->d", coefficients, change[causes])
                moved[j] = True
        return change

    @cached_property
    def means(self) -> Floats:
        """(q, d) the mean of each column under its own equations."""
        mean = self.intercepts.copy()
        for j, causes, coefficients in self._spans:
            mean[j] += np.einsum("kd,kd->d", coefficients, mean[causes])
        return mean

    def effects_on(self, column: int) -> Floats:
        """(q, d) the total effect of each column on one; 1 of the column on itself."""
        effect = np.zeros((len(self.order), self.count))
        effect[column] = 1.0
        for j, causes, coefficients in reversed(self._spans):
            effect[causes] += coefficients * effect[j]
        return effect

    @cached_property
    def depth(self) -> int:
        """Columns on the longest directed path."""
        length = np.ones(len(self.order), dtype=np.int64)
        for j, causes, _ in self._spans:
            length[j] = 1 + length[causes].max()
        return int(length.max())

    def errors(self, values: Floats) -> Floats:
        """(q, d) the errors that a row had, in each draw; abduction (Pearl 2009, theorem 7.1.7).

        Args:
            values: (q,) or (q, d), without missing values.
        """
        held = np.broadcast_to(values.reshape(len(values), -1), (len(values), self.count))
        error = held - self.intercepts
        for j, causes, coefficients in self._spans:
            error[j] -= np.einsum("kd,kd->d", coefficients, held[causes])
        return error

    def doubtful(self, changed: frozenset[int], held: frozenset[int], column: int) -> tuple[int, ...]:
        """Columns without an identified equation through which a change reaches a column.

        Args:
            changed: columns that are set or shifted.
            held: those of them that are set; their own equation does not matter.
        """
        if not self.unidentified.any():
            return ()
        matters = np.zeros(len(self.order), dtype=bool)
        reached = np.zeros(len(self.order), dtype=bool)
        reached[list(changed)] = True
        for j, causes, _ in self._spans:
            if j not in held and reached[causes].any():
                matters[j] = reached[j] = True
        told = matters & self.unidentified & self._above(column, held)
        return tuple(int(k) for k in np.flatnonzero(told))

    def _above(self, column: int, held: frozenset[int]) -> Booleans:
        """(q,) whether there is a path to a column, itself included, that enters no column that is set."""
        above = np.zeros(len(self.order), dtype=bool)
        above[column] = True
        for j, causes, _ in reversed(self._spans):
            if above[j] and j not in held:
                above[causes] = True
        return above
