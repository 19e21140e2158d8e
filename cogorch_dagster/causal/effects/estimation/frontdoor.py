"""The front door: the effect that goes through observed mediators, of a treatment with a hidden confounder.

Two regressions (Pearl 1995, linear case): mediators on treatment, outcome on mediators and treatment; the effect is
the sum of the products of their slopes, its error by the delta method.
"""

import numpy as np
import numpy.typing as npt

from cogorch_dagster.causal.effects.estimation.dependence import dependence
from cogorch_dagster.causal.effects.estimation.estimate import Fit, Integers, checked, from_influence
from cogorch_dagster.causal.effects.estimation.projection import projection
from cogorch_dagster.causal.effects.estimation.regression import coefficients
from cogorch_dagster.errors import InvalidInput


def frontdoor(
    outcome: npt.ArrayLike,
    treatment: npt.ArrayLike,
    mediators: npt.ArrayLike,
    controls: npt.ArrayLike | None = None,
    *,
    groups: Integers | None = None,
) -> Fit:
    """The slope of the outcome on the treatment through the mediators.

    Args:
        outcome, treatment: (n,). mediators: (n, m) or (n,), all that carries the effect. controls: (n, k).
        groups: (n,) time series or cluster of each row; None: rows are independent.

    Returns:
        A fit whose `outcome` is what treatment and controls leave of it and whose `treatment` is what they leave of
        the mediators, each weighted by its slope on the treatment: the leg that a hidden cause of mediator and outcome
        would spoil.

    Raises:
        InvalidInput: shapes, missing values, too few rows, or a mediator that the treatment determines.
    """
    y, t, z = checked(outcome, treatment, controls)
    m = np.asarray(mediators, dtype=np.float64)
    m = m[:, None] if m.ndim == 1 else m
    if m.ndim != 2 or len(m) != len(y) or not m.shape[1] or not np.isfinite(m).all():
        raise InvalidInput(f"mediators {m.shape} need one complete row per unit and at least one column")
    space = projection(z)
    first = [coefficients(column, t[:, None], space) for column in m.T]
    slopes = np.array([each.values[0] for each in first])
    second = coefficients(y, np.column_stack([m, t]), space)
    through = second.values[:-1]
    value = float(slopes @ through)
    influence = second.influence[:, :-1] @ slopes
    influence = influence + np.column_stack([each.influence[:, 0] for each in first]) @ through
    parameters = second.parameters
    shape = dependence(influence, groups)
    found = from_influence(
        value, influence, parameters=parameters, method="frontdoor", target="slope", groups=groups, shape=shape
    )
    wider = projection(np.column_stack([z, t]))
    rest = wider.residual(np.column_stack([y, m]))
    # One column whose slope is the effect: of the mediators' residuals, along the change that the treatment makes.
    index = _along(rest[:, 1:], slopes)
    return Fit(found, influence, rest[:, 0], index, np.ones(len(y), dtype=np.bool_), parameters, shape, wider)


def _along(rest: npt.NDArray[np.float64], slopes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n,) c with cᵀy / cᵀc = slopes · b, b being the coefficients of y on the residual mediators."""
    gram = rest.T @ rest
    direction = np.linalg.solve(gram, slopes)
    scale = float(slopes @ direction)
    # Without any effect of the treatment on the mediators there is nothing to permute but the mediators themselves.
    return np.asarray(rest @ direction / scale if scale > 0 else rest[:, 0])
