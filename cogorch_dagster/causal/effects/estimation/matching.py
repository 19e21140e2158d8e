"""Nearest-neighbour matching with bias adjustment, for a binary treatment.

Bias adjustment: Abadie and Imbens (2011), by a ridge regression on splines in each arm. Standard error: Abadie and
Imbens (2006), theorem 7, which holds where the bootstrap does not.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from cogorch_dagster.causal.effects.estimation.estimate import (
    Estimate,
    Floats,
    Integers,
    checked,
    from_error,
    is_binary,
)
from cogorch_dagster.causal.effects.estimation.features import expand
from cogorch_dagster.causal.effects.estimation.ridge import ridge, tuned_ridge
from cogorch_dagster.errors import InvalidInput

Target = Literal["ATE", "ATT"]
MATCHES = 4
"""As in the simulations of Abadie and Imbens (2011), section 5: one match wastes rows, many match the unlike."""
_FEWEST_IN_ARM = 20


@dataclass(frozen=True, eq=False)
class _Matched:
    """Of the rows of one arm, the matches in the other.

    Attributes:
        counterfactual: (n,) mean outcome of the matches, adjusted for what differs.
        used: (m,) how often each row of the other arm was a match.
        distance: (n,) mean distance, in standard deviations.
    """

    counterfactual: Floats
    used: Floats
    distance: Floats


def matching(
    outcome: npt.ArrayLike,
    treatment: npt.ArrayLike,
    covariates: npt.ArrayLike,
    *,
    target: Target = "ATE",
    matches: int = MATCHES,
    groups: Integers | None = None,
) -> Estimate:
    """The average effect by comparing each row with its nearest of the other arm (Mahalanobis distance).

    Args:
        outcome, treatment: (n,). covariates: (n, p).
        groups: (n,); with more than one row each, a note says that the error takes rows as independent.

    Raises:
        InvalidInput: shapes, missing values, a treatment without exactly two values, no covariates, fewer than 20 rows
            in an arm, or more matches than an arm has rows.
    """
    y, t, x = checked(outcome, treatment, covariates)
    if not is_binary(t):
        raise InvalidInput("matching needs a treatment of two values; use ols or doubly_robust for a continuous one")
    if not x.shape[1]:
        raise InvalidInput("matching needs covariates; without any, use ols")
    treated = t == t.max()
    smaller = int(min(treated.sum(), (~treated).sum()))
    if smaller < _FEWEST_IN_ARM or not 1 <= matches < smaller:
        raise InvalidInput(f"{smaller} rows in the smaller arm; at least {_FEWEST_IN_ARM}, and more than {matches}")
    terms, x = expand(x), _sphered(x)
    smooth = terms.columns[:, : terms.smooth]
    predicted = {arm: _predicted(y, smooth, treated == arm) for arm in ((False,) if target == "ATT" else (False, True))}
    of_treated = _match(y, x, treated, predicted[False], matches)
    if target == "ATT":
        found = _on_treated(y - predicted[False], y, x, treated, of_treated, matches)
    else:
        of_others = _match(y, x, ~treated, predicted[True], matches)
        residual = y - np.where(treated, predicted[True], predicted[False])
        found = _on_all(residual, y, x, treated, of_treated, of_others, matches)
    if groups is not None and len(np.unique(groups)) < len(groups):
        found = replace(found, notes=(*found.notes, "the error of matching takes rows as independent"))
    return found


def _on_treated(
    residual: Floats, y: Floats, x: Floats, treated: npt.NDArray[np.bool_], pairs: _Matched, m: int
) -> Estimate:
    gains = y[treated] - pairs.counterfactual
    value, n = float(gains.mean()), len(gains)
    noise = _conditional_variance(residual[~treated], x[~treated], m)
    variance = float(np.sum((gains - value) ** 2) + np.sum(pairs.used * (pairs.used - 1.0) / m**2 * noise)) / n**2
    return _result(value, variance, "ATT", len(y), n, pairs.distance)


def _on_all(
    residual: Floats,
    y: Floats,
    x: Floats,
    treated: npt.NDArray[np.bool_],
    of_treated: _Matched,
    of_others: _Matched,
    m: int,
) -> Estimate:
    gains = np.empty(len(y))
    gains[treated] = y[treated] - of_treated.counterfactual
    gains[~treated] = of_others.counterfactual - y[~treated]
    value, n = float(gains.mean()), len(y)
    used, noise = np.empty(n), np.empty(n)
    used[treated], used[~treated] = of_others.used, of_treated.used
    for arm in (treated, ~treated):
        noise[arm] = _conditional_variance(residual[arm], x[arm], m)
    share = used / m
    variance = float(np.sum((gains - value) ** 2) + np.sum((share**2 + (2 * m - 1) / m * share) * noise)) / n**2
    return _result(value, variance, "ATE", n, n, np.concatenate([of_treated.distance, of_others.distance]))


def _result(value: float, variance: float, target: Target, rows: int, units: int, distance: Floats) -> Estimate:
    far = float(np.quantile(distance, 0.95))
    notes = (f"matched rows differ by {np.median(distance):.2f} standard deviations, 5 % by more than {far:.2f}",)
    return from_error(
        value,
        variance**0.5,
        units - 1.0,
        method="matching",
        target=target,
        rows=rows,
        effective_rows=units,
        notes=notes,
    )


def _sphered(x: Floats) -> Floats:
    """Columns whose Euclidean distance is the Mahalanobis distance; combinations of others drop out."""
    centred = x - x.mean(axis=0)
    scale = centred.std(axis=0)
    centred = centred[:, scale > 0] / scale[scale > 0]
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    used = values > 1e-9 * max(float(values.max(initial=0.0)), 1e-300)
    return np.asarray(centred @ vectors[:, used] / np.sqrt(values[used]))


def _match(y: Floats, x: Floats, own: npt.NDArray[np.bool_], predicted: Floats, m: int) -> _Matched:
    other = ~own
    distance, place = _nearest(x[other], x[own], m)
    candidates = y[other] - predicted[other]
    used = np.bincount(place.ravel(), minlength=int(other.sum())).astype(np.float64)
    return _Matched(predicted[own] + candidates[place].mean(axis=1), used, distance.mean(axis=1))


def _nearest(pool: Floats, asked: Floats, m: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    from scipy.spatial import cKDTree

    distance, place = cKDTree(pool).query(asked, k=m)
    return np.reshape(distance, (len(asked), m)), np.reshape(place, (len(asked), m))


def _predicted(y: Floats, columns: Floats, rows: npt.NDArray[np.bool_]) -> Floats:
    """(n,) mean outcome in one arm at the covariates of every row."""
    return ridge(columns[rows], y[rows], tuned_ridge(columns[rows], y[rows])[0]).predict(columns)


def _conditional_variance(residual: Floats, x: Floats, m: int) -> Floats:
    """(n,) of the outcome at each x, from the nearest of the same arm (Abadie and Imbens 2006, equation 14)."""
    place = _nearest(x, x, m + 1)[1]
    # A row is usually its own nearest; among equal rows it may not be, and any of them serves.
    others = np.where(place == np.arange(len(x))[:, None], -1, place)
    others = np.take_along_axis(others, np.argsort(others == -1, axis=1, kind="stable"), axis=1)[:, :m]
    return np.asarray(m / (m + 1.0) * (residual - residual[others].mean(axis=1)) ** 2)
