"""The columns in which a graph is sparsest are those that the data were made in; squares only where it is curved."""

import numpy as np
import pytest

from cogorch_dagster.causal.data.dataset import CausalDataset, Variable
from cogorch_dagster.causal.data.preparation import Preparation, prepared
from cogorch_dagster.causal.data.prepared import Prepared
from cogorch_dagster.causal.discovery.representation import Representation, curved, represented, with_squares
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from tests.causal.graphs_random import random_model, sample, statistics_of


def dataset(values: np.ndarray) -> CausalDataset:
    rows, count = values.shape
    variables = tuple(Variable(f"x{k}") for k in range(count))
    return CausalDataset("t", variables, values, np.zeros(rows, dtype=int), np.arange(rows))


def chosen(values: np.ndarray) -> Representation:
    return represented(dataset(values), Preparation(), knowledge=Knowledge(), penalty=2.0)


def ready(values: np.ndarray) -> Prepared:
    return prepared(dataset(values), Preparation(scores="never"))


def test_linear_gaussian_data_stay_as_they_are() -> None:
    rng = np.random.default_rng(0)
    values = sample(random_model(rng, 8, 3), 1500, rng)
    found = chosen(values)
    assert (found.linear, found.notes) == (True, ())
    assert found.prepared.statistics().correlation == pytest.approx(statistics_of(values).correlation, abs=1e-9)


def test_a_linear_model_with_lognormal_noise_is_taken_as_measured() -> None:
    rng = np.random.default_rng(1)
    values = sample(random_model(rng, 10, 4), 2000, rng, noise="lognormal")
    found = chosen(values)
    assert found.linear
    assert any("scores of no column" in note for note in found.notes)
    assert found.prepared.statistics().correlation == pytest.approx(statistics_of(values).correlation, abs=1e-9)


def test_transformed_gaussians_are_taken_as_scores() -> None:
    rng = np.random.default_rng(3)
    plain = sample(random_model(rng, 10, 4), 2000, rng)
    found = chosen(plain**3 + 0.1 * plain)
    assert not found.linear
    # Scores undo the transform.
    assert found.prepared.statistics().correlation == pytest.approx(statistics_of(plain).correlation, abs=0.02)


def test_curved_relations_bring_in_squares() -> None:
    rng = np.random.default_rng(3)
    values = sample(random_model(rng, 10, 3), 2000, rng, mechanism=lambda x: x + 0.4 * x**2)
    found = chosen(values)
    assert not found.linear
    assert any("squares" in note for note in found.notes)
    assert np.bincount(found.prepared.owner).tolist() == [2] * 10


@pytest.mark.parametrize("noise", ["normal", "lognormal", "t3"])
def test_straight_relations_are_not_found_curved(noise: str) -> None:
    """At 1 % for all edges of a data set."""
    rejected = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        model = random_model(rng, 5, 2)
        rejected += curved(ready(sample(model, 1000, rng, noise=noise)), model.directed, np.ones(5, dtype=bool))
    assert rejected <= 4


def test_unequal_variances_are_no_curve_but_a_small_square_is() -> None:
    """A test that takes variances for equal finds curves in 39 of the former 60."""
    edge = np.array([[False, True], [False, False]])
    both = np.ones(2, dtype=bool)
    rejected = found = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, noise = rng.normal(size=(2, 1000))
        rejected += curved(ready(np.stack([x, x + (0.2 + x**2) * noise], axis=1)), edge, both)
        found += curved(ready(np.stack([x, x + 0.25 * x**2 + noise], axis=1)), edge, both)
    assert rejected <= 4
    assert found >= 55


def test_squares_are_uncorrelated_with_their_column_and_leave_missing_values_missing() -> None:
    values = np.random.default_rng(4).exponential(size=(500, 2))
    values[::7, 0] = np.nan
    found = with_squares(ready(values), np.array([True, False]))
    assert found.owner.tolist() == [0, 0, 1]
    known = ~np.isnan(found.values[:, 0])
    assert (np.isnan(found.values[:, 1]) == ~known).all()
    pair = found.values[known][:, :2]
    clipped = np.clip(pair[:, 0], -4, 4)
    assert abs(np.corrcoef(clipped, pair[:, 1])[0, 1]) < 1e-9
    assert np.corrcoef(clipped**2, pair[:, 1])[0, 1] > 0.3
    assert pair[:, 1].std() == pytest.approx(1.0)


def test_few_rows_and_explicit_scores_are_left_alone() -> None:
    rng = np.random.default_rng(5)
    values = np.exp(sample(random_model(rng, 6, 2), 90, rng, mechanism=lambda x: x + 0.4 * x**2))
    assert "squares" not in "".join(chosen(values).notes)
    explicit = represented(dataset(values), Preparation(scores="always"), knowledge=Knowledge(), penalty=2.0)
    assert (explicit.linear, explicit.notes) == (True, ())
