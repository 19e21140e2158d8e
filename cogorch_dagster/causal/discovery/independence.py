"""Tests of conditional independence from sufficient statistics: Fisher's z, and Wilks' Lambda for blocks of columns.

A discrete variable is the block of its indicator columns (degenerate Gaussian, Andrews, Ramsey and Cooper 2019), so
that one correlation matrix serves continuous, discrete and mixed data.
"""

from collections.abc import Iterable

import numpy as np

from cogorch_dagster.causal.data.sufficient import Floats, Integers, SufficientStatistics
from cogorch_dagster.errors import InvalidInput


def p_value(statistics: SufficientStatistics, x: int, y: int, given: Iterable[int] = ()) -> float:
    """Probability of a dependence at least as strong, were X independent of Y given a set; 0 to 1.

    With one column each: Fisher's z of the partial correlation, standard error 1 / sqrt(n - k - 3). With blocks of a
    and b columns: Bartlett's approximation, -(n - k - (a + b + 3) / 2) log Lambda against chi-squared with a b degrees
    of freedom (Mardia, Kent and Bibby 1979, section 5.3).

    Args:
        x, y, given: positions in `statistics.variables`.

    Returns:
        0 where rows are too few for the set, or the columns depend linearly on one another.

    Raises:
        InvalidInput: a position that is none, or one given twice.
    """
    from scipy.special import chdtrc

    from cogorch_dagster.causal.discovery.kernels.constraint_test import statistic

    members = [x, y, *given]
    count = len(statistics.variables)
    strange = [each for each in members if not 0 <= each < count]
    if strange:
        raise InvalidInput(f"there is no variable at {strange[0]}; positions lie between 0 and {count - 1}")
    if len(set(members)) < len(members):
        raise InvalidInput(f"a test of {x} and {y} given {members[2:]} names a variable twice; give each once")
    start = first_columns(statistics)
    columns = len(statistics.owner)
    value = statistic(
        statistics.correlation,
        start,
        x,
        y,
        np.array(members[2:], dtype=np.int64),
        len(members) - 2,
        statistics.effective_rows,
        np.zeros((3, columns, columns)),
    )
    degrees = (start[x + 1] - start[x]) * (start[y + 1] - start[y])
    return 0.0 if np.isinf(value) else float(chdtrc(int(degrees), value))


def first_columns(statistics: SufficientStatistics) -> Integers:
    """(p + 1,); where the columns of each variable begin, and their number at the end."""
    return np.searchsorted(statistics.owner, np.arange(len(statistics.variables) + 1)).astype(np.int64)


def critical_values(statistics: SufficientStatistics, alpha: float) -> Floats:
    """Bounds of the statistic by degrees of freedom, 0 to the most that a pair has; above one, a pair is dependent.

    Raises:
        InvalidInput: alpha is no probability between 0 and 1.
    """
    from scipy.special import chdtri

    if not 0.0 < alpha < 1.0:
        raise InvalidInput(f"alpha {alpha} must lie between 0 and 1, ends excluded")
    most = int(np.diff(first_columns(statistics)).max()) ** 2
    values = np.zeros(most + 1)
    values[1:] = chdtri(np.arange(1, most + 1), alpha)
    return values


def surprise(statistics: SufficientStatistics, values: Floats) -> Floats:
    """(p, p); minus the logarithm of each p-value, so that pairs of other degrees of freedom compare."""
    from scipy.special import chdtrc

    widths = np.diff(first_columns(statistics))
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log(chdtrc(np.outer(widths, widths), np.minimum(values, 1e300))))
