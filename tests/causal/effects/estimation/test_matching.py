"""Matching finds average effects under overlap, with the intervals of Abadie and Imbens."""

import numpy as np
import pytest

from cogorch_dagster.causal.effects.estimation.matching import matching
from cogorch_dagster.errors import InvalidInput


def drawn(seed: int, rows: int = 500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2))
    t = (rng.random(rows) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    return (1 + x[:, 0]) * t + x[:, 0] + x[:, 1] ** 2 + rng.normal(size=rows), t, x


@pytest.mark.parametrize("target", ["ATE", "ATT"])
def test_intervals_cover(target: str) -> None:
    covered = 0
    for seed in range(100):
        y, t, x = drawn(seed)
        truth = 1.0 if target == "ATE" else 1.4132
        found = matching(y, t, x, target=target)  # type: ignore[arg-type]
        covered += found.interval[0] <= truth <= found.interval[1]
    assert covered >= 87


def test_units_of_covariates_and_mixing_them_do_not_matter() -> None:
    y, t, x = drawn(1)
    one = matching(y, t, x)
    other = matching(y, t, x * [1000.0, 0.01] + 5.0)
    assert other.value == pytest.approx(one.value, rel=1e-6)
    assert other.se == pytest.approx(one.se, rel=1e-6)


def test_bad_input() -> None:
    y, t, x = drawn(2, 60)
    with pytest.raises(InvalidInput, match="two values"):
        matching(y, x[:, 0], x)
    with pytest.raises(InvalidInput, match="covariates"):
        matching(y, t, np.empty((60, 0)))
