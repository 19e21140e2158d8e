"""Moments of bootstrap draws of incomplete rows, by a few steps of EM from those of all rows.

A draw's maximum lies within sampling error of that of all rows. The first step from there is linear in how often each
row was drawn, so that its expectations are computed once; three more, lengthened, lead to the draw's own maximum but
for a small part of the sampling error (the k-step bootstrap, Davidson and MacKinnon 1999; Andrews 2002).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cogorch_dagster.causal.data.dataset import Floats
from cogorch_dagster.causal.data.missing import (
    Batch,
    Moments,
    batches,
    expected,
    maximised,
)

STEPS = 3
"""Steps in each draw, after the first."""

# What a step leaves of the way to the maximum is the missing share of the information, taken to be at most this.
_MISSING = 0.7
# Numbers that are kept between draws; 160 MB.
_MOST_KEPT = 20_000_000


@dataclass(frozen=True, eq=False)
class DrawnMoments:
    """What draws of the same rows share.

    Attributes:
        values: (rows, q), NaN is missing.
        whole: moments of all rows.
    """

    values: Floats
    whole: Moments

    def of(self, weights: Floats) -> Moments:
        """Moments of the rows drawn; a column without a value among them follows the others as it does in all rows.

        Args:
            weights: (rows,) how often each row was drawn.
        """
        if not self._batches:
            return self._complete(weights)
        drawn = [each.of(weights[each.rows] > 0) for each in self._batches]
        # In units of the standard deviations of all rows, around their mean.
        at = np.vstack([np.zeros(len(self._scale)), self._unit])
        stride = np.zeros_like(at)
        for step, (share, again) in enumerate(_strides()):
            if step == 0 and self._first is not None:
                after = np.vstack(maximised(*self._first, self._batches, weights))
            else:
                after = np.vstack(maximised(*expected(self._z, drawn, at[0], at[1:]), drawn, weights))
            stride = share * (after - at) + again * stride
            at = at + stride if _positive((at + stride)[1:]) else after
        return Moments(self.whole.mean + self._scale * at[0], at[1:] * np.outer(self._scale, self._scale), STEPS)

    def _complete(self, weights: Floats) -> Moments:
        total = weights.sum()
        mean = weights @ self._z / total
        covariance = (self._z * weights[:, None]).T @ self._z / total - np.outer(mean, mean)
        return Moments(self.whole.mean + self._scale * mean, covariance * np.outer(self._scale, self._scale), 0)

    @cached_property
    def _known(self) -> Floats:
        return (~np.isnan(self.values)).astype(np.float64)

    @cached_property
    def _scale(self) -> Floats:
        deviation = np.sqrt(np.maximum(np.diag(self.whole.covariance), 0.0))
        return np.where(deviation > 0, deviation, 1.0)

    @cached_property
    def _unit(self) -> Floats:
        return self.whole.covariance / np.outer(self._scale, self._scale)

    @cached_property
    def _z(self) -> Floats:
        return np.where(self._known > 0, (self.values - self.whole.mean) / self._scale, 0.0)

    @cached_property
    def _batches(self) -> list[Batch]:
        return batches(self._known > 0)

    @cached_property
    def _first(self) -> tuple[Floats, list[Floats]] | None:
        """The expectations at the moments of all rows, unless they take too much memory."""
        if sum(each.columns.size * each.columns.shape[1] for each in self._batches) > _MOST_KEPT:
            return None
        return expected(self._z, self._batches, np.zeros(len(self._scale)), self._unit)


def _strides() -> Iterator[tuple[float, float]]:
    """Of each step, by what to multiply it, and how much of the last stride to add.

    The Chebyshev semi-iteration (Golub and Varga 1961): the best strides where steps cover between a share and all of
    the way.
    """
    middle, half = 1.0 - _MISSING / 2.0, _MISSING / 2.0
    ratio = half / middle
    yield 1.0 / middle, 0.0
    for _ in range(STEPS):
        following = 1.0 / (2.0 * middle / half - ratio)
        yield 2.0 * following / half, following * ratio
        ratio = following


def _positive(covariance: Floats) -> bool:
    try:
        np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return False
    return True
