"""The weights with the highest lower bound, among those near the weights in use.

The bound is not smooth in the weights (two estimators, a minimum effective sample size), so the search only compares:
from several starts it moves weight between two arms, in ever smaller portions, as long as that helps. With few arms
this visits every direction that the simplex has.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

import numpy as np

from cogorch_dagster.evaluation.improvement import Baseline
from cogorch_dagster.evaluation.patterns import Floats, Patterns

RESOLUTION = 0.001
"""Weights are proposed in whole thousandths, as a person would write them."""
_BATCH_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class Region:
    """The weights that may be proposed: `lower` <= w <= `upper`, summing to 1."""

    lower: Floats
    upper: Floats

    @classmethod
    def around(cls, active: Floats, step_limit: float, floor: float) -> "Region":
        """At most `step_limit` from the active weights in every arm, and none pushed below the exploration floor.

        An arm of weight 0 is switched off by whoever wrote the policy and stays off. An arm already below the floor
        may stay where it is. So the active weights themselves always lie in the region.
        """
        lower = np.minimum(active, np.maximum(floor, active - step_limit))
        upper = np.where(active > 0, np.minimum(1.0, active + step_limit), 0.0)
        return cls(lower, upper)

    def contains(self, weights: Floats, tolerance: float = 1e-9) -> bool:
        inside = (weights >= self.lower - tolerance) & (weights <= self.upper + tolerance)
        return bool(inside.all() and abs(weights.sum() - 1.0) <= tolerance)

    def fill(self, order: Floats) -> Floats:
        """The corner that gives as much as possible to the arms in order of a score, highest first."""
        weights = self.lower.copy()
        for arm in np.argsort(-order, kind="stable"):
            # Rounding may leave the sum a hair above 1; an arm that is switched off must not pay for it.
            weights[arm] += max(0.0, min(self.upper[arm] - weights[arm], 1.0 - weights.sum()))
        return weights

    def moves(self, weights: Floats, portion: float) -> Floats:
        """(M, K) every way to move up to `portion` from one arm to another inside the region."""
        found = []
        for source, target in permutations(range(len(weights)), 2):
            room = min(weights[source] - self.lower[source], self.upper[target] - weights[target], portion)
            if room >= RESOLUTION / 2:
                moved = weights.copy()
                moved[source] -= room
                moved[target] += room
                found.append(moved)
        return np.array(found).reshape(-1, len(weights))


@dataclass(frozen=True, eq=False)
class Objective:
    """Worse lower bound of the two estimators; minus infinity where too few decisions speak for the candidate."""

    patterns: Patterns
    active: Floats
    minimum_ess: float

    def __call__(self, candidates: Floats) -> Floats:
        rows = max(1, _BATCH_CELLS // max(1, self.patterns.action.size))
        parts = [self._batch(candidates[start : start + rows]) for start in range(0, len(candidates), rows)]
        return np.concatenate(parts) if parts else np.empty(0)

    @cached_property
    def _baseline(self) -> Baseline:
        return Baseline.of(self.patterns, self.active, ("dr", "snips"))

    def _batch(self, candidates: Floats) -> Floats:
        found = self._baseline.compare(candidates)
        bound = np.minimum(found["dr"].lower, found["snips"].lower)
        return np.where(found["dr"].effective_sample_size >= self.minimum_ess, bound, -np.inf)


def best_weights(objective: Objective, region: Region, *, seed: int = 0, random_starts: int = 8) -> Floats:
    """The best weights found, in whole thousandths inside the region; the active ones when nothing beats them."""
    arms = len(region.lower)
    generator = np.random.default_rng(seed)
    scores = [*np.eye(arms), *generator.random((random_starts, arms))]
    corners = np.array([region.fill(score) for score in scores])
    # Half-way points as well: with a large step the corners may all lack support.
    starts = np.concatenate([objective.active[None], corners, (corners + objective.active) / 2])
    values = objective(starts)
    best, bound = objective.active, values[0]
    for start in np.argsort(-values, kind="stable")[:3]:
        weights, value = _climb(objective, region, starts[start], float(values[start]))
        if value > bound:
            best, bound = weights, value
    rounded = rounded_weights(best, region)
    return rounded if objective(rounded[None])[0] > values[0] else objective.active


def _climb(objective: Objective, region: Region, weights: Floats, value: float) -> tuple[Floats, float]:
    portion = 0.25
    while portion >= RESOLUTION:
        moves = region.moves(weights, portion)
        values = objective(moves)
        if len(values) and values.max() > value + 1e-12:
            weights, value = moves[values.argmax()], float(values.max())
        else:
            portion /= 2
    return weights, value


def rounded_weights(weights: Floats, region: Region) -> Floats:
    """Whole thousandths that sum to 1, by largest remainder; unrounded where the region leaves no room for that."""
    lower, upper = np.ceil(region.lower / RESOLUTION - 1e-6), np.floor(region.upper / RESOLUTION + 1e-6)
    units = np.clip(np.floor(weights / RESOLUTION + 1e-6), lower, upper)
    for arm in np.argsort(units - weights / RESOLUTION, kind="stable"):
        missing = np.sign(round(1 / RESOLUTION) - units.sum())
        units[arm] = np.clip(units[arm] + missing, lower[arm], upper[arm])
    rounded = np.round(units * RESOLUTION, 6)
    return rounded if region.contains(rounded) else weights
