"""Intervals of quantiles hold at all looks, for continuous and for tied values, and shrink as they should."""

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.sequential import boundary, quantiles

LOOKS = np.unique(np.geomspace(10, 5_000, 150).astype(int))


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.05])
@pytest.mark.parametrize("tied", [False, True], ids=["continuous", "tied"])
def test_the_quantile_is_enclosed_at_every_look(quantile: float, tied: bool) -> None:
    rng = np.random.default_rng(7)
    uniform = rng.random((1_000, 5_000))
    # Tied: ten values, of which the seventh of ten has the mass from .6 to .7, and so on; both counts then differ.
    values = np.floor(uniform * 10) if tied else uniform
    truth = np.ceil(quantile * 10 - 1e-9) - 1 if tied else quantile
    at_or_below = (values <= truth).cumsum(-1)[:, LOOKS - 1]
    below = (values < truth).cumsum(-1)[:, LOOKS - 1]
    lowest, highest = np.array([quantiles.ranks(int(n), quantile, 0.1, 500) for n in LOOKS]).T
    missed = ((at_or_below < lowest) | (below >= highest)).any(-1).mean()
    assert missed <= 0.1
    if not tied:
        assert missed > 0.02  # discrete looks and counts leave some of alpha unspent, but not most of it


@pytest.mark.parametrize(("n", "quantile", "alpha"), [(40, 0.5, 0.05), (200, 0.9, 0.01), (25, 0.99, 0.05)])
def test_ranks_are_those_of_the_mixture_written_out(n: int, quantile: float, alpha: float) -> None:
    from scipy.integrate import quad
    from scipy.stats import beta

    r = 100 / boundary.tuned(alpha)

    def mixture(count: int) -> float:
        def ratio(q: float) -> float:
            power = count * np.log(q / quantile) + (n - count) * np.log((1 - q) / (1 - quantile))
            return float(np.exp(power) * beta.pdf(q, r * quantile, r * (1 - quantile)))

        return float(quad(ratio, 0, 1, limit=200)[0])

    kept = [count for count in range(n + 1) if mixture(count) < 1 / alpha]
    assert quantiles.ranks(n, quantile, alpha, 100) == (kept[0], kept[-1] + 1)


def test_the_interval_picks_values_by_rank_and_is_open_where_the_sample_ends() -> None:
    values = np.random.default_rng(1).permutation(np.arange(1, 1_001)).astype(float)
    assert quantiles.quantile_interval(values, 0.5, 0.05, target_size=500) == quantiles.ranks(1_000, 0.5, 0.05, 500)
    low, high = quantiles.quantile_interval(values[:30], 0.99, 0.05, target_size=500)
    assert np.isfinite(low) and high == np.inf


def test_differences_cover_the_truth_and_find_a_slower_tail() -> None:
    rng = np.random.default_rng(2)
    shift = 0.5
    looks = np.arange(200, 3_001, 200)
    missed = found = 0
    for _ in range(150):
        control, treatment = rng.lognormal(0.0, 0.5, 3_000), rng.lognormal(0.0, 0.5, 3_000) + shift
        ends = np.array(
            [quantiles.quantile_difference(control[:n], treatment[:n], 0.9, 0.05, target_size=1_000) for n in looks]
        )
        missed += bool(((ends[:, 1] > shift) | (ends[:, 2] < shift)).any())
        found += bool((ends[:, 1] > 0).any())
    assert missed / 150 <= 0.05
    assert found / 150 >= 0.9


def test_both_arms_have_half_of_alpha() -> None:
    rng = np.random.default_rng(3)
    control, treatment = rng.random(900), rng.random(700)
    low0, high0 = quantiles.quantile_interval(control, 0.8, 0.025, target_size=400)
    low1, high1 = quantiles.quantile_interval(treatment, 0.8, 0.025, target_size=400)
    assert quantiles.quantile_difference(control, treatment, 0.8, 0.05, target_size=400)[1:] == (
        low1 - high0,
        high1 - low0,
    )


def test_an_empty_arm_leaves_everything_open() -> None:
    estimate, low, high = quantiles.quantile_difference(np.array([]), np.ones(100), 0.5, 0.05, target_size=100)
    assert np.isnan(estimate) and (low, high) == (-np.inf, np.inf)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidInput, match="quantile must lie"):
        quantiles.ranks(10, 1.0, 0.05, 10)
    with pytest.raises(InvalidInput, match="target_size"):
        quantiles.ranks(10, 0.5, 0.05, 0)
    with pytest.raises(InvalidInput, match="alpha"):
        quantiles.ranks(10, 0.5, 0.0, 10)
