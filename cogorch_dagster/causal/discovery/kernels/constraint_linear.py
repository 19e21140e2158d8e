"""Cholesky factors of small matrices, without the cost of a call to LAPACK."""

import numpy as np

from cogorch_dagster.causal.data.sufficient import Floats
from cogorch_dagster.causal.discovery.kernels.compiled import compiled

_SINGULAR = 1e-10


@compiled
def factorise(matrix: Floats, size: int) -> bool:
    """Cholesky factor of the leading part, in place on and below the diagonal; False where there is none."""
    for i in range(size):
        for j in range(i + 1):
            value = matrix[i, j]
            for t in range(j):
                value -= matrix[i, t] * matrix[j, t]
            if i > j:
                matrix[i, j] = value / matrix[j, j]
            elif value < _SINGULAR:
                return False
            else:
                matrix[i, i] = np.sqrt(value)
    return True


@compiled
def solve(factor: Floats, size: int, right: Floats) -> None:
    """The solution by a factor from `factorise`, in place of the right-hand side."""
    for i in range(size):
        for t in range(i):
            right[i] -= factor[i, t] * right[t]
        right[i] /= factor[i, i]
    for i in range(size - 1, -1, -1):
        for t in range(i + 1, size):
            right[i] -= factor[t, i] * right[t]
        right[i] /= factor[i, i]
