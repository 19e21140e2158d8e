"""Whether the data can tell the effect at all: are there comparable rows with other treatment?

Of a binary treatment: propensities, effective sample sizes of the weighted arms, balance. Of a continuous one: the
variation that the controls leave, and how few rows hold it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cogorch_dagster.causal.effects.estimation.estimate import Floats, checked, is_binary
from cogorch_dagster.causal.effects.estimation.features import expand
from cogorch_dagster.causal.effects.estimation.projection import projection
from cogorch_dagster.causal.effects.estimation.ridge import logistic

Verdict = Literal["good", "poor", "none"]
_EDGE = 0.05
_PENALTY = 1e-3
_UNBALANCED = 0.1
_APART = 0.5
"""Standard deviations that weighting should have removed: the arms lie in different places."""
_FEWEST = 20.0
_LEAST_VARIATION = 0.02


@dataclass(frozen=True)
class Overlap:
    """What was found.

    Attributes:
        verdict: "good"; "poor", the effect rests on few rows or on the model; "none", there is nothing to compare.
        effective_rows: that carry the comparison (Kish 1965); of a binary treatment, of the arm that has fewer.
        outside: share of rows with a propensity below .05 or above .95; None for a continuous treatment.
        propensities: least, 5 %, median, 95 %, greatest; None for a continuous treatment.
        imbalance: largest standardised mean difference of a control between the arms, before and after weighting;
            None for a continuous treatment.
        variation: share of the treatment's variance that the controls leave.
        leverage: largest share of that variation that one row holds.
        reasons: for a verdict other than good, in sentences.
    """

    verdict: Verdict
    effective_rows: float
    outside: float | None
    propensities: tuple[float, float, float, float, float] | None
    imbalance: tuple[float, float] | None
    variation: float
    leverage: float
    reasons: tuple[str, ...]


def overlap(
    treatment: npt.ArrayLike, controls: npt.ArrayLike | None = None, *, propensity: Floats | None = None
) -> Overlap:
    """The overlap of a treatment given controls.

    Args:
        treatment: (n,). controls: (n, k).
        propensity: (n,) of the higher of two values, such as from `doubly_robust`; None: logistic regression.

    Raises:
        InvalidInput: shapes, missing values, a constant treatment.
    """
    _, t, z = checked(np.zeros(len(np.asarray(treatment))), treatment, controls)
    rest = projection(z).residual(t)
    square = float(rest @ rest)
    variation = square / float(np.sum((t - t.mean()) ** 2))
    shares = rest**2 / square if square > 0 else np.full(len(t), 1.0 / len(t))
    leverage, carrying = float(shares.max()), float(1.0 / np.sum(shares**2))
    if not is_binary(t):
        reasons = _of_variation(variation, leverage, carrying)
        verdict: Verdict = "none" if variation < 1e-6 or carrying < 3 else "poor" if reasons else "good"
        return Overlap(verdict, carrying, None, None, None, variation, leverage, reasons)
    high = (t == t.max()).astype(np.float64)
    e = _propensity(high, z) if propensity is None else propensity
    return _binary(high, z, np.clip(e, 1e-6, 1.0 - 1e-6), variation, leverage)


def _propensity(high: Floats, z: Floats) -> Floats:
    features = expand(z)
    linear = features.columns[:, : features.linear]
    return logistic(linear, high, _PENALTY).predict(linear)


def _of_variation(variation: float, leverage: float, carrying: float) -> tuple[str, ...]:
    found = []
    if variation < _LEAST_VARIATION:
        found.append(f"the controls leave {variation:.2%} of the treatment's variance; the effect rests on that")
    if carrying < _FEWEST:
        found.append(f"the variation lies in as few as {carrying:.0f} rows, one of them with {leverage:.0%} of it")
    return tuple(found)


def _binary(high: Floats, z: Floats, e: Floats, variation: float, leverage: float) -> Overlap:
    weights = high / e + (1.0 - high) / (1.0 - e)
    arms = [weights * high, weights * (1.0 - high)]
    effective = min(float(arm.sum() ** 2 / (arm @ arm)) if arm.any() else 0.0 for arm in arms)
    outside = float(np.mean((e < _EDGE) | (e > 1.0 - _EDGE)))
    before, after = _imbalance(z, high, 1.0 - high), _imbalance(z, *arms)
    reasons = []
    if outside > 0.1:
        reasons.append(f"{outside:.0%} of the rows have a propensity below {_EDGE} or above {1 - _EDGE}")
    if effective < _FEWEST:
        reasons.append(f"one arm, weighted, is worth {effective:.0f} rows")
    if after > _UNBALANCED:
        reasons.append(f"after weighting a control still differs by {after:.2f} standard deviations between the arms")
    apart = effective < 3 or outside > 0.9 or after > _APART
    verdict: Verdict = "none" if apart else "poor" if reasons else "good"
    a, b, c, d, f = (float(each) for each in np.quantile(e, (0.0, 0.05, 0.5, 0.95, 1.0)))
    return Overlap(verdict, effective, outside, (a, b, c, d, f), (before, after), variation, leverage, tuple(reasons))


def _imbalance(z: Floats, one: Floats, other: Floats) -> float:
    """Largest difference of weighted means, in standard deviations of the control."""
    scale = z.std(axis=0)
    used = scale > 0
    if not used.any():
        return 0.0
    difference = one @ z[:, used] / one.sum() - other @ z[:, used] / other.sum()
    return float(np.abs(difference / scale[used]).max())
