"""Effects per slice: each right, all together covered, and differences between them noticed."""

import numpy as np
import pytest

from cogorch_dagster.causal.effects.estimation.conditional import by_slice, from_scores
from cogorch_dagster.errors import InvalidInput


def drawn(seed: int, effects: np.ndarray, rows: int = 60) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    slices = np.repeat(np.arange(len(effects)), rows)
    z = rng.normal(size=len(slices))
    t = z + rng.normal(size=len(slices))
    return effects[slices] * t + z + rng.normal(size=len(slices)), t, slices, z


def test_simultaneous_intervals_cover_all_slices_at_once() -> None:
    effects = np.arange(8.0)
    together = alone = 0
    for seed in range(100):
        found = by_slice(*drawn(seed, effects))
        assert found.homogeneity < 1e-10
        together += all(s.simultaneous[0] <= s.label <= s.simultaneous[1] for s in found.slices)
        alone += all(s.estimate.interval[0] <= s.label <= s.estimate.interval[1] for s in found.slices)
    assert together >= 88
    assert alone <= 80


def test_equal_effects_are_not_told_apart() -> None:
    p = [by_slice(*drawn(seed, np.ones(5))).homogeneity for seed in range(100)]
    assert np.mean(np.array(p) < 0.05) <= 0.13


def test_a_slice_with_few_rows_says_so() -> None:
    y, t, slices, z = drawn(0, np.ones(3))
    found = by_slice(y[:130], t[:130], slices[:130], z[:130])
    assert found.slices[2].estimate is None and "10 rows" in found.slices[2].detail
    assert found.slices[0].share == pytest.approx(60 / 130)


def test_scores_average_by_slice() -> None:
    scores = np.random.default_rng(0).normal(size=100) + np.repeat([0.0, 3.0], 50)
    found = from_scores(scores, np.repeat([4, 7], 50))
    assert [s.label for s in found.slices] == [4, 7]
    assert found.slices[1].estimate.value == pytest.approx(scores[50:].mean())
    assert found.slices[1].estimate.se == pytest.approx(scores[50:].std() / 50**0.5)
    with pytest.raises(InvalidInput, match="whole number"):
        from_scores(scores, np.linspace(0, 1, 100))
