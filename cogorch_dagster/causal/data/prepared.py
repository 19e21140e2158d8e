"""Prepared rows, and the statistics of all of them or of those that a bootstrap draws. `preparation` makes them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cogorch_dagster.causal.data import autocorrelation, missing
from cogorch_dagster.causal.data.dataset import Floats, Integers, SetAside
from cogorch_dagster.causal.data.drawn_moments import DrawnMoments
from cogorch_dagster.causal.data.sufficient import SufficientStatistics, correlation_of


@dataclass(frozen=True, eq=False)
class Prepared:
    """Rows that a bootstrap may draw from.

    Attributes:
        variables: names of the p variables that are left.
        owner: (q,) the variable of each column.
        values: (m, q) columns of mean 0 and variance 1, NaN where missing; innovations when `lags` is positive and
            nothing is missing.
        history: (m, q lags) what to condition on, when values are missing too; else (m, 0).
        groups: (m,) rows of one group follow each other in time.
        rows: of the data set.
        effective_rows: what tests and scores take for n.
        worth: independent rows that a complete row is worth, above 0 to 1.
        lags: of the autoregression that was taken out, 0 for none.
        block: how many rows that follow each other a bootstrap draws at once, 1 for single rows.
        set_aside: with reasons.
        notes: what was done, in sentences.
    """

    variables: tuple[str, ...]
    owner: Integers
    values: Floats
    history: Floats
    groups: Integers
    rows: int
    effective_rows: float
    worth: float
    lags: int
    block: int
    set_aside: tuple[SetAside, ...]
    notes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing, so that correlations are plain sums over rows."""
        return self.history.shape[1] == 0 and not bool(np.isnan(self.values).any())

    @cached_property
    def _moments(self) -> DrawnMoments:
        joined = np.concatenate([self.values, self.history], axis=1)
        return DrawnMoments(joined, missing.em_moments(joined))

    def correlation(self, weights: Floats | None = None) -> Floats:
        """(q, q), positive definite.

        Args:
            weights: (m,) how often each row was drawn; all once by default. A column that does not vary among the
                rows drawn is taken to be uncorrelated.
        """
        found = self._moments.whole if weights is None else self._moments.of(weights)
        return correlation_of(autocorrelation.conditional_covariance(found.covariance, len(self.owner)))

    def statistics(self, weights: Floats | None = None) -> SufficientStatistics:
        """What discovery takes, of all rows or of those drawn (see `correlation`)."""
        return self.statistics_of(self.correlation(weights))

    def statistics_of(self, correlation: Floats) -> SufficientStatistics:
        """What discovery takes when the correlations are known, (q, q) positive definite."""
        return SufficientStatistics(self.variables, self.owner, correlation, self.rows, self.effective_rows)
