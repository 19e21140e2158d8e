"""Statistics are a correlation matrix with an inverse, and blocks of columns in order."""

from typing import Any

import numpy as np
import pytest

from cogorch_dagster.causal.data.sufficient import SufficientStatistics, correlation_of
from cogorch_dagster.errors import InvalidInput

R = np.array([[1.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 1.0]])


def statistics(**changes: Any) -> SufficientStatistics:
    given = {"variables": ("a", "b"), "owner": [0, 1, 1], "correlation": R, "rows": 100, "effective_rows": 80.5}
    return SufficientStatistics(**{**given, **changes})


def test_blocks_and_digest() -> None:
    found = statistics()
    assert not found.simple and found.columns(0).tolist() == [0] and found.columns(1).tolist() == [1, 2]
    assert statistics(variables=("a", "b", "c"), owner=[0, 1, 2]).simple
    digests = {
        found.digest,
        statistics(rows=99).digest,
        statistics(effective_rows=80).digest,
        statistics(correlation=R**2).digest,
    }
    assert len(digests) == 4 and statistics().digest == found.digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"owner": [0, 1, 0]}, "owners must ascend"),
        ({"owner": [0, 0, 0]}, "owners must ascend and name each"),
        ({"correlation": np.eye(2)}, r"it must be \(3, 3\)"),
        ({"correlation": R * np.nan}, "not finite"),
        ({"correlation": 2 * R}, "diagonal of 1"),
        ({"correlation": np.triu(R)}, "symmetric"),
        ({"correlation": np.ones((3, 3))}, "singular"),
        ({"effective_rows": 1.5}, "too few"),
        ({"variables": ()}, "at least one variable"),
    ],
)
def test_what_is_no_correlation_matrix_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        statistics(**changes)


def test_a_covariance_becomes_a_correlation_with_an_inverse() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((50, 3)) * [1, 10, 100]
    np.testing.assert_allclose(correlation_of(np.cov(values.T)), np.corrcoef(values.T))
    singular = correlation_of(np.cov(np.column_stack([values, values[:, 0]]).T))
    assert np.linalg.eigvalsh(singular)[0] > 0 and singular[0, 3] == pytest.approx(1, abs=1e-6)
    still = correlation_of(np.diag([1.0, 0.0]) + 0.0)
    assert still.tolist() == [[1, 0], [0, 1]]
