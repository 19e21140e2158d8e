"""Ordinary least squares: the slope of the outcome on the treatment, adjusted for controls."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from cogorch_dagster.causal.effects.estimation.dependence import dependence
from cogorch_dagster.causal.effects.estimation.estimate import Fit, Floats, Integers, checked, from_influence
from cogorch_dagster.causal.effects.estimation.projection import Projection, projection
from cogorch_dagster.errors import InvalidInput

Correction = Literal["HC2", "HC3"]
_POWER = {"HC2": 0.5, "HC3": 1.0}
_FEWEST_ROWS = 8


def ols(
    outcome: npt.ArrayLike,
    treatment: npt.ArrayLike,
    controls: npt.ArrayLike | None = None,
    *,
    groups: Integers | None = None,
    correction: Correction = "HC3",
) -> Fit:
    """The slope with errors robust to unequal variances, and to dependence in time where there is some.

    Args:
        outcome, treatment: (n,). controls: (n, k); collinear ones are left out with a note.
        groups: (n,) the time series or cluster of each row, in order of time; None: rows are independent.
        correction: of residuals for leverage h: e / (1-h)^.5 (HC2) or e / (1-h) (HC3), MacKinnon and White (1985).

    Raises:
        InvalidInput: shapes, missing values, fewer than 8 rows more than controls, or a treatment that the controls
            determine.
    """
    y, t, z = checked(outcome, treatment, controls)
    return from_projection(y, t, projection(z), groups=groups, correction=correction)


def from_projection(
    y: Floats, t: Floats, space: Projection, *, groups: Integers | None = None, correction: Correction = "HC3"
) -> Fit:
    """As `ols`, where the projection on the controls is known."""
    parameters = space.rank + 1
    if len(y) - parameters < _FEWEST_ROWS:
        raise InvalidInput(f"{len(y)} rows are too few for {parameters} coefficients; take more rows or fewer controls")
    rest = space.residual(np.column_stack([y, t]))
    y_rest, t_rest = np.ascontiguousarray(rest[:, 0]), np.ascontiguousarray(rest[:, 1])
    square = float(t_rest @ t_rest)
    if square <= 1e-10 * float((t - t.mean()) @ (t - t.mean())):
        raise InvalidInput("the controls determine the treatment; its effect cannot be told from theirs")
    value = float(t_rest @ y_rest) / square
    error = y_rest - value * t_rest
    leverage = np.minimum(space.leverage() + t_rest**2 / square, 1.0 - 1e-6)
    raw = t_rest * error / square
    shape = dependence(raw, groups)
    influence = raw / (1.0 - leverage) ** _POWER[correction]
    notes = (f"{len(space.dropped)} controls are combinations of others and were left out",) if space.dropped else ()
    found = from_influence(
        value, influence, parameters=parameters, method="ols", target="slope", shape=shape, notes=notes
    )
    return Fit(found, influence, y_rest, t_rest, np.ones(len(y), dtype=np.bool_), parameters, shape, space)
