"""The search stays where it may and finds what a dense grid finds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cogorch_dagster.proposals.search import Objective, Region, best_weights
from tests.evaluation.simulation import Fleet, simulate

ACTIVE = np.array([0.4, 0.3, 0.2, 0.1])


def simplex(size: int) -> st.SearchStrategy[np.ndarray]:
    parts = st.lists(st.floats(0, 1), min_size=size, max_size=size).filter(lambda x: sum(x) > 0.1)
    return parts.map(lambda x: np.array(x) / sum(x))


@hypothesis_settings(max_examples=200, deadline=None)
@given(
    active=st.integers(2, 6).flatmap(simplex),
    step=st.floats(0.001, 1),
    floor=st.floats(0, 0.5),
    seed=st.integers(0, 1000),
)
def test_whatever_is_proposed_lies_in_the_region(active: np.ndarray, step: float, floor: float, seed: int) -> None:
    region = Region.around(active, step, floor)
    assert region.contains(active)
    taste = np.random.default_rng(seed).normal(size=len(active))

    class Linear(Objective):
        def __call__(self, candidates: np.ndarray) -> np.ndarray:
            return candidates @ taste

    found = best_weights(Linear(None, active, 0), region, seed=seed)  # type: ignore[arg-type]
    assert abs(found.sum() - 1) < 1e-9
    assert (np.abs(found - active) <= step + 1e-9).all()
    assert (found >= np.minimum(active, floor) - 1e-9).all()
    assert (found[active == 0] == 0).all()
    # A linear taste has its optimum at a corner that filling in the order of taste gives.
    best = region.fill(taste) @ taste
    assert found @ taste >= active @ taste - 1e-9
    assert found @ taste >= best - 0.002 * len(active) * np.abs(taste).max()


def test_the_best_weights_beat_a_dense_sample_of_the_region() -> None:
    patterns = simulate(Fleet(), ACTIVE, 1500, np.random.default_rng(1)).patterns()
    region = Region.around(ACTIVE, 0.3, 0.02)
    objective = Objective(patterns, ACTIVE, 50)
    found = best_weights(objective, region)
    grid = np.random.default_rng(2).dirichlet(np.ones(4), 60_000)
    grid = grid[((grid >= region.lower) & (grid <= region.upper)).all(axis=1)]
    assert len(grid) > 1000
    assert objective(found[None])[0] >= objective(grid).max() - 1e-4
    np.testing.assert_allclose(found, found.round(3), atol=1e-9)


def test_equal_arms_leave_nothing_to_gain() -> None:
    """Among equal arms chance always favours some weights, but their lower bound stays below 0."""
    same = Fleet(failure=np.full((2, 4), 0.1), pay=np.full((2, 4), 0.6))
    for seed in range(5):
        patterns = simulate(same, ACTIVE, 1000, np.random.default_rng(seed)).patterns()
        objective = Objective(patterns, ACTIVE, 50)
        found = best_weights(objective, Region.around(ACTIVE, 0.5, 0.02))
        assert objective(ACTIVE[None])[0] <= objective(found[None])[0] < 0.005


def test_candidates_with_too_small_an_effective_sample_are_not_chosen() -> None:
    lopsided = np.array([0.94, 0.02, 0.02, 0.02])
    patterns = simulate(Fleet(), lopsided, 1500, np.random.default_rng(4)).patterns()
    objective = Objective(patterns, lopsided, 400)
    assert objective(np.array([[0.44, 0.02, 0.02, 0.52]]))[0] == -np.inf
    found = best_weights(objective, Region.around(lopsided, 0.5, 0.02))
    assert np.isfinite(objective(found[None])[0])


@pytest.mark.parametrize("cells", [1, 10_000])
def test_batches_do_not_change_the_bound(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = simulate(Fleet(), ACTIVE, 300, np.random.default_rng(5)).patterns()
    candidates = np.random.default_rng(6).dirichlet(np.ones(4), 20)
    objective = Objective(patterns, ACTIVE, 10)
    whole = objective(candidates)
    monkeypatch.setattr("cogorch_dagster.proposals.search._BATCH_CELLS", cells)
    np.testing.assert_allclose(objective(candidates), whole)
