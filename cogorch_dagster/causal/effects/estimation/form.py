"""Whether straight lines suffice: do curves and products of the controls explain more of the outcome?

If they do not, least squares is the estimate to take: it is the most precise, and a thousand times as fast.
"""

from dataclasses import dataclass

import numpy as np

from cogorch_dagster.causal.effects.estimation.estimate import Fit, Floats, Integers
from cogorch_dagster.causal.effects.estimation.features import expand
from cogorch_dagster.causal.effects.estimation.ols import from_projection
from cogorch_dagster.causal.effects.estimation.projection import projection

_ROWS_PER_TERM = 10


@dataclass(frozen=True, eq=False)
class Form:
    """What was found.

    Attributes:
        p: probability that so much more is explained if straight lines are right (F test on `effective_rows`).
        terms: curves, products, and products with the treatment that were tried.
        flexible: least squares with curves and products of the controls; None with too few rows.
    """

    p: float
    terms: int
    flexible: Fit | None


def form(y: Floats, t: Floats, z: Floats, straight: Fit, *, groups: Integers | None = None) -> Form:
    """Test the fit of `ols(y, t, z)`, which `straight` is."""
    from scipy.special import fdtrc

    rows = straight.estimate.effective_rows
    features = expand(z)
    room = int(rows / _ROWS_PER_TERM) - features.linear
    width = next((k for k in (features.columns.shape[1], features.smooth) if k <= room), 0)
    if width <= features.linear:
        return Form(1.0, 0, None)
    space = projection(features.columns[:, :width])
    flexible = from_projection(y, t, space, groups=groups)
    products = features.columns[:, : features.linear] * (t - t.mean())[:, None]
    wider = projection(np.column_stack([flexible.treatment, space.residual(products)]))
    left = wider.residual(flexible.outcome)
    slope = straight.estimate.value
    before = float(np.sum((straight.outcome - slope * straight.treatment) ** 2))
    after = float(left @ left)
    terms = space.rank + wider.rank - 1 - straight.parameters
    degrees = rows - space.rank - wider.rank
    if terms < 1 or degrees < 1 or after <= 0:
        return Form(1.0, 0, flexible)
    return Form(float(fdtrc(terms, degrees, max(before - after, 0.0) / terms / (after / degrees))), terms, flexible)
