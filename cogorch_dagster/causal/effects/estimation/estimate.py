"""What every estimator returns: an effect with its interval, and how each row moved it.

Standard errors come from the estimator's influence values, so one function serves independent rows, clusters and time
series alike (`dependence`).
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cogorch_dagster.causal.effects.estimation.dependence import Dependence, dependence, variance_of_sum
from cogorch_dagster.causal.effects.estimation.projection import Projection
from cogorch_dagster.errors import InvalidInput

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LEVEL = 0.95
FEWEST_DEGREES = 3.0


@dataclass(frozen=True)
class Estimate:
    """The effect of a treatment, in units of the outcome for one unit of the treatment (or for treated against not).

    Attributes:
        se: standard error, robust to unequal variances.
        interval: 95 %; by Student's t unless a note says otherwise. Infinite bounds: the rows set none.
        p: of the hypothesis that the effect is 0.
        method: "ols", "two_stage", "doubly_robust", ...
        target: "slope", "ATE" (all rows), "ATT" (the treated), "direct", "indirect" or "total".
        rows: that went into it, after trimming.
        effective_rows: independent rows that would tell as much; less than `rows` in a time series.
        degrees: of freedom of the t quantile.
        errors: how rows depend on each other: "independent", "series (lags 12)" or "clusters (40)".
        notes: what was left out or replaced, in sentences.
    """

    value: float
    se: float
    interval: tuple[float, float]
    p: float
    method: str
    target: str
    rows: int
    effective_rows: float
    degrees: float
    errors: str
    notes: tuple[str, ...] = ()

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.interval[0] > 0 or self.interval[1] < 0

    def document(self) -> dict[str, Any]:
        """As JSON holds it; infinite bounds become None."""
        bounds = [bound if np.isfinite(bound) else None for bound in self.interval]
        return {**asdict(self), "interval": bounds, "notes": list(self.notes)}


@dataclass(frozen=True, eq=False)
class Fit:
    """An estimate with what the refuters need.

    Attributes:
        influence: (n,) by how much each row moved the value; they sum to 0.
        outcome, treatment: (n,) what the adjustment leaves of the two columns.
        kept: (rows,) which rows of the input the n rows are.
        parameters: coefficients estimated, the degrees of freedom spent.
        dependence: how the rows hang together.
        space: the controls, where the estimator is a slope of `outcome` on `treatment` given them; None where models
            other than linear took their part.
    """

    estimate: Estimate
    influence: Floats
    outcome: Floats
    treatment: Floats
    kept: Bools
    parameters: int
    dependence: Dependence
    space: Projection | None = None


def t_quantile(degrees: float, level: float = LEVEL) -> float:
    """Student's t, two-sided."""
    from scipy.special import stdtrit

    return float(stdtrit(max(degrees, FEWEST_DEGREES), (1.0 + level) / 2.0))


def t_probability(value: float, se: float, degrees: float) -> float:
    """Two-sided p-value of value / se; 1 where the error is 0 or unknown."""
    from scipy.special import stdtr

    if not (se > 0 and np.isfinite(se)):
        return 1.0
    return float(2.0 * stdtr(max(degrees, FEWEST_DEGREES), -abs(value) / se))


def from_error(
    value: float,
    se: float,
    degrees: float,
    *,
    method: str,
    target: str,
    rows: int,
    effective_rows: float | None = None,
    errors: str = "independent",
    notes: tuple[str, ...] = (),
) -> Estimate:
    """An estimate with its t interval."""
    half = t_quantile(degrees) * se
    return Estimate(
        value=float(value),
        se=float(se),
        interval=(float(value - half), float(value + half)),
        p=t_probability(value, se, degrees),
        method=method,
        target=target,
        rows=rows,
        effective_rows=float(rows if effective_rows is None else effective_rows),
        degrees=float(max(degrees, FEWEST_DEGREES)),
        errors=errors,
        notes=notes,
    )


def from_influence(
    value: float,
    influence: Floats,
    *,
    parameters: int,
    method: str,
    target: str,
    groups: Integers | None = None,
    shape: Dependence | None = None,
    notes: tuple[str, ...] = (),
) -> Estimate:
    """An estimate whose variance is that of the sum of its influence values.

    Args:
        influence: (n,); value - truth is about their sum, each a row's share.
        parameters: coefficients that were estimated.
        groups: (n,) series that the rows belong to; None: rows are independent.
        shape: how rows depend on each other, None: found from the influence values.
    """
    shape = dependence(influence, groups) if shape is None else shape
    variance = float(variance_of_sum(influence, shape))
    independent = float(influence @ influence)
    effective = len(influence) * min(1.0, independent / variance) if variance > 0 else float(len(influence))
    degrees = shape.clusters - 1 if shape.kind == "clusters" else effective - parameters
    return from_error(
        value,
        variance**0.5,
        degrees,
        method=method,
        target=target,
        rows=len(influence),
        effective_rows=effective,
        errors=shape.text,
        notes=notes,
    )


def checked(
    outcome: npt.ArrayLike, treatment: npt.ArrayLike, controls: npt.ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    """The three as float64 arrays of the same number of rows; controls (rows, k), k 0 and up.

    Raises:
        InvalidInput: shapes that do not fit, missing or infinite values, a constant treatment.
    """
    y, t = np.asarray(outcome, dtype=np.float64), np.asarray(treatment, dtype=np.float64)
    z = np.empty((len(y), 0)) if controls is None else np.asarray(controls, dtype=np.float64)
    z = z[:, None] if z.ndim == 1 else z
    if y.ndim != 1 or t.shape != y.shape or z.ndim != 2 or len(z) != len(y):
        raise InvalidInput(f"outcome {y.shape}, treatment {t.shape} and controls {z.shape} need one row each per unit")
    for name, values in (("outcome", y), ("treatment", t), ("controls", z)):
        if not np.isfinite(values).all():
            raise InvalidInput(f"{name} has missing or infinite values; leave those rows out or fill them first")
    if len(t) < 2 or np.ptp(t) == 0:
        raise InvalidInput("the treatment is the same in all rows; no effect can be estimated without variation")
    return y, t, z


def is_binary(treatment: Floats) -> bool:
    """Whether it has exactly two values."""
    low, high = treatment.min(), treatment.max()
    return bool(((treatment == low) | (treatment == high)).all())
