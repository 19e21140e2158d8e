"""The front door finds an effect that no adjustment could."""

import numpy as np
import pytest

from cogorch_dagster.causal.effects.estimation.frontdoor import frontdoor
from cogorch_dagster.causal.effects.estimation.ols import ols
from cogorch_dagster.errors import InvalidInput


def hidden(seed: int, second: float = 0.8, rows: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    u = rng.normal(size=rows)
    t = u + rng.normal(size=rows)
    m = np.column_stack([0.7 * t, -0.5 * t]) + rng.normal(size=(rows, 2))
    return second * m[:, 0] + 0.4 * m[:, 1] + 2 * u + rng.normal(size=rows), t, m


def test_effect_through_two_mediators_is_the_sum_of_products() -> None:
    covered = 0
    for seed in range(100):
        found = frontdoor(*hidden(seed)).estimate
        covered += found.interval[0] <= 0.7 * 0.8 - 0.5 * 0.4 <= found.interval[1]
    assert covered >= 89
    y, t, _ = hidden(0)
    assert ols(y, t).estimate.value > 1.0


def test_the_columns_for_the_refuters_have_the_effect_as_slope() -> None:
    fit = frontdoor(*hidden(1))
    slope = fit.treatment @ fit.outcome / (fit.treatment @ fit.treatment)
    assert slope == pytest.approx(fit.estimate.value, rel=1e-8)
    assert fit.influence.sum() == pytest.approx(0.0, abs=0.01)


def test_a_mediator_that_the_treatment_determines_is_refused() -> None:
    y, t, m = hidden(2)
    with pytest.raises(InvalidInput, match="determined"):
        frontdoor(y, t, np.column_stack([m[:, 0], t]))
    with pytest.raises(InvalidInput, match="mediators"):
        frontdoor(y, t, m[:-1])
