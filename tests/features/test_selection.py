"""Selection keeps what predicts later rewards, and of noise nothing."""

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.features.selection import select


def log(n: int, seed: int) -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray]:
    """Two features that matter, one of them for one arm only; a copy of the first, a constant, and 12 of noise."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 16))
    x[:, 2] = np.exp(x[:, 0])
    x[:, 3] = 7.0
    x[rng.random(n) < 0.1, 1] = np.nan
    arm = rng.integers(0, 2, n)
    reward = 0.5 * arm + 0.3 * np.abs(x[:, 0]) + 0.4 * arm * np.nan_to_num(x[:, 1]) + 0.3 * rng.standard_normal(n)
    return x, [f"x{number}" for number in range(16)], arm, reward


def test_what_matters_is_kept_and_noise_is_not() -> None:
    found = select(*log(1500, 1))
    assert set(found.kept) == {"x0", "x1"}
    means = {each.name: each.mean for each in found.importances}
    assert "x2" not in means and "x3" not in means
    assert all(abs(mean) < 0.01 for name, mean in means.items() if name not in found.kept)
    assert found.explained > found.explained_without + 0.2
    assert select(*log(1500, 1)) == found


def test_without_any_signal_nothing_is_kept() -> None:
    x, names, arm, _ = log(500, 2)
    found = select(x, names, arm, np.random.default_rng(3).standard_normal(500))
    assert found.kept == () and found.explained < 0.02


def test_it_refuses_what_it_cannot_judge() -> None:
    x, names, arm, reward = log(239, 4)
    with pytest.raises(InvalidInput, match="239 decisions, features are selected from at least 240"):
        select(x, names, arm, reward)
    with pytest.raises(InvalidInput, match="do not fit"):
        select(x, names[1:], arm, reward)
