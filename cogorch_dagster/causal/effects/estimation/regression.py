"""Several coefficients of one regression with each row's influence on them, for effects that combine coefficients."""

from dataclasses import dataclass

import numpy as np

from cogorch_dagster.causal.effects.estimation.estimate import Floats
from cogorch_dagster.causal.effects.estimation.projection import Projection
from cogorch_dagster.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Coefficients:
    """Of m regressors, given the controls.

    Attributes:
        values: (m,). influence: (n, m), HC3: residuals are divided by 1 - leverage.
        residual: (n,). parameters: coefficients with those of the controls.
    """

    values: Floats
    influence: Floats
    residual: Floats
    parameters: int


def coefficients(outcome: Floats, regressors: Floats, space: Projection) -> Coefficients:
    """Least squares of (n,) outcomes on (n, m) regressors and the controls of `space`.

    Raises:
        InvalidInput: too few rows, or a regressor that the others determine.
    """
    n, m = regressors.shape
    if n - m - space.rank < 8:
        raise InvalidInput(f"{n} rows are too few for {m + space.rank} coefficients; take more rows or fewer controls")
    y, x = space.residual(outcome), space.residual(regressors)
    gram = x.T @ x
    scale = np.sqrt(np.diag(gram))
    total = np.sqrt(np.sum((regressors - regressors.mean(axis=0)) ** 2, axis=0))
    if (scale <= 1e-6 * total).any() or np.linalg.eigvalsh(gram / np.outer(scale, scale)).min() < 1e-10:
        raise InvalidInput("a treatment or mediator is determined by the other columns; leave one of them out")
    inverse = np.linalg.inv(gram / np.outer(scale, scale)) / np.outer(scale, scale)
    values = inverse @ (x.T @ y)
    residual = y - x @ values
    weights = x @ inverse
    leverage = np.minimum(space.leverage() + np.einsum("ij,ij->i", weights, x), 1.0 - 1e-6)
    return Coefficients(values, weights * (residual / (1.0 - leverage))[:, None], residual, m + space.rank)
