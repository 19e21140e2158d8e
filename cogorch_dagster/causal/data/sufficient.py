"""What discovery takes instead of rows: a correlation matrix and how many independent rows it is worth.

Discrete variables own a block of indicator columns (the degenerate Gaussian embedding of Andrews, Ramsey and Cooper
2019), so that one matrix serves continuous, discrete and mixed data. How it comes about is in `preparation`.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cogorch_dagster.errors import InvalidInput

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_LEAST_EIGENVALUE = 1e-8
_UNIT = 1e-6
_ASYMMETRY = 1e-8


@dataclass(frozen=True, eq=False)
class SufficientStatistics:
    """Of p variables in q columns.

    Attributes:
        variables: names, in the order that graphs take them.
        owner: (q,) the variable of each column, ascending; `arange(p)` when all are continuous. A discrete variable
            with k levels owns k - 1 columns.
        correlation: (q, q) positive definite with unit diagonal.
        rows: how many the data have.
        effective_rows: what tests and scores take for n: fewer than `rows` under autocorrelation or missing values.

    Raises:
        InvalidInput: shapes do not fit, the matrix is no correlation matrix, or fewer than 2 effective rows.
    """

    variables: tuple[str, ...]
    owner: Integers
    correlation: Floats
    rows: int
    effective_rows: float

    def __post_init__(self) -> None:
        owner = np.array(self.owner, dtype=np.int64)
        matrix = np.array(self.correlation, dtype=np.float64)
        _check_owner(owner, len(self.variables))
        _check_correlation(matrix, len(owner))
        if not 2.0 <= self.effective_rows < np.inf:
            raise InvalidInput(f"{self.effective_rows:g} effective rows are too few, at least 2; take a longer period")
        owner.setflags(write=False)
        matrix.setflags(write=False)
        object.__setattr__(self, "owner", owner)
        object.__setattr__(self, "correlation", matrix)
        object.__setattr__(self, "effective_rows", float(self.effective_rows))

    @property
    def simple(self) -> bool:
        """Whether each variable owns exactly one column."""
        return len(self.owner) == len(self.variables)

    @property
    def digest(self) -> str:
        """`sha256:` and 64 hexadecimal digits over everything above."""
        found = hashlib.sha256()
        found.update("\0".join(self.variables).encode())
        found.update(self.owner.astype("<i8").tobytes())
        found.update(self.correlation.astype("<f8").tobytes())
        found.update(np.array([self.rows, self.effective_rows], dtype="<f8").tobytes())
        return f"sha256:{found.hexdigest()}"

    def columns(self, variable: int) -> Integers:
        """The columns that a variable owns, by its position in `variables`."""
        return np.flatnonzero(self.owner == variable).astype(np.int64)


def correlation_of(covariance: Floats) -> Floats:
    """(q, q) the correlation matrix; eigenvalues below 1e-8 are raised to it, a column without variance has none."""
    scale = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 1e-8)
    matrix = covariance * np.outer(inverse, inverse)
    np.fill_diagonal(matrix, 1.0)
    values, vectors = np.linalg.eigh(matrix)
    if values[0] < _LEAST_EIGENVALUE:
        matrix = (vectors * np.maximum(values, _LEAST_EIGENVALUE)) @ vectors.T
        scale = np.sqrt(np.diag(matrix))
        matrix = matrix / np.outer(scale, scale)
        matrix = (matrix + matrix.T) / 2
        np.fill_diagonal(matrix, 1.0)
    return np.asarray(matrix)


def _check_owner(owner: Integers, variables: int) -> None:
    if owner.ndim != 1 or variables == 0:
        raise InvalidInput("statistics need at least one variable and a vector of owners")
    if set(owner.tolist()) != set(range(variables)) or (np.diff(owner) < 0).any():
        raise InvalidInput(f"owners must ascend and name each of the variables 0 .. {variables - 1}")


def _check_correlation(matrix: Floats, columns: int) -> None:
    if matrix.shape != (columns, columns):
        raise InvalidInput(f"the correlation matrix is {matrix.shape}, it must be ({columns}, {columns})")
    if not np.isfinite(matrix).all():
        raise InvalidInput("the correlation matrix has values that are not finite; prepare the data first")
    if np.abs(np.diag(matrix) - 1.0).max() > _UNIT or np.abs(matrix - matrix.T).max() > _ASYMMETRY:
        raise InvalidInput("a correlation matrix is symmetric with a diagonal of 1; divide by standard deviations")
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError as error:
        raise InvalidInput("the correlation matrix is singular; set linearly dependent columns aside") from error
