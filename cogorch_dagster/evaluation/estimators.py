"""Estimates of a candidate's value: by importance weights, by a model of the reward, and by both together.

Every estimate is a sum over decisions of s (constant + slope y), with s the sample weight, y the reward and one
constant and slope per pattern: its influence function. Value, standard error and, for two policies on the same log, the
standard error of their difference all follow from the patterns' six sums. A further estimator is one more function
that returns an `Influence`.

    ips     importance sampling
    snips   self-normalised importance sampling
    dm      direct method: the model alone
    dr      doubly robust: the model, corrected by importance-weighted residuals
    switch  doubly robust where the weight is at most a threshold, the model elsewhere
    dros    doubly robust with optimistic shrinkage of the weights
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from cogorch_dagster.evaluation.importance import Importance, effective_sample_size, importance
from cogorch_dagster.evaluation.intervals import quantile
from cogorch_dagster.evaluation.outcome_model import OutcomeModel, Predictions, predictions
from cogorch_dagster.evaluation.patterns import Floats, Patterns

EstimatorName = Literal["ips", "snips", "dm", "dr", "switch", "dros"]
EVERY: tuple[EstimatorName, ...] = get_args(EstimatorName)
_CERTAIN = 0.999
"""A decision that carries more of the total weight than this counts as carrying this much."""


@dataclass(frozen=True, eq=False)
class Influence:
    """Of C candidates: the value, and how far each decision moved it. `constant` and `slope` are (C, P).

    Attributes:
        bias: (C,) estimated systematic error; counts into the standard error. None: 0 by construction.
        parameter: (C,) threshold or shrinkage that was chosen; None where the estimator has none.
    """

    value: Floats
    constant: Floats
    slope: Floats
    bias: Floats | None = None
    parameter: Floats | None = None

    def __sub__(self, other: "Influence") -> "Influence":
        biased = self.bias is not None or other.bias is not None
        bias = np.asarray(_zero(self.bias) - _zero(other.bias)) if biased else None
        return Influence(self.value - other.value, self.constant - other.constant, self.slope - other.slope, bias)


@dataclass(frozen=True)
class Estimate:
    """The value of one policy, in units of the reward.

    `parameter` is the threshold of `switch` or the shrinkage of `dros`, infinite where that is plain `dr`.
    """

    estimator: EstimatorName
    value: float
    se: float
    ci95: tuple[float, float]
    effective_sample_size: float
    largest_weight: float
    decisions: int
    parameter: float | None = None


def estimate(
    patterns: Patterns, weights: Floats, estimator: EstimatorName = "dr", model: OutcomeModel | None = None
) -> Estimate:
    """The value of a router's weights on a log.

    Args:
        weights: (K,) over `patterns.arms`, or (X, K) for each tenant.
        model: as in `estimates`.
    """
    return estimates(patterns, importance(patterns, weights[None]), (estimator,), model)[estimator]


def estimates(
    patterns: Patterns,
    ratios: Importance,
    names: Iterable[EstimatorName] = EVERY,
    model: OutcomeModel | None = None,
) -> dict[EstimatorName, Estimate]:
    """The value of the first candidate by each of the estimators.

    Args:
        model: of the rewards; None: the means that `outcome_model` fits.
    """
    ess = float(effective_sample_size(patterns, ratios.ratio)[0])
    largest = float(ratios.ratio.max(initial=0.0))
    predicted = predictions(patterns, ratios, model)
    found: dict[EstimatorName, Estimate] = {}
    for name in names:
        influence = ESTIMATORS[name](patterns, ratios, predicted)
        value, se = float(influence.value[0]), float(standard_error(patterns, influence)[0])
        margin = float(quantile(ess)) * se
        found[name] = Estimate(
            estimator=name,
            value=value,
            se=se,
            ci95=(value - margin, value + margin),
            effective_sample_size=ess,
            largest_weight=largest,
            decisions=patterns.decisions,
            parameter=None if influence.parameter is None else float(influence.parameter[0]),
        )
    return found


def ips(patterns: Patterns, ratios: Importance, _predicted: Predictions) -> Influence:
    """Importance sampling, V = sum s r y / sum s (Horvitz and Thompson 1952): unbiased, the noisiest."""
    total = patterns.sums.s.sum()
    value = ratios.ratio @ patterns.sums.sy / total
    return Influence(value, np.broadcast_to(-value[:, None] / total, ratios.ratio.shape), ratios.ratio / total)


def snips(patterns: Patterns, ratios: Importance, _predicted: Predictions) -> Influence:
    """Self-normalised importance sampling, V = sum s r y / sum s r (Swaminathan and Joachims 2015).

    Its influence is h (y - V), with h = s r / sum s r the decision's share of the weight. A decision draws V towards
    itself in proportion to h, so its residual is too small by 1 - h in variance and is divided by that (HC2 of
    MacKinnon and White 1985, for a regression on the constant alone); with equal weights this is the usual n / (n - 1).
    """
    sums = patterns.sums
    total = ratios.ratio @ sums.s
    weighted = ratios.ratio @ sums.sy
    value = np.divide(weighted, total, out=np.zeros_like(total), where=total > 0)
    slope = np.divide(ratios.ratio, total[:, None], out=np.zeros_like(ratios.ratio), where=total[:, None] > 0)
    share = np.minimum(slope * (sums.ss / sums.s), _CERTAIN)
    # `standard_error` multiplies by n / (n - 1), which is right where all shares are 1 / n.
    slope = slope * np.sqrt((1.0 - 1.0 / max(patterns.decisions, 2)) / (1.0 - share))
    return Influence(value, -value[:, None] * slope, slope)


def direct(patterns: Patterns, ratios: Importance, predicted: Predictions) -> Influence:
    """The mean of what the model expects of the candidate. As wrong as the model is.

    With fallbacks, for instance, it expects what the logged policy got after a first draw, not what the candidate
    would. So its distance from doubly robust, as far as that exceeds its own error, counts into the standard error.
    """
    found = _corrected(patterns, predicted, np.zeros_like(ratios.cumulative))
    apart = found - _corrected(patterns, predicted, ratios.cumulative)
    beyond = np.maximum(apart.value**2 - standard_error(patterns, apart) ** 2, 0.0)
    return replace(found, bias=np.sign(apart.value) * np.sqrt(beyond))


def doubly_robust(patterns: Patterns, ratios: Importance, predicted: Predictions) -> Influence:
    """Sequential doubly robust (Jiang and Li 2016), with the reward paid at the end of the trajectory.

    A decision contributes V1 + r1 (V2 - Q1) + r2 (V3 - Q2) + ... + rT (y - QT): rt is the ratio of its first t
    attempts, Qt the reward to expect of the arm drawn at attempt t, Vt the mean of Q over what the candidate would draw
    there. Unbiased whatever Q is, since the propensities are logged; the better Q, the smaller the error.
    """
    return _corrected(patterns, predicted, ratios.cumulative)


def switch(patterns: Patterns, ratios: Importance, predicted: Predictions) -> Influence:
    """Doubly robust with weights above a threshold set to 0 (Wang, Agarwal and Dudik 2017)."""
    largest = float(ratios.ratio.max(initial=1.0))
    thresholds = np.geomspace(1.0, max(largest, 1.0), 8)[:-1]
    return _least_error(
        patterns, ratios, predicted, thresholds, lambda ratio, most: np.where(ratio <= most, ratio, 0.0)
    )


def shrunk(patterns: Patterns, ratios: Importance, predicted: Predictions) -> Influence:
    """Doubly robust with optimistic shrinkage, r -> c r / (r^2 + c) (Su, Dimakopoulou, Krishnamurthy, Dudik 2020).

    Their equation (6): the weights that minimise a bound of the mean squared error. c = 0 is the direct method, c
    infinite is doubly robust.
    """
    largest = float(ratios.ratio.max(initial=1.0))
    strengths = max(largest, 1.0) ** 2 * np.geomspace(1e-3, 1e3, 7)
    return _least_error(patterns, ratios, predicted, strengths, lambda ratio, c: c * ratio / (ratio * ratio + c))


def _corrected(patterns: Patterns, predicted: Predictions, weight: Floats) -> Influence:
    """The model, corrected by residuals with weights (C, P, T): V1 + w1 (V2 - Q1) + ... + wT (y - QT).

    The influence includes the error of the model's means, as far as the residuals leave it uncorrected. For doubly
    robust that vanishes in large samples; where a hundred decisions carry the weight its interval would cover 93 %
    without it.
    """
    sums = patterns.sums
    total = sums.s.sum()
    steps = weight * (predicted.following - predicted.drawn)
    constant = predicted.first + (steps[:, :, 0] if steps.shape[2] == 1 else steps.sum(axis=2))
    slope = weight[:, :, -1]
    value = (constant @ sums.s + slope @ sums.sy) / total
    fit_constant, fit_slope = predicted.fit_error(patterns, weight)
    return Influence(value, (constant - value[:, None] + fit_constant) / total, (slope + fit_slope) / total)


def _least_error(
    patterns: Patterns,
    ratios: Importance,
    predicted: Predictions,
    parameters: Floats,
    weigh: Callable[[Floats, float], Floats],
) -> Influence:
    """Of every parameter, and of no shrinkage at all, the one whose mean squared error is smallest.

    The bias is the difference from doubly robust, which has none. It is itself an estimate, so that its upper 95 %
    bound stands for it in the choice (Su et al. 2020, section 5), and its value counts into the standard error.
    """
    unbiased = _corrected(patterns, predicted, ratios.cumulative)
    best = unbiased
    error = standard_error(patterns, unbiased) ** 2
    chosen, bias = np.full_like(best.value, np.inf), np.zeros_like(best.value)
    for parameter in parameters:
        found = _corrected(patterns, predicted, weigh(ratios.cumulative, float(parameter)))
        apart = found - unbiased
        bound = np.abs(apart.value) + quantile(np.inf) * standard_error(patterns, apart)
        squared = standard_error(patterns, found) ** 2 + bound**2
        better = squared < error
        error, chosen = np.where(better, squared, error), np.where(better, parameter, chosen)
        bias = np.where(better, apart.value, bias)
        best = Influence(
            np.where(better, found.value, best.value),
            np.where(better[:, None], found.constant, best.constant),
            np.where(better[:, None], found.slope, best.slope),
        )
    return Influence(best.value, best.constant, best.slope, bias, chosen)


def _zero(bias: Floats | None) -> Floats | float:
    return 0.0 if bias is None else bias


ESTIMATORS: dict[EstimatorName, Callable[[Patterns, Importance, Predictions], Influence]] = {
    "ips": ips,
    "snips": snips,
    "dm": direct,
    "dr": doubly_robust,
    "switch": switch,
    "dros": shrunk,
}


def as_logged(patterns: Patterns) -> Influence:
    """The plain mean of what was logged, as one more policy to compare with."""
    total = patterns.sums.s.sum()
    value = np.array([patterns.sums.sy.sum() / total])
    ones = np.ones((1, len(patterns.sums.s)))
    return Influence(value, ones * (-value / total), ones / total)


def standard_error(patterns: Patterns, influence: Influence) -> Floats:
    """(C,) from the influence's squares, with the n / (n - 1) of a sample variance; infinite for a single decision."""
    sums, a, b = patterns.sums, influence.constant, influence.slope
    squares = (a * a) @ sums.ss + 2.0 * (a * b) @ sums.ssy + (b * b) @ sums.ssyy
    n = patterns.decisions
    if n < 2:
        return np.full(len(squares), np.inf)
    variance = np.maximum(squares, 0.0) * n / (n - 1)
    return np.asarray(np.sqrt(variance if influence.bias is None else variance + influence.bias**2))


def sampling_error(patterns: Patterns, ratios: Importance, value: Floats) -> Floats:
    """(C,) standard error that a plain mean would have on as many fresh decisions made by the candidate itself."""
    sums, total = patterns.sums, patterns.sums.s.sum()
    around = sums.ssyy - 2.0 * value[:, None] * sums.ssy + value[:, None] ** 2 * sums.ss
    mass = ratios.ratio @ sums.s
    squares = np.divide((ratios.ratio * around).sum(axis=1), mass, out=np.zeros_like(mass), where=mass > 0)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0) / total))
