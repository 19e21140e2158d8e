"""Linear complementarity by Lemke's pivots, with the lexicographic rule that keeps degenerate problems from cycling.

Given M [m, m] and q [m] it looks for z >= 0 with w = M z + q >= 0 and z'w = 0 (Lemke 1965, "Bimatrix equilibrium points
and mathematical programming"; Cottle, Pang & Stone 2009, "The linear complementarity problem", algorithm 4.4.5 and
section 4.9). Not here: what the problem stands for.
"""

import time

import numpy as np

from cogorch_dagster.games.payoffs import Floats

_ZERO = 1e-11


def solve_complementarity(
    matrix: Floats, right: Floats, cover: Floats, *, most_pivots: int, deadline: float
) -> Floats | None:
    """z [m], or None where the pivots end in a ray, at `most_pivots` or at the deadline.

    Args:
        cover: the covering vector [m], all positive; another one leads along another path, maybe to another solution.
        deadline: value of `time.monotonic()`.
    """
    m = len(right)
    if (right >= 0).all():
        return np.zeros(m)
    # Columns: w (an identity, and thereby the inverse of the basis), z, z0, right side.
    tableau = np.hstack([np.eye(m), -matrix, -cover[:, None], right[:, None]])
    basis = np.arange(m)
    entering = 2 * m
    row = _first(tableau, cover)
    for _ in range(most_pivots):
        leaving = int(basis[row])
        _pivot(tableau, row, entering)
        basis[row] = entering
        if leaving == 2 * m:
            z = np.zeros(2 * m + 1)
            z[basis] = tableau[:, -1]
            return z[m : 2 * m]
        if time.monotonic() >= deadline:
            return None
        entering = leaving + m if leaving < m else leaving - m
        rows = np.flatnonzero(tableau[:, entering] > _ZERO)
        if not len(rows):
            return None
        row = _least(tableau, rows, tableau[rows, entering], m, basis)
    return None


def _first(tableau: Floats, cover: Floats) -> int:
    """The row that keeps all others feasible when the covering variable comes in: the largest -q / cover."""
    ratios = tableau[:, -1] / cover
    rows = np.flatnonzero(ratios <= ratios.min() + _ZERO)
    return int(rows[-1]) if len(rows) > 1 else int(rows[0])


def _least(
    tableau: Floats,
    rows: np.ndarray[tuple[int], np.dtype[np.int64]],
    column: Floats,
    m: int,
    basis: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> int:
    """The row whose ratio is least, ties by the columns of the inverse; the covering variable leaves if it may."""
    ratios = tableau[rows, -1] / column
    near = ratios <= ratios.min() + _ZERO
    rows, column = rows[near], column[near]
    covering = rows[basis[rows] == 2 * m]
    if len(covering):
        return int(covering[0])
    for k in range(m):
        if len(rows) == 1:
            break
        ratios = tableau[rows, k] / column
        near = ratios <= ratios.min() + _ZERO
        rows, column = rows[near], column[near]
    return int(rows[0])


def _pivot(tableau: Floats, row: int, column: int) -> None:
    tableau[row] /= tableau[row, column]
    factors = tableau[:, column].copy()
    factors[row] = 0.0
    tableau -= factors[:, None] * tableau[row]
    tableau[:, column] = 0.0
    tableau[row, column] = 1.0
