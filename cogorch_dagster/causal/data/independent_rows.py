"""Rows that count as independent of one another: as they are, fewer of them, or their innovations."""

from dataclasses import dataclass

import numpy as np

from cogorch_dagster.causal.data import autocorrelation
from cogorch_dagster.causal.data.autocorrelation import Handling
from cogorch_dagster.causal.data.dataset import Floats, Integers
from cogorch_dagster.causal.data.missing import em_moments

FEWEST_ROWS = 10
"""Groups that are all shorter say nothing of what follows what."""


@dataclass(frozen=True, eq=False)
class IndependentRows:
    """What is left of the rows.

    Attributes:
        values: (m, q); innovations when `lags` is positive and nothing is missing.
        history: (m, q lags) to condition on when something is missing, else (m, 0).
        rows: (m,) which of the rows are left.
        groups: (m,).
        lags: of the autoregression that is taken out.
        worth: the share of independent rows that the rows are worth.
        notes: what was done, in words.
    """

    values: Floats
    history: Floats
    rows: Integers
    groups: Integers
    lags: int
    worth: float
    notes: tuple[str, ...]


def independent_rows(values: Floats, groups: Integers, how: Handling, *, lagged: bool) -> IndependentRows:
    """The rows as `how` says; without innovations where the groups are too short or columns are those of earlier rows.

    Args:
        values: (rows, q) of variance 1, NaN for missing.
        lagged: whether some columns hold the values of earlier rows, which would leave no innovations.
    """
    if how == "none":
        return _as_they_are(values, groups, 1.0)
    worth = _worth(values, groups)
    if how == "effective" or (how == "auto" and worth >= autocorrelation.WORTH):
        return _as_they_are(values, groups, worth)
    lags = 0 if lagged else autocorrelation.order(values, groups)
    if lags == 0:
        why = "columns of earlier rows are among the variables" if lagged else "too few rows follow others"
        return _as_they_are(values, groups, worth, f"rows depend on those before; not prewhitened, as {why}")
    past = autocorrelation.history(values, groups, lags)
    if how == "auto" and len(past.rows) - lags * values.shape[1] < worth * len(values):
        # Many short groups: the rows without enough rows before them are more than the dependence takes away.
        return _as_they_are(values, groups, worth)
    left = groups[past.rows]
    note = f"each row is what the {'one' if lags == 1 else lags} before it leaves unexplained"
    if np.isnan(values).any():
        return IndependentRows(values[past.rows], past.values, past.rows, left, lags, 1.0, (note,))
    found = autocorrelation.innovations(values, past)
    return IndependentRows(found, np.empty((len(found), 0)), past.rows, left, lags, _worth(found, left), (note,))


def _as_they_are(values: Floats, groups: Integers, worth: float, *notes: str) -> IndependentRows:
    return IndependentRows(values, np.empty((len(values), 0)), np.arange(len(values)), groups, 0, worth, notes)


def _worth(values: Floats, groups: Integers) -> float:
    if autocorrelation.longest(groups) < FEWEST_ROWS:
        return 1.0
    covariance = em_moments(values).covariance
    return autocorrelation.worth(autocorrelation.given_all_others(values, covariance), groups)
