"""Natural direct and indirect effects: past the mediators, and through them (Pearl 2001).

Linear regressions with an interaction of treatment and mediators (VanderWeele 2015, chapter 2), errors by the delta
method. The direct part holds the mediators at what they are without the change, the indirect part the treatment.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cogorch_dagster.causal.effects.estimation.dependence import dependence
from cogorch_dagster.causal.effects.estimation.estimate import (
    Estimate,
    Fit,
    Floats,
    Integers,
    checked,
    from_influence,
    is_binary,
)
from cogorch_dagster.causal.effects.estimation.projection import projection
from cogorch_dagster.causal.effects.estimation.regression import coefficients
from cogorch_dagster.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Mediation:
    """The parts of an effect; direct + indirect + interaction = total.

    Attributes:
        direct, indirect: fits, for the refuters.
        interaction: what the two do only together; 0 with p 1 where no interaction was fitted.
        total: of all of it.
        baseline: the treatment that the change starts from: the lower of two values, else the mean.
    """

    direct: Fit
    indirect: Fit
    interaction: Estimate
    total: Estimate
    baseline: float


def mediation(
    outcome: npt.ArrayLike,
    treatment: npt.ArrayLike,
    mediators: npt.ArrayLike,
    controls: npt.ArrayLike | None = None,
    *,
    interaction: bool = True,
    groups: Integers | None = None,
) -> Mediation:
    """The parts of the effect of one unit more of the treatment (of a binary one: of the higher against the lower).

    Args:
        outcome, treatment: (n,). mediators: (n, m) or (n,). controls: (n, k).
        interaction: whether the slope on the mediators may depend on the treatment.
        groups: (n,) time series or cluster of each row; None: rows are independent.

    Raises:
        InvalidInput: shapes, missing values, too few rows, or columns that determine each other.
    """
    y, t, z = checked(outcome, treatment, controls)
    m = np.asarray(mediators, dtype=np.float64)
    m = m[:, None] if m.ndim == 1 else m
    if m.ndim != 2 or len(m) != len(y) or not m.shape[1] or not np.isfinite(m).all():
        raise InvalidInput(f"mediators {m.shape} need one complete row per unit and at least one column")
    baseline = float(t.min() if is_binary(t) else t.mean())
    unit = float(np.ptp(t)) if is_binary(t) else 1.0
    t = (t - baseline) / unit
    space = projection(z)
    k = m.shape[1]
    slopes, slope_influence, levels, level_influence = _of_mediators(m, t, z)
    centred = m - levels
    product = [centred * t[:, None]] if interaction else []
    second = coefficients(y, np.column_stack([t, centred, *product]), space)
    theta, influence = second.values, second.influence
    through, through_influence = theta[1 : k + 1], influence[:, 1 : k + 1]
    together = theta[k + 1 :] if interaction else np.zeros(k)
    together_influence = influence[:, k + 1 :] if interaction else np.zeros_like(through_influence)
    parts = {
        # A shift of the level at which the mediators are held moves the direct effect by the interaction.
        "direct": (float(theta[0]), influence[:, 0] + level_influence @ together),
        "indirect": (float(slopes @ through), through_influence @ slopes + slope_influence @ through),
        "interaction": (float(slopes @ together), together_influence @ slopes + slope_influence @ together),
    }
    parts["total"] = (sum(value for value, _ in parts.values()), np.sum([moved for _, moved in parts.values()], axis=0))
    fits = {name: _fit(*part, name, second.parameters, groups, y, t, m, z) for name, part in parts.items()}
    return Mediation(fits["direct"], fits["indirect"], fits["interaction"].estimate, fits["total"].estimate, baseline)


def _of_mediators(m: Floats, t: Floats, z: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Slopes on the treatment and levels at the baseline (t = 0), (k,) each, with (n, k) influence values."""
    space = projection(z)
    fits = [coefficients(column, t[:, None], space) for column in m.T]
    slopes = np.array([each.values[0] for each in fits])
    moved = np.column_stack([each.influence[:, 0] for each in fits])
    levels = m.mean(axis=0) - slopes * t.mean()
    level_moved = (m - m.mean(axis=0) - np.outer(t - t.mean(), slopes)) / len(t) - moved * t.mean()
    return slopes, moved, levels, level_moved


def _fit(
    value: float,
    influence: Floats,
    target: str,
    parameters: int,
    groups: Integers | None,
    y: Floats,
    t: Floats,
    m: Floats,
    z: Floats,
) -> Fit:
    shape = dependence(influence, groups)
    found = from_influence(value, influence, parameters=parameters, method="mediation", target=target, shape=shape)
    space = projection(np.column_stack([z, m]) if target == "direct" else z)
    rest = space.residual(np.column_stack([y, t]))
    return Fit(found, influence, rest[:, 0], rest[:, 1], np.ones(len(y), dtype=np.bool_), parameters, shape, space)
