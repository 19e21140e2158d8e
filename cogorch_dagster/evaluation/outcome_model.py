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
class OutcomeModel:
    """The means fitted to a log, and where its draws lie among them: one of each (tenant, attempt, arm).

    Attributes:
        by_arm: (S, K) reward to expect of each arm in each state.
        drawn: (P, T) of the arm that was drawn; 0 where there was no attempt.
        cell: (P, T) number of the draw's mean.
        cell_by_arm: (S, K) number of each arm's mean in each state.
        mass: (cells,) sample weight that each mean rests on.
        means: (P, T) the means without what features add to them; None where there are no features.
    """

    by_arm: Floats
    drawn: Floats
    cell: Ints
    cell_by_arm: Ints
    mass: Floats
    means: Floats | None = None

    def rows(self, patterns: Patterns, which: Ints) -> "OutcomeModel":
        """The same expectations for `patterns.rows(which)`, without another fit."""
        visited = patterns.visited(which)
        means = None if self.means is None else self.means[which]
        return OutcomeModel(
            self.by_arm[visited], self.drawn[which], self.cell[which], self.cell_by_arm[visited], self.mass, means
        )


@dataclass(frozen=True, eq=False)
class Predictions:
    """What the model expects of C candidates along every logged trajectory.

    Attributes:
        probability: (C, S, K) of the candidates' draws, as in `Importance`.
        first: (C, P) mean over what the candidate would draw at the first attempt.
        following: (C, P, T) the same at the attempt after this one; 0 after the last, whose reward is known.
    """

    model: OutcomeModel
    probability: Floats
    first: Floats
    following: Floats

    @property
    def drawn(self) -> Floats:
        """(P, T) reward to expect of the arm that was drawn; 0 where there was no attempt."""
        return self.model.drawn

    def fit_error(self, patterns: Patterns, weight: Floats) -> tuple[Floats, Floats]:
        """How each decision moves the value through the means that it helped to fit, as constant and slope (C, P).

        The value's derivative by the mean of a cell is the mass with which the candidate draws there, less the weight
        of the residuals that correct it; a decision moves that mean by its own residual over the cell's mass. For a
        candidate with a cell of its own per decision this is the influence of regression imputation.

        Args:
            weight: (C, P, T) of the residuals.
        """
        model, tried = self.model, patterns.attempted
        draws, cells = np.flatnonzero(tried), len(model.mass)
        weighted = weight * patterns.sums.s[:, None]
        reached = np.empty_like(weighted)
        reached[:, :, 0], reached[:, :, 1:] = patterns.sums.s, weighted[:, :, :-1]
        visits = _sums_by(patterns.state.ravel()[draws], _flat(reached)[:, draws], len(model.by_arm))
        due = _sums_by(model.cell_by_arm.ravel(), _flat(self.probability * visits[:, :, None]), cells)
        corrected = _sums_by(model.cell.ravel()[draws], _flat(weighted)[:, draws], cells)
        left = np.divide(due - corrected, model.mass, out=np.zeros_like(due), where=model.mass > 0)
        moved = np.where(tried, left[:, model.cell], 0.0)
        means = model.drawn if model.means is None else model.means
        return -(moved * means).sum(axis=2), moved.sum(axis=2)


def fitted(patterns: Patterns) -> OutcomeModel:
    """Fit the model to a log; it holds for whatever candidates are asked about."""
    states, tried = patterns.states, patterns.attempted
    attempts, arms = patterns.action.shape[1], len(patterns.arms)
    by_arm = expected_rewards(patterns)[states.fold, states.tenant, states.attempt]
    cell_by_arm = ((states.tenant * attempts + states.attempt) * arms)[:, None] + np.arange(arms)
    action = np.maximum(patterns.action, 0)
    cell = cell_by_arm[patterns.state, action]
    weight = np.broadcast_to(patterns.sums.s[:, None], tried.shape)
    mass = np.bincount(cell[tried], weights=weight[tried], minlength=len(patterns.tenants) * attempts * arms)
    drawn = np.where(tried, by_arm[patterns.state, action], 0.0)
    return OutcomeModel(by_arm, drawn, cell, cell_by_arm, mass.astype(np.float64, copy=False))


def predictions(patterns: Patterns, ratios: Importance, model: OutcomeModel | None = None) -> Predictions:
    """What the model expects of the candidates.

    Args:
        model: `fitted` to these patterns, where several sets of candidates are asked about; None: fit it now.
    """
    tried = patterns.attempted
    model = model or fitted(patterns)
    value = np.einsum("csk,sk->cs", ratios.probability, model.by_arm)[:, patterns.state]
    following = np.zeros_like(value)
    if tried.shape[1] > 1:
        following[:, :, :-1] = np.where(tried[:, 1:], value[:, :, 1:], 0.0)
    return Predictions(model, ratios.probability, value[:, :, 0], following)


def _flat(values: Floats) -> Floats:
    return values.reshape(len(values), -1)


def _sums_by(place: Ints, values: Floats, places: int) -> Floats:
    """(C, places) the sums of (C, M) values by their place (M,)."""
    numbers = place if len(values) == 1 else place + places * np.arange(len(values))[:, None]
    total = np.bincount(numbers.ravel(), weights=values.ravel(), minlength=places * len(values))
    return total.astype(np.float64, copy=False).reshape(len(values), places)


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
