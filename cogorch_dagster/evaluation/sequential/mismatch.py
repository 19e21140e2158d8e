"""Sample-ratio mismatch: does the split of the traffic contradict the shares that were set?

A test that may be watched without end and is exact at every size: a mixture of likelihood ratios is a martingale under
the intended shares, and by Ville's inequality it exceeds 1/alpha with probability alpha at most (Lindon & Malek 2020,
"Anytime-valid inference for multinomial count data"). They mix over shares with a Dirichlet density; here the mixture
is over the log odds ratio between the true and the intended split, so that one unknown describes a router's bias at
every step of a ramp.
"""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.sequential.boundary import Floats

SCALE = 0.2
"""Log odds ratio that is thought typical of a mismatch: 45:55 instead of 50:50."""
_WIDEST = 6.0
_POINTS = 241


@cache
def _prior() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and log weights of a Cauchy density: mostly small biases, but also a router that sends everything one way.

    Any finite prior gives an exact martingale; the points are dense near 0, where long streams look.
    """
    points = SCALE * np.sinh(np.linspace(-1, 1, _POINTS) * np.arcsinh(_WIDEST / SCALE))
    weight = np.gradient(points) / (1 + (points / SCALE) ** 2)
    return points, np.log(weight / weight.sum())


def log_evidence(control: ArrayLike, treatment: ArrayLike, share: ArrayLike) -> Floats:
    """Log of the martingale against the intended shares; the steps of a ramp on the last axis.

    Args:
        control, treatment: units that each arm received, per step.
        share: of the treatment that was intended in each step, in (0, 1).

    Raises:
        InvalidInput: a share outside (0, 1), or a negative count.
    """
    n0, n1, p = (np.asarray(each, dtype=np.float64) for each in (control, treatment, share))
    if not ((p > 0) & (p < 1)).all():
        raise InvalidInput(f"an intended share must lie between 0 and 1, got {p.tolist()}")
    if (n0 < 0).any() or (n1 < 0).any():
        raise InvalidInput(f"counts must not be negative, got {n0.tolist()} and {n1.tolist()}")
    points, log_weight = _prior()
    # Share p becomes p e^φ / (1 - p + p e^φ): each treated unit multiplies by e^φ, every unit divides by the norm.
    norm = np.log1p(p[..., None] * np.expm1(points))
    terms = (n1[..., None] * points - (n0 + n1)[..., None] * norm).sum(-2) + log_weight
    largest = terms.max(-1)
    return np.asarray(largest + np.log(np.exp(terms - largest[..., None]).sum(-1)), dtype=np.float64)
