"""Where the rows of a model lie, and what to say of a question that leaves them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
STORED_ROWS = 512
_NEAR = 0.5
_FEWEST_NEAR = 0.01
_LEAST_OWN_VARIANCE = 0.02
_NORMAL_99 = 2.3263478740408408


@dataclass(frozen=True, eq=False)
class Support:
    """Of q columns.

    Attributes:
        low, high: (q,) least and largest value.
        quantiles: (q, 7) at `LEVELS`.
        mean: (q,). covariance: (q, q).
        rows: (r, q) a sample of at most 512 rows; NaN is missing.
        errors: (q, 21) quantiles of the residuals, from 0 to 1 in equal steps.
    """

    low: Floats
    high: Floats
    quantiles: Floats
    mean: Floats
    covariance: Floats
    rows: Floats
    errors: Floats

    @classmethod
    def of(cls, values: Floats, mean: Floats, covariance: Floats, residuals: Floats, seed: int) -> "Support":
        """Of (rows, q) values with NaN where missing, their moments and the residuals of the equations."""
        rng = np.random.default_rng(seed)
        kept = np.sort(rng.permutation(len(values))[:STORED_ROWS])
        errors = np.zeros((values.shape[1], 21))
        for column in range(values.shape[1]):
            own = residuals[:, column]
            known = own[~np.isnan(own)]
            errors[column] = np.quantile(known, np.linspace(0, 1, 21)) if len(known) else np.nan
        return cls(
            np.nanmin(values, axis=0),
            np.nanmax(values, axis=0),
            np.ascontiguousarray(np.nanquantile(values, LEVELS, axis=0).T),
            mean,
            covariance,
            values[kept],
            errors,
        )

    @property
    def deviation(self) -> Floats:
        return np.sqrt(np.diag(self.covariance))

    def distance(self, point: Mapping[int, float]) -> float:
        """Mahalanobis distance of some columns' values from their mean."""
        at = list(point)
        difference = np.array(list(point.values())) - self.mean[at]
        inverse = np.linalg.pinv(self.covariance[np.ix_(at, at)], rcond=1e-10, hermitian=True)
        return float(np.sqrt(max(float(difference @ inverse @ difference), 0.0)))

    def near(self, point: Mapping[int, float]) -> tuple[int, int]:
        """How many stored rows lie within half a standard deviation in each of some columns, and of how many."""
        at = list(point)
        held = self.rows[:, at]
        known = held[~np.isnan(held).any(axis=1)]
        close = np.abs(known - np.array(list(point.values()))) <= _NEAR * self.deviation[at]
        return int(close.all(axis=1).sum()), len(known)


def warnings_of(
    support: Support, names: tuple[str, ...], point: Mapping[int, float], own_variance: Floats
) -> tuple[str, ...]:
    """What speaks against a question that sets or moves columns to a point.

    Args:
        own_variance: (q,) share of each column's variance that does not follow from its causes.
    """
    found = [_outside(support, names[k], k, value) for k, value in point.items()]
    if len(point) > 1 and not any(found):
        distance, bound = support.distance(point), _bound(len(point))
        if distance > bound:
            told = " and ".join(names[k] for k in point)
            found.append(
                f"{told} lie {distance:.1f} standard deviations together from the observed rows, where 99 % lie "
                f"within {bound:.1f}; such a combination was hardly ever seen"
            )
    if point and not any(found):
        near, of = support.near(point)
        if near < _FEWEST_NEAR * of:
            told = " and ".join(f"{names[k]} {value:.4g}" for k, value in point.items())
            found.append(f"{near} of {of} stored rows lie near {told}; the answer rests on the line between others")
    for k in point:
        if own_variance[k] < _LEAST_OWN_VARIANCE:
            found.append(
                f"{names[k]} follows its causes but for {own_variance[k]:.1%} of its variance; "
                "its effect rests on that small part"
            )
    return tuple(each for each in found if each)


def outside(support: Support, name: str, column: int, value: float) -> str:
    """A sentence if a predicted value lies beyond all observed, else an empty one."""
    low, high = support.low[column], support.high[column]
    if low <= value <= high:
        return ""
    return f"{name} would be {value:.4g}, beyond the observed {low:.4g} to {high:.4g}; a line need not hold there"


def _outside(support: Support, name: str, column: int, value: float) -> str:
    low, high = support.low[column], support.high[column]
    if low <= value <= high:
        return ""
    return f"{name} {value:.4g} lies outside the observed {low:.4g} to {high:.4g}; no row tells what happens there"


def _bound(size: int) -> float:
    """The distance within which 99 % of normal rows lie (Wilson and Hilferty 1931)."""
    part = 2 / (9 * size)
    return float(np.sqrt(size * (1 - part + _NORMAL_99 * np.sqrt(part)) ** 3))
