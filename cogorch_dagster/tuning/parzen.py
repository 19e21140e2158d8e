"""A multivariate tree-structured Parzen estimator over the unit cube: where the next trial of a search belongs.

Bergstra et al. (2011), "Algorithms for hyper-parameter optimization", section 4: trials are split into good and bad
ones, the density of either is estimated, and of candidates drawn from the good density the one with the largest ratio
good / bad is tried. As in BOHB (Falkner et al. 2018, section 3.3) a kernel is a product over all dimensions, so that
what goes together stays together, and as in Watanabe (2023, arXiv 2304.11127, section 3) an even prior takes part in
both densities, and trials have weights. Chosen for 20 to 40 trials in 3 to 8 dimensions, by functions as in
`benchmarks/parzen.py` and by models of trainings, on other seeds than any benchmark's:

- The first trials fill the space (a Latin hypercube, McKay et al. 1979) rather than being drawn one by one.
- Which trials are good and what each weighs follows from ranks alone (`ranking.py`): a score may be transformed
  monotonously without any effect.
- One width per dimension by Scott's rule, of a spread that begins at a prior's: three good trials do not tell theirs.
- A failed trial is worse than every score, and one that is still running counts as bad, so that workers keep apart.

Places are points of the cube; which values they stand for is `cube.py` and `dimension.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.tuning.ranking import bad_weights, good_weights, ranking, split

Floats = npt.NDArray[np.float64]

# Trials that fill the space before the densities are asked.
FIRST_TRIALS = 6
CANDIDATES = 24
# Of Scott's width, as good trials of a search are no sample of one normal distribution.
WIDTH = 0.8
NARROWEST, WIDEST = 0.03, 0.5
# The spread of a dimension before anything is known, and the trials that this counts as.
SPREAD, SPREAD_TRIALS = 0.25, 1.5
# Of the even density, as a share of an average trial's weight.
PRIOR = 1.0


@dataclass(frozen=True)
class Mixture:
    """A density over the cube: a product kernel around each centre, and an even one.

    Kernels are normal, cut to the unit interval; those of a choice of K values give 1 - s to the centre's own and
    s / (K - 1) to each other one (Aitchison and Aitken 1976).

    Attributes:
        centres: places, [kernels, dimensions].
        weights: of the kernels and, last, of the even density, [kernels + 1], at least 0, of sum 1.
        widths: of each dimension's kernels, [dimensions], positive; of a choice s, 0 to (K - 1) / K.
        choices: K of each dimension, 0 for a number, [dimensions].
    """

    centres: Floats
    weights: Floats
    widths: Floats
    choices: tuple[int, ...]

    def draws(self, count: int, rng: np.random.Generator) -> Floats:
        """Places from it, [count, dimensions]; a choice's is the middle of its part of the interval."""
        from scipy.special import ndtri

        found = rng.random((count, len(self.choices)))
        kernel = np.searchsorted(np.cumsum(self.weights)[:-1], rng.random(count), side="right")
        near = np.flatnonzero(kernel < len(self.centres))
        chosen = kernel[near]
        for number in self._numbers:
            low, high = self._ends[0][chosen, number], self._ends[1][chosen, number]
            inside = ndtri(low + found[near, number] * (high - low)) * self.widths[number]
            found[near, number] = np.clip(self.centres[chosen, number] + inside, 0.0, 1.0)
        for number in self._chosen:
            found[:, number] = self._choices_drawn(number, near, chosen, found[:, number], rng)
        return found

    def log_density(self, places: Floats) -> Floats:
        """Of places, [n, dimensions] to [n]; of choices a density too: K times the probability."""
        numbers = self._numbers
        at, centres = places[:, numbers] / self.widths[numbers], self.centres[:, numbers] / self.widths[numbers]
        # Squares of differences as one product of matrices: of all kernels at all places.
        log = at @ centres.T - 0.5 * (at * at).sum(1)[:, None] + (self._log_scales - 0.5 * (centres * centres).sum(1))
        for number in self._chosen:
            count, s = self.choices[number], self.widths[number]
            same = _choice(places[:, number], count)[:, None] == _choice(self.centres[:, number], count)
            log += np.log(np.where(same, 1.0 - s, s / (count - 1)) * count)
        top = np.maximum(log.max(axis=1, initial=-np.inf), 0.0)
        return np.asarray(
            top + np.log(np.exp(log - top[:, None]) @ self.weights[:-1] + np.exp(-top) * self.weights[-1])
        )

    @cached_property
    def _numbers(self) -> npt.NDArray[np.intp]:
        return np.flatnonzero(np.asarray(self.choices) == 0)

    @cached_property
    def _chosen(self) -> list[int]:
        return [number for number, count in enumerate(self.choices) if count]

    @cached_property
    def _ends(self) -> tuple[Floats, Floats]:
        """Of the normal distribution at either end of the interval, [kernels, dimensions] each."""
        from scipy.special import ndtr

        return ndtr(-self.centres / self.widths), ndtr((1.0 - self.centres) / self.widths)

    @cached_property
    def _log_scales(self) -> Floats:
        numbers = self._numbers
        inside = (self._ends[1] - self._ends[0])[:, numbers] * self.widths[numbers] * np.sqrt(2.0 * np.pi)
        return np.asarray(-np.log(inside).sum(axis=1))

    def _choices_drawn(
        self,
        number: int,
        near: npt.NDArray[np.intp],
        kernels: npt.NDArray[np.intp],
        at: Floats,
        rng: np.random.Generator,
    ) -> Floats:
        count = self.choices[number]
        found = _choice(at, count)
        own = _choice(self.centres[kernels, number], count)
        other = (own + rng.integers(1, count, len(own))) % count
        found[near] = np.where(at[near] < self.widths[number], other, own)
        return np.asarray((found + 0.5) / count)


def first_place(choices: Sequence[int], seed: int, number: int) -> Floats:
    """The place of the number-th of the first trials, [dimensions], 0 <= number < FIRST_TRIALS."""
    rng, count = np.random.default_rng(seed), len(choices)
    rows = rng.permuted(np.tile(np.arange(FIRST_TRIALS), (count, 1)), axis=1)
    return np.asarray((rows[:, number] + rng.random((FIRST_TRIALS, count))[number]) / FIRST_TRIALS)


def next_place(choices: Sequence[int], places: Floats, values: Floats, seed: int) -> Floats:
    """Where the next trial belongs, [dimensions].

    Args:
        choices: K of each dimension that is a choice of K values, 0 for a number, [dimensions].
        places: of the trials so far, [trials, dimensions], 0..1; those of choice k in [k / K, (k + 1) / K).
        values: their objectives, [trials, objectives], more is better; -inf where a trial failed, NaN while it runs.
        seed: with the trials it decides everything.

    Raises:
        InvalidInput: shapes that do not fit, or a place outside of the cube.
    """
    _check(choices, places, values)
    rng = np.random.default_rng(seed)
    scored = np.flatnonzero(np.isfinite(values).all(axis=1))
    order, ranks = ranking(values[scored])
    order, ranks = scored[order], ranks[order]
    count = split(ranks)
    good, bad = order[:count], np.delete(np.arange(len(places)), order[:count])
    weights = np.ones(len(places))
    weights[good], weights[order[count:]] = good_weights(ranks[:count]), bad_weights(ranks[count:])
    better, worse = density(choices, places[good], weights[good]), density(choices, places[bad], weights[bad])
    candidates = better.draws(CANDIDATES, rng)
    best = int(np.argmax(better.log_density(candidates) - worse.log_density(candidates)))
    return np.asarray(candidates[best])


def density(choices: Sequence[int], places: Floats, weights: Floats) -> Mixture:
    """The Parzen estimate of where these places come from.

    Args:
        weights: [places], at least 0; the even density has the average one, times `PRIOR`.
    """
    count, dimensions = places.shape
    share = np.append(weights, PRIOR * (weights.mean() if count else 1.0))
    weights = share / share.sum()
    # Scott's rule, with the even density as one observation more.
    shrinks = (count + 1.0) ** (-1.0 / (dimensions + 4))
    squares = ((places - places.mean(axis=0)) ** 2).sum(axis=0) if count else np.zeros(dimensions)
    spread = np.sqrt((SPREAD_TRIALS * SPREAD**2 + squares) / (SPREAD_TRIALS + max(count - 1, 0)))
    widths = np.clip(WIDTH * spread * shrinks, NARROWEST, WIDEST)
    counts = np.asarray(choices)
    others = shrinks * (1.0 - 1.0 / np.maximum(counts, 1))
    return Mixture(places, weights, np.where(counts > 0, others, widths), tuple(choices))


def _choice(places: Floats, count: int) -> npt.NDArray[np.intp]:
    return np.minimum((places * count).astype(np.intp), count - 1)


def _check(choices: Sequence[int], places: Floats, values: Floats) -> None:
    if places.ndim != 2 or values.ndim != 2 or len(places) != len(values) or places.shape[1] != len(choices):
        raise InvalidInput(
            f"places {places.shape} and values {values.shape} do not fit {len(choices)} dimensions: "
            "give [trials, dimensions] and [trials, objectives]"
        )
    if not ((places >= 0.0) & (places <= 1.0)).all():
        raise InvalidInput("a place lies outside of the unit cube; give coordinates from 0 to 1")
