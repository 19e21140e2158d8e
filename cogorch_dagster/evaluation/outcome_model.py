"""The reward to expect of an arm, learnt from the log: the control variate of the doubly robust estimator.

Means per attempt, arm and tenant, each drawn towards the coarser mean above it, and cross-fitted: a decision is
predicted from the other folds only, so that its own noise never helps to predict it.
"""

from dataclasses import dataclass

import numpy as np

from cogorch_dagster.evaluation.importance import Importance
from cogorch_dagster.evaluation.patterns import Floats, Ints, Patterns

SHRINKAGE = 5.0
"""Pseudo-decisions with which a cell's mean is drawn towards the coarser one."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What the model expects of C candidates along every logged trajectory.

    Attributes:
        probability: (C, S, K) of the candidates' draws, as in `Importance`.
        first: (C, P) mean over what the candidate would draw at the first attempt.
        following: (C, P, T) the same at the attempt after this one; 0 after the last, whose reward is known.
        drawn: (P, T) of the arm that was drawn; 0 where there was no attempt.
    """

    probability: Floats
    first: Floats
    following: Floats
    drawn: Floats

    def fit_error(self, patterns: Patterns, weight: Floats) -> tuple[Floats, Floats]:
        """How each decision moves the value through the means that it helped to fit, as constant and slope (C, P).

        The value's derivative by the mean of a cell is the mass with which the candidate draws there, less the weight
        of the residuals that correct it; a decision moves that mean by its own residual over the cell's mass. For a
        candidate with a cell of its own per decision this is the influence of regression imputation.

        Args:
            weight: (C, P, T) of the residuals.
        """
        sums, tried = patterns.sums, patterns.attempted
        cell, cells = _cell_of(patterns)
        reached = np.concatenate([np.ones_like(weight[:, :, :1]), weight[:, :, :-1]], axis=2)
        mass = np.bincount(cell[tried], weights=np.broadcast_to(sums.s[:, None], tried.shape)[tried], minlength=cells)
        arms = len(patterns.arms)
        states = patterns.states
        base = (states.tenant * patterns.action.shape[1] + states.attempt) * arms
        every = base[:, None] + np.arange(arms)
        constant, slope = np.zeros_like(self.first), np.zeros_like(self.first)
        for candidate in range(len(weight)):
            by_state = np.bincount(
                patterns.state[tried],
                weights=(reached[candidate] * sums.s[:, None])[tried],
                minlength=len(states.tenant),
            )
            drawn = self.probability[candidate] * by_state[:, None]
            due = np.bincount(every.ravel(), weights=drawn.ravel(), minlength=cells)
            corrected = np.bincount(cell[tried], weights=(weight[candidate] * sums.s[:, None])[tried], minlength=cells)
            left = np.divide(due - corrected, mass, out=np.zeros(cells), where=mass > 0)
            moved = np.where(tried, left[cell], 0.0)
            slope[candidate] = moved.sum(axis=1)
            constant[candidate] = -(moved * self.drawn).sum(axis=1)
        return constant, slope


def predictions(patterns: Patterns, ratios: Importance) -> Predictions:
    """What the model, fitted to the log, expects of the candidates."""
    states, tried = patterns.states, patterns.attempted
    by_arm = expected_rewards(patterns)[states.fold, states.tenant, states.attempt]
    of_state = np.einsum("csk,sk->cs", ratios.probability, by_arm)
    value = of_state[:, patterns.state]
    drawn = by_arm[patterns.state, np.maximum(patterns.action, 0)]
    first = value[:, :, 0]
    if tried.shape[1] == 1:
        return Predictions(ratios.probability, first, np.zeros_like(value), drawn)
    following = np.zeros_like(value)
    following[:, :, :-1] = np.where(tried[:, 1:], value[:, :, 1:], 0.0)
    return Predictions(ratios.probability, first, following, np.where(tried, drawn, 0.0))


def _cell_of(patterns: Patterns) -> tuple[Ints, int]:
    """(P, T) the number of each draw's mean, that of (tenant, attempt, arm), and how many there are."""
    attempts, arms = patterns.action.shape[1], len(patterns.arms)
    state = patterns.state
    cell = (patterns.states.tenant[state] * attempts + patterns.states.attempt[state]) * arms
    return cell + np.maximum(patterns.action, 0), len(patterns.tenants) * attempts * arms


def expected_rewards(patterns: Patterns) -> Floats:
    """(folds, tenants, attempts, arms): the reward to expect of a decision that draws an arm at an attempt."""
    mass, total = _cells(patterns)
    if patterns.folds > 1:
        mass = mass.sum(axis=0, keepdims=True) - mass
        total = total.sum(axis=0, keepdims=True) - total
    # From coarse to fine: everything, then the attempt, then the arm, then the arm within the tenant.
    mean = np.full((mass.shape[0], 1, 1, 1), float(patterns.sums.sy.sum() / max(patterns.sums.s.sum(), 1e-300)))
    for axes in ((1, 2, 3), (1, 3), (1,), ()):
        pooled_mass, pooled_total = mass, total
        if axes:
            pooled_mass, pooled_total = mass.sum(axis=axes, keepdims=True), total.sum(axis=axes, keepdims=True)
        if axes == (1, 2, 3):
            mean = np.divide(pooled_total, pooled_mass, out=mean.copy(), where=pooled_mass > 0)
            continue
        mean = (pooled_total + SHRINKAGE * mean) / (pooled_mass + SHRINKAGE)
    return mean


def _cells(patterns: Patterns) -> tuple[Floats, Floats]:
    """Sums of sample weight and of weighted reward per (fold, tenant, attempt, arm)."""
    shape = (patterns.folds, len(patterns.tenants), patterns.action.shape[1], len(patterns.arms))
    tried = patterns.attempted
    state = patterns.state[tried]
    attempt = np.broadcast_to(np.arange(shape[2]), patterns.action.shape)[tried]
    cell = np.ravel_multi_index(
        (patterns.states.fold[state], patterns.states.tenant[state], attempt, patterns.action[tried]), shape
    )
    row = np.nonzero(tried)[0]
    size = int(np.prod(shape))
    mass, total = (
        np.bincount(cell, weights=weights[row], minlength=size).astype(np.float64).reshape(shape)
        for weights in (patterns.sums.s, patterns.sums.sy)
    )
    return mass, total
