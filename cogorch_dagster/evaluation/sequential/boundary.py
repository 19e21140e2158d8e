"""How many standard errors an always-valid interval reaches: boundaries of the normal mixture.

Both are those of a Brownian motion that is watched from its start for ever. A *clock* counts information in units of
the target: at clock 1 the two-sided boundary is as tight as it can be made there. The choice costs little: at ten times
the target an interval at alpha = .05 is 5 % wider than one tuned for that size, at a tenth of it 25 %. It has to be
fixed before the data are seen.
"""

from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput

Floats: TypeAlias = NDArray[np.float64]


@cache
def tuned(alpha: float) -> float:
    """The value of t ρ² at which the two-sided boundary is tightest at time t.

    It solves x = log(1 + x) - 2 log(alpha): the exact form of the ρ of Waudby-Smith et al. (2024, appendix B), who give
    it by Lambert's W.

    Raises:
        InvalidInput: alpha outside (0, 1).
    """
    if not 0 < alpha < 1:
        raise InvalidInput(f"alpha must lie between 0 and 1, got {alpha}")
    x = 1.0
    for _ in range(200):  # a contraction: the slope of the right side is 1 / (1 + x)
        x = float(np.log1p(x)) - 2.0 * float(np.log(alpha))
    return x


def two_sided(clock: Floats | float, alpha: float) -> Floats:
    """Standard errors on both sides of the estimate (Waudby-Smith et al. 2024, theorem 2.2). Infinite at clock 0."""
    x = np.asarray(clock, dtype=np.float64) * tuned(alpha)
    with np.errstate(divide="ignore"):
        return np.asarray(np.sqrt((1 + 1 / x) * np.log((1 + x) / alpha**2)), dtype=np.float64)


def one_sided(clock: Floats | float, alpha: float) -> Floats:
    """Standard errors on one side (Howard et al. 2021, proposition 6: half of the normal mixture)."""
    x = np.asarray(clock, dtype=np.float64) * tuned(min(2 * alpha, 0.999))
    with np.errstate(divide="ignore"):
        return np.asarray(np.sqrt((1 + 1 / x) * 2 * np.log1p(np.sqrt(1 + x) / (2 * alpha))), dtype=np.float64)
