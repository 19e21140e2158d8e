"""How much likelier a candidate's weights make each logged trajectory.

The environment decides which arms are available and whether an attempt fails; the policy decides each draw. So the
ratio of a decision is the product over its attempts of

    [w(a) / sum of w(b) over the available b] / logged propensity,

and the mean of ratio x reward is an unbiased estimate of the candidate's value as long as availability (cool-downs)
does not itself depend on the weights (Precup, Sutton and Singh 2000, per-trajectory importance sampling).
"""

from dataclasses import dataclass

import numpy as np

from cogorch_dagster.evaluation.patterns import Floats, Ints, Patterns


@dataclass(frozen=True, eq=False)
class Importance:
    """Of C candidates at once.

    Attributes:
        probability: (C, S, K) of drawing each arm in each state; 0 everywhere where no available arm has weight.
        cumulative: (C, P, T) ratio of the first t attempts; constant after the last one.
        ratio: (C, P) ratio of the whole trajectory.
    """

    probability: Floats
    cumulative: Floats

    @property
    def ratio(self) -> Floats:
        return self.cumulative[:, :, -1]

    def rows(self, patterns: Patterns, which: Ints) -> "Importance":
        """The ratios that belong to `patterns.rows(which)`."""
        return Importance(self.probability[:, patterns.visited(which)], self.cumulative[:, which])


def importance(patterns: Patterns, weights: Floats) -> Importance:
    """The ratios of candidates.

    Args:
        weights: (C, K), or (C, X, K) with weights of their own for each of the X tenants.
    """
    per_tenant = weights[:, None, :] if weights.ndim == 2 else weights
    tenant = patterns.states.tenant if weights.ndim == 3 else np.zeros_like(patterns.states.tenant)
    mass = per_tenant[:, tenant, :] * patterns.states.available
    total = mass.sum(axis=2, keepdims=True)
    return of_probability(patterns, np.divide(mass, total, out=np.zeros_like(mass), where=total > 0))


def of_probability(patterns: Patterns, probability: Floats) -> Importance:
    """The ratios of candidates that draw with probabilities (C, S, K) in each state."""
    drawn = probability[:, patterns.state, np.maximum(patterns.action, 0)]
    step = np.where(patterns.attempted, drawn / patterns.propensity, 1.0)
    return Importance(probability, np.multiply.accumulate(step, axis=2))


def effective_sample_size(patterns: Patterns, ratio: Floats) -> Floats:
    """Kish's (sum of weights)^2 / sum of squared weights, of ratio x sample weight; 0 when every weight is 0."""
    total = ratio @ patterns.sums.s
    squares = (ratio**2) @ patterns.sums.ss
    return np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0)
