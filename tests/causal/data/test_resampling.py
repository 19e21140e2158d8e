"""Draws count every row equally often on average, keep to their groups, and blocks grow with autocorrelation."""

import numpy as np
import pytest

from cogorch_dagster.causal.data.resampling import block_length, bootstrap_counts
from cogorch_dagster.errors import InvalidInput

GROUPS = np.repeat([0, 1, 2], [50, 30, 20])


def autoregression(rng: np.random.Generator, rows: int, r: float) -> np.ndarray:
    noise = rng.standard_normal(rows)
    found = np.empty(rows)
    found[0] = noise[0]
    for k in range(1, rows):
        found[k] = r * found[k - 1] + np.sqrt(1 - r**2) * noise[k]
    return found


@pytest.mark.parametrize("block", [1, 7, 20])
def test_every_row_counts_once_on_average(block: int) -> None:
    counts = bootstrap_counts(GROUPS, 4000, block, 1)
    assert (counts.sum(axis=1) == 100).all()
    assert np.abs(counts.mean(axis=0) - 1).max() < 0.1
    assert np.array_equal(counts, bootstrap_counts(GROUPS, 4000, block, 1))
    assert not np.array_equal(counts, bootstrap_counts(GROUPS, 4000, block, 2))


def test_a_block_wraps_within_its_group() -> None:
    # With one block of all rows of a group, a draw from the last group counts nothing but that group.
    counts = bootstrap_counts(np.repeat([0, 1], 10), 200, 20, 4)
    first, second = counts[:, :10], counts[:, 10:]
    alone = (first.sum(axis=1) == 0) | (second.sum(axis=1) == 0)
    assert alone.all()
    assert (first[first.sum(axis=1) > 0] == 2).all()


def test_the_variance_of_a_mean_is_found_where_rows_hang_together() -> None:
    rng = np.random.default_rng(5)
    rows, r = 4000, 0.6
    series = autoregression(rng, rows, r)
    groups = np.zeros(rows, dtype=np.int64)
    block = block_length(series[:, None], groups)
    true = (1 + r) / (1 - r) / rows
    spread = [(bootstrap_counts(groups, 400, b, 0) @ series / rows).var() for b in (1, block)]
    assert spread[0] < 0.4 * true
    assert 0.75 * true < spread[1] < 1.3 * true


def test_blocks_grow_with_autocorrelation_and_stay_within_bounds() -> None:
    rng = np.random.default_rng(0)
    groups = np.zeros(2000, dtype=np.int64)
    lengths = [block_length(autoregression(rng, 2000, r)[:, None], groups) for r in (0.0, 0.3, 0.6, 0.9)]
    assert lengths[0] == 1
    assert lengths == sorted(lengths)
    assert lengths[1] > 3
    assert block_length(autoregression(rng, 2000, 0.99)[:, None], groups) <= 250
    assert block_length(autoregression(rng, 2000, 0.9)[:, None], np.repeat(np.arange(400), 5)) <= 5
    assert block_length(autoregression(rng, 2000, 0.9)[:, None], np.arange(2000)) == 1


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InvalidInput, match="0 draws"):
        bootstrap_counts(GROUPS, 0, 1, 0)
    with pytest.raises(InvalidInput, match="block of 101 rows"):
        bootstrap_counts(GROUPS, 10, 101, 0)
