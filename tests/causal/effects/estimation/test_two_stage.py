"""Instruments recover what a hidden confounder hides; the interval holds, and is honest, when they are weak."""

import numpy as np
import pytest

from cogorch_dagster.causal.effects.estimation.ols import ols
from cogorch_dagster.causal.effects.estimation.two_stage import WEAK, two_stage
from cogorch_dagster.errors import InvalidInput


def hidden(seed: int, strength: float, instruments: int = 1, rows: int = 400, slope: float = 1.0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    u, w, z = rng.normal(size=rows), rng.normal(size=rows), rng.normal(size=(rows, instruments))
    t = strength * z.sum(axis=1) + u + w + rng.normal(size=rows)
    return [slope * t + 2 * u + w + rng.normal(size=rows), t, z, w]


def test_one_instrument_is_the_ratio_of_covariances_given_the_controls() -> None:
    y, t, z, w = hidden(0, 0.8)
    x = np.column_stack([np.ones(len(y)), w])
    rest = z[:, 0] - x @ np.linalg.lstsq(x, z[:, 0], rcond=None)[0]
    found = two_stage(y, t, z, w)
    assert found.fit.estimate.value == pytest.approx(rest @ y / (rest @ t), rel=1e-9)
    assert found.over_identification is None
    assert abs(found.fit.estimate.value - 1.0) < 0.3 < ols(y, t, w).estimate.value - 1.0
    low, high = found.fit.estimate.interval
    assert found.anderson_rubin == ((low, high),)
    assert found.fit.estimate.excludes_zero == (found.fit.estimate.p < 0.05)


@pytest.mark.parametrize(("strength", "instruments"), [(0.8, 1), (0.1, 1), (0.5, 3), (0.06, 3)])
def test_intervals_cover_the_truth_whatever_the_strength(strength: float, instruments: int) -> None:
    covered = 0
    for seed in range(150):
        low, high = two_stage(*hidden(seed, strength, instruments)).fit.estimate.interval
        covered += low <= 1.0 <= high
    assert covered >= 135


def test_an_instrument_that_moves_nothing_gives_no_bounds() -> None:
    found = two_stage(*hidden(5, 0.0))
    assert found.strength < WEAK
    assert not np.isfinite(found.fit.estimate.interval).all()
    assert "weak" in found.fit.estimate.notes[0]


def test_instruments_that_contradict_each_other_are_told() -> None:
    y, t, z, w = hidden(1, 0.8, 2, rows=1000)
    assert two_stage(y, t, z, w).over_identification > 0.01
    found = two_stage(y + 1.5 * z[:, 1], t, z, w)
    assert found.over_identification < 1e-6
    assert "not valid" in found.fit.estimate.notes[-1]


def test_bad_input() -> None:
    y, t, z, w = hidden(2, 0.5)
    with pytest.raises(InvalidInput, match="determine the instruments"):
        two_stage(y, t, w, w)
    with pytest.raises(InvalidInput, match="instruments"):
        two_stage(y, t, z[:-1], w)
