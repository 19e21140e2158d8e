"""Mean and covariance of a multivariate normal from rows with missing values, by EM (Dempster, Laird and Rubin 1977).

Valid when values are missing at random. Rows with the same number of missing values are treated together: the
conditional moments of m missing values follow from an m by m block of the precision matrix.
"""

from dataclasses import dataclass

import numpy as np

from cogorch_dagster.causal.data.dataset import Bools, Floats, Integers
from cogorch_dagster.errors import InvalidInput

FEWEST_PAIRS = 10
"""Two columns known together in fewer rows have no correlation to speak of."""

_TOLERANCE = 1e-5
_MOST_ITERATIONS = 200
# Keeps the precision matrix finite where columns depend linearly on one another; of the variance 1.
_RIDGE = 1e-10
# Numbers held at once by a batch of blocks.
_BATCH = 4_000_000


@dataclass(frozen=True, eq=False)
class Moments:
    """Maximum likelihood estimates.

    Attributes:
        mean: (q,).
        covariance: (q, q), divided by n.
        iterations: of EM; 0 for complete rows.
    """

    mean: Floats
    covariance: Floats
    iterations: int


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows that miss equally many values.

    Attributes:
        rows: (r,).
        columns: (r, m), those that are missing.
    """

    rows: Integers
    columns: Integers

    def of(self, rows: Bools) -> "Batch":
        """Some of the rows, by a mask (r,)."""
        return Batch(self.rows[rows], self.columns[rows])

    def places(self, q: int) -> Integers:
        """(r m m) where each pair of missing columns stands in a (q, q) matrix."""
        return np.asarray(self.columns[:, :, None] * q + self.columns[:, None, :]).ravel()


def em_moments(values: Floats, start: Moments | None = None, weights: Floats | None = None) -> Moments:
    """Moments of all columns; of complete rows without any iteration.

    Args:
        values: (rows, q), NaN is missing; every pair of columns is known together in some rows.
        start: where to begin, such as the moments of all rows when `values` is a resample.
        weights: (rows,) how often each row counts.

    Raises:
        InvalidInput: fewer than 2 rows, or a column without a value.
    """
    if len(values) < 2:
        raise InvalidInput(f"{len(values)} rows are too few for a covariance; take a longer period")
    w = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    known = ~np.isnan(values)
    counts = w @ known
    if (counts <= 0).any():
        raise InvalidInput(f"column {int(np.argmin(counts))} has no value; set it aside")
    filled = np.where(known, values, 0.0)
    centre = (w @ filled) / counts
    scale = np.sqrt((w @ np.where(known, values - centre, 0.0) ** 2) / counts)
    scale = np.where(scale > 0, scale, 1.0)
    z = np.where(known, (values - centre) / scale, 0.0)
    if known.all():
        mean, covariance, iterations = np.zeros(len(scale)), (z * w[:, None]).T @ z / w.sum(), 0
    else:
        first = None if start is None else ((start.mean - centre) / scale, start.covariance / np.outer(scale, scale))
        mean, covariance, iterations = _iterate(z, w, [each.of(w[each.rows] > 0) for each in batches(known)], first)
    return Moments(centre + scale * mean, covariance * np.outer(scale, scale), iterations)


def _iterate(
    z: Floats, w: Floats, held: list[Batch], start: tuple[Floats, Floats] | None
) -> tuple[Floats, Floats, int]:
    """EM from the identity or from `start` until a step moves no entry by more than 1e-5 standard deviations.

    Every second step is extrapolated (SQUAREM, Varadhan and Roland 2008, scheme S3) while that keeps the covariance
    positive definite and the steps getting shorter.
    """
    q = z.shape[1]
    mean, covariance = start if start is not None else (np.zeros(q), np.eye(q))
    last = np.inf
    for iteration in range(1, _MOST_ITERATIONS // 2 + 1):
        one = _step(z, w, held, mean, covariance)
        if _length(one[0] - mean, one[1] - covariance) < _TOLERANCE:
            return *one, 2 * iteration - 1
        two = _step(z, w, held, *one)
        first = (one[0] - mean, one[1] - covariance)
        second = (two[0] - one[0] - first[0], two[1] - one[1] - first[1])
        length = _norm(*first)
        stretch = min(-1.0, -length / max(_norm(*second), 1e-300))
        leap = tuple(
            at - 2.0 * stretch * r + stretch**2 * v for at, r, v in zip((mean, covariance), first, second, strict=True)
        )
        mean, covariance = (leap[0], leap[1]) if length < last and _positive(leap[1]) else two
        last = length
    return mean, covariance, 2 * iteration


def _length(mean: Floats, covariance: Floats) -> float:
    return float(max(np.abs(mean).max(), np.abs(covariance).max()))


def _norm(mean: Floats, covariance: Floats) -> float:
    return float(np.sqrt((mean**2).sum() + (covariance**2).sum()))


def _positive(covariance: Floats) -> bool:
    return bool(np.linalg.eigvalsh(covariance)[0] > _RIDGE)


def _step(z: Floats, w: Floats, held: list[Batch], mean: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Expected sums given the observed values, and from them the next estimates."""
    return maximised(*expected(z, held, mean, covariance), held, w)


def expected(z: Floats, held: list[Batch], mean: Floats, covariance: Floats) -> tuple[Floats, list[Floats]]:
    """The rows with the conditional means of what is missing, and (r, m, m) conditional covariances of each batch."""
    precision = np.linalg.inv(covariance + _RIDGE * np.eye(len(mean)))
    completed = z.copy()
    inverses = []
    for batch in held:
        columns = batch.columns
        residual = z[batch.rows] - mean
        np.put_along_axis(residual, columns, 0.0, axis=1)
        pull = np.take_along_axis(residual @ precision, columns, axis=1)
        inverse = np.linalg.inv(precision[columns[:, :, None], columns[:, None, :]])
        completed[batch.rows[:, None], columns] = mean[columns] - (inverse @ pull[:, :, None])[:, :, 0]
        inverses.append(inverse)
    return completed, inverses


def maximised(completed: Floats, inverses: list[Floats], held: list[Batch], w: Floats) -> tuple[Floats, Floats]:
    """The mean and covariance of rows and conditional covariances that are `expected`, by how often each row counts."""
    q = completed.shape[1]
    spread = np.zeros(q * q)
    for batch, inverse in zip(held, inverses, strict=True):
        weighed = inverse * w[batch.rows, None, None]
        spread += np.bincount(batch.places(q), weighed.ravel(), minlength=q * q)
    total = w.sum()
    mean = w @ completed / total
    centred = completed - mean
    covariance = ((centred * w[:, None]).T @ centred + spread.reshape(q, q)) / total
    return mean, (covariance + covariance.T) / 2


def batches(known: Bools) -> list[Batch]:
    """The incomplete rows by the number of values that they miss, in batches of bounded memory."""
    missing = ~known
    count = missing.sum(axis=1)
    found = []
    for m in np.unique(count[count > 0]):
        rows = np.flatnonzero(count == m)
        columns = np.nonzero(missing[rows])[1].reshape(len(rows), m)
        size = max(1, _BATCH // int(m * m))
        found += [Batch(rows[k : k + size], columns[k : k + size]) for k in range(0, len(rows), size)]
    return found


def pairs_known(known: Bools) -> Floats:
    """(q, q) number of rows in which two columns are both known."""
    held = known.astype(np.float64)
    return np.asarray(held.T @ held)


def information(known: Bools) -> float:
    """What share of the rows the data are worth: the mean share of rows in which two columns are both known.

    A row that lacks a conditioning variable still informs through its other columns, so this asks for no more than
    the pair; 1 for complete data.

    Args:
        known: (rows, q); where columns are conditioned on their own past, whether that is known too.
    """
    q = known.shape[1]
    if q < 2:
        return float(known.mean())
    pairs = pairs_known(known) / max(len(known), 1)
    return float((pairs.sum() - np.trace(pairs)) / (q * (q - 1)))
