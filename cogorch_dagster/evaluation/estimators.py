"""Estimates of a candidate's value: self-normalised importance sampling and doubly robust.

Every estimate is a sum over decisions of s (constant + slope y), with s the sample weight, y the reward and one
constant and slope per pattern: its influence function. Value, standard error and, for two policies on the same log, the
standard error of their difference all follow from the patterns' six sums. A further estimator is one more function
that returns an `Influence`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cogorch_dagster.evaluation.importance import Importance, effective_sample_size, importance
from cogorch_dagster.evaluation.outcome_model import expected_rewards
from cogorch_dagster.evaluation.patterns import Floats, Patterns

Z95 = 1.959963984540054
EstimatorName = Literal["ips", "snips", "dr"]


@dataclass(frozen=True, eq=False)
class Influence:
    """Of C candidates: the value, and how far each decision moved it. `constant` and `slope` are (C, P)."""

    value: Floats
    constant: Floats
    slope: Floats

    def __sub__(self, other: "Influence") -> "Influence":
        return Influence(self.value - other.value, self.constant - other.constant, self.slope - other.slope)


@dataclass(frozen=True)
class Estimate:
    """The value of one policy, in units of the reward."""

    estimator: EstimatorName
    value: float
    se: float
    ci95: tuple[float, float]
    effective_sample_size: float
    largest_weight: float
    decisions: int


def estimate(patterns: Patterns, weights: Floats, estimator: EstimatorName = "dr") -> Estimate:
    """The value of a router's weights on a log.

    Args:
        weights: (K,) over `patterns.arms`, or (X, K) for each tenant.
    """
    ratios = importance(patterns, weights[None])
    influence = ESTIMATORS[estimator](patterns, ratios, expected_rewards(patterns))
    value, se = float(influence.value[0]), float(standard_error(patterns, influence)[0])
    return Estimate(
        estimator=estimator,
        value=value,
        se=se,
        ci95=(value - Z95 * se, value + Z95 * se),
        effective_sample_size=float(effective_sample_size(patterns, ratios.ratio)[0]),
        largest_weight=float(ratios.ratio.max(initial=0.0)),
        decisions=patterns.decisions,
    )


def ips(patterns: Patterns, ratios: Importance, _expected: Floats) -> Influence:
    """Importance sampling, V = sum s r y / sum s (Horvitz and Thompson 1952): unbiased, the noisiest."""
    total = patterns.sums.s.sum()
    value = ratios.ratio @ patterns.sums.sy / total
    return Influence(value, np.broadcast_to(-value[:, None] / total, ratios.ratio.shape), ratios.ratio / total)


def snips(patterns: Patterns, ratios: Importance, _expected: Floats) -> Influence:
    """Self-normalised importance sampling, V = sum s r y / sum s r (Swaminathan and Joachims 2015).

    Its influence is s r (y - V) / sum s r, the linearisation of the ratio.
    """
    total = ratios.ratio @ patterns.sums.s
    weighted = ratios.ratio @ patterns.sums.sy
    value = np.divide(weighted, total, out=np.zeros_like(total), where=total > 0)
    slope = np.divide(ratios.ratio, total[:, None], out=np.zeros_like(ratios.ratio), where=total[:, None] > 0)
    return Influence(value, -value[:, None] * slope, slope)


def doubly_robust(patterns: Patterns, ratios: Importance, expected: Floats) -> Influence:
    """Sequential doubly robust (Jiang and Li 2016), with the reward paid at the end of the trajectory.

    A decision contributes V1 + r1 (V2 - Q1) + r2 (V3 - Q2) + ... + rT (y - QT): rt is the ratio of its first t
    attempts, Qt the reward to expect of the arm drawn at attempt t, Vt the mean of Q over what the candidate would draw
    there. Unbiased whatever Q is, since the propensities are logged; the better Q, the smaller the error.
    """
    states = patterns.states
    by_arm = expected[states.fold, states.tenant, states.attempt]
    of_state = np.einsum("csk,sk->cs", ratios.probability, by_arm)
    tried = patterns.attempted
    drawn = by_arm[patterns.state, np.maximum(patterns.action, 0)]
    before = np.concatenate([np.ones_like(ratios.cumulative[:, :, :1]), ratios.cumulative[:, :, :-1]], axis=2)
    terms = before * of_state[:, patterns.state] - ratios.cumulative * drawn
    constant = np.where(tried, terms, 0.0).sum(axis=2)
    total = patterns.sums.s.sum()
    value = (constant @ patterns.sums.s + ratios.ratio @ patterns.sums.sy) / total
    return Influence(value, (constant - value[:, None]) / total, ratios.ratio / total)


ESTIMATORS: dict[EstimatorName, Callable[[Patterns, Importance, Floats], Influence]] = {
    "ips": ips,
    "snips": snips,
    "dr": doubly_robust,
}


def standard_error(patterns: Patterns, influence: Influence) -> Floats:
    """(C,) from the influence's squares, with the n / (n - 1) of a sample variance; infinite for a single decision."""
    sums, a, b = patterns.sums, influence.constant, influence.slope
    squares = (a * a) @ sums.ss + 2.0 * (a * b) @ sums.ssy + (b * b) @ sums.ssyy
    n = patterns.decisions
    if n < 2:
        return np.full(len(squares), np.inf)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0) * n / (n - 1)))


def sampling_error(patterns: Patterns, ratios: Importance, value: Floats) -> Floats:
    """(C,) standard error that a plain mean would have on as many fresh decisions made by the candidate itself."""
    sums, total = patterns.sums, patterns.sums.s.sum()
    around = sums.ssyy - 2.0 * value[:, None] * sums.ssy + value[:, None] ** 2 * sums.ss
    mass = ratios.ratio @ sums.s
    squares = np.divide((ratios.ratio * around).sum(axis=1), mass, out=np.zeros_like(mass), where=mass > 0)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0) / total))
