"""Systems of best responses and steps between their vertices: a simplex tableau in integers or in floats.

A tableau holds {z >= 0 : M z <= 1} for a positive matrix M [k, p] with one slack per row; this is the best-response
polytope of von Stengel (2002, "Computing equilibria for two-person games", Handbook of Game Theory 3, section 2). Its
variables are numbered by *labels*; those of M's columns and those of the slacks together are 0 .. k+p-1. Integers are
pivoted without fractions or rounding (Edmonds, Bareiss; von Stengel 2007, section 3.4 of Algorithmic Game Theory).
"""

from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.games.payoffs import Floats

Integers: TypeAlias = NDArray[np.object_]
Numbers: TypeAlias = NDArray[Any]
"""Floats, or Python integers of any size."""

_SMALLEST_PIVOT = 1e-10
_RATIO_TOLERANCE = 1e-11


class Tableau:
    """One system M z + s = 1 in the form of its current basis.

    Attributes:
        basis: the label of the basic variable of each row [k].
    """

    def __init__(self, matrix: Numbers, labels: range, slacks: range) -> None:
        """Start at z = 0. A `matrix` of Python integers (dtype object) is computed with exactly.

        Args:
            matrix: M [k, p], all entries positive.
            labels: the p labels of the columns.
            slacks: the k labels of the slacks.
        """
        k = len(matrix)
        self.exact = matrix.dtype == object
        self.basis = list(slacks)
        rows: Numbers = np.zeros((k, k + len(labels) + 1), dtype=matrix.dtype)
        rows[:, labels.start : labels.stop] = matrix
        rows[np.arange(k), np.array(slacks)] = 1
        rows[:, -1] = 1
        self._rows = rows
        self._start = rows
        self._slacks = slacks
        # Integers: every entry is this many times that of the ordinary tableau.
        self._scale: int = 1

    def copy(self) -> "Tableau":
        """Another tableau in the same state."""
        other = object.__new__(Tableau)
        other.__dict__.update(self.__dict__)
        other.basis = self.basis.copy()
        return other

    def tied_rows(self, entering: int) -> list[int]:
        """The rows of least ratio if the label `entering` grows; several exactly in degenerate vertices."""
        return self._least(self._positive(entering), entering, self._rows.shape[1] - 1)

    def leaving_row(self, entering: int) -> int:
        """The only row of lexicographically least ratio: a choice under which no path ever cycles.

        Raises:
            ArithmeticError: floats only, if rounding has left no row to choose.
        """
        rows = self._positive(entering)
        for column in (self._rows.shape[1] - 1, *self._slacks):
            if len(rows) == 1:
                break
            rows = self._least(rows, entering, column)
        if not rows:
            raise ArithmeticError("no row limits the entering variable; rounding has spoiled the tableau")
        return rows[0]

    def pivot(self, entering: int, row: int) -> int:
        """Let `entering` take the place of the basic variable of `row`; returns the label that leaves."""
        rows, pivot = self._rows, self._rows[row, entering]
        if self.exact:
            # The division leaves no remainder: all entries are minors of the matrix at the start.
            changed = (rows * pivot - np.outer(rows[:, entering], rows[row])) // self._scale
            changed[row] = rows[row]
            self._scale = pivot
        else:
            own = rows[row] / pivot
            changed = rows - np.outer(rows[:, entering], own)
            changed[row] = own
        self._rows = changed
        leaving = self.basis[row]
        self.basis[row] = entering
        return leaving

    def values(self) -> list[Fraction]:
        """The value of every variable by label; exact for integers, else the basis solved anew from the start.

        Raises:
            ArithmeticError: floats only, if the basis is singular in floating point.
        """
        found = [Fraction(0)] * (self._rows.shape[1] - 1)
        for label, value in zip(self.basis, self._basic_values(), strict=True):
            found[label] = value
        return found

    def _basic_values(self) -> list[Fraction]:
        if self.exact:
            return [Fraction(value, self._scale) for value in self._rows[:, -1]]
        try:
            solved = np.linalg.solve(self._start[:, self.basis], np.ones(len(self.basis)))
        except np.linalg.LinAlgError as error:
            raise ArithmeticError("the last basis is singular in floating point") from error
        if not np.isfinite(solved).all():
            raise ArithmeticError("the last basis is singular in floating point")
        return [Fraction(max(float(value), 0.0)) for value in solved]

    def _positive(self, entering: int) -> list[int]:
        bound = 0 if self.exact else _SMALLEST_PIVOT
        return [int(row) for row in np.flatnonzero(self._rows[:, entering] > bound)]

    def _least(self, rows: list[int], entering: int, column: int) -> list[int]:
        """Those of `rows` with the least ratio of `column` to the entering column."""
        numerators, denominators = self._rows[rows, column], self._rows[rows, entering]
        if not self.exact:
            ratios = numerators / denominators
            least = ratios.min(initial=np.inf)
            return [row for row, ratio in zip(rows, ratios, strict=True) if ratio <= least + _RATIO_TOLERANCE]
        best: list[int] = []
        top, bottom = 0, 0
        for row, numerator, denominator in zip(rows, numerators, denominators, strict=True):
            difference = numerator * bottom - top * denominator if best else -1
            if difference < 0:
                best, top, bottom = [row], numerator, denominator
            elif difference == 0:
                best.append(row)
        return best


def positive_integers(payoffs: Floats) -> Integers:
    """The payoffs times a power of two and plus a constant, exactly, as Python integers of at least 1."""
    fractions = [Fraction(float(value)) for value in payoffs.reshape(-1)]
    scale = max(value.denominator for value in fractions)  # all are powers of two: the largest is a multiple of each
    scaled = [int(value * scale) for value in fractions]
    least = min(scaled) - 1
    result = np.empty(len(scaled), dtype=object)
    result[:] = [value - least for value in scaled]
    return result.reshape(payoffs.shape)


def positive_floats(payoffs: Floats) -> Floats:
    """The payoffs mapped to 0.5 .. 1.5 by a positive affine map; all 1 if they are all equal."""
    spread = float(payoffs.max() - payoffs.min())
    return np.asarray((payoffs - payoffs.min()) / spread + 0.5 if spread > 0 else np.ones_like(payoffs))
