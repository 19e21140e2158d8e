"""What controls explain of a column, and what they leave (Frisch and Waugh 1933, Lovell 1963).

The basis comes from the cross-products of the controls, so a column more or less costs one product with it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SAME = 1e-9
"""Share of a control's variance that must remain after the others, or it is left out as their combination."""


@dataclass(frozen=True, eq=False)
class Projection:
    """An orthonormal basis of a constant and the controls.

    Attributes:
        basis: (n, r), its first column constant.
        dropped: controls that are combinations of those before them.
    """

    basis: Floats
    dropped: tuple[int, ...] = ()

    @property
    def rank(self) -> int:
        return int(self.basis.shape[1])

    def residual(self, columns: Floats) -> Floats:
        """What the controls leave of (n,) or (n, m) columns."""
        return np.asarray(columns - self.basis @ (self.basis.T @ columns))

    def leverage(self) -> Floats:
        """(n,) the diagonal of the hat matrix, 0 to 1."""
        return np.asarray(np.einsum("ij,ij->i", self.basis, self.basis))


def projection(controls: Floats) -> Projection:
    """The projection on a constant and (n, k) controls; collinear ones are left out."""
    n = len(controls)
    constant = np.full((n, 1), n**-0.5)
    centred = controls - controls.mean(axis=0)
    scale = np.sqrt(np.einsum("ij,ij->j", centred, centred))
    used = np.flatnonzero(scale > 1e-12 * (np.abs(controls).max(axis=0, initial=0.0) * n**0.5 + 1e-300))
    unit = centred[:, used] / scale[used]
    kept, inverse = _independent(unit.T @ unit)
    # The second pass restores the digits that forming cross-products costs.
    first = unit[:, kept] @ inverse
    again = _independent(first.T @ first)[1]
    basis = np.concatenate([constant, first @ again], axis=1)
    left = {int(j) for j in used[kept]}
    return Projection(basis, tuple(j for j in range(controls.shape[1]) if j not in left))


def _independent(gram: Floats) -> tuple[list[int], Floats]:
    """Which columns are no combination of those before, and R⁻¹ of their Cholesky factor gram = RᵀR."""
    from scipy.linalg import solve_triangular

    try:
        lower = np.linalg.cholesky(gram)
        if np.diag(lower).min(initial=1.0) ** 2 > _SAME:
            return list(range(len(gram))), np.asarray(solve_triangular(lower, np.eye(len(gram)), lower=True).T)
    except np.linalg.LinAlgError:
        pass
    kept: list[int] = []
    remaining = gram.copy()
    for j in range(len(gram)):
        if remaining[j, j] > _SAME:
            kept.append(j)
            remaining = remaining - np.outer(remaining[:, j], remaining[j]) / remaining[j, j]
    lower = np.linalg.cholesky(gram[np.ix_(kept, kept)])
    return kept, np.asarray(solve_triangular(lower, np.eye(len(kept)), lower=True).T)
