"""The reward to expect of an arm, learnt from the log: the control variate of the doubly robust estimator.

Means per attempt, arm and tenant, each drawn towards the coarser mean above it, and cross-fitted: a decision is
predicted from the other folds only, so that its own noise never helps to predict it.
"""

import numpy as np

from cogorch_dagster.evaluation.patterns import Floats, Patterns

SHRINKAGE = 5.0
"""Pseudo-decisions with which a cell's mean is drawn towards the coarser one."""


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
