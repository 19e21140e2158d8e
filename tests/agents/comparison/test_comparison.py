"""Interquartile means, bootstrap intervals, paired comparisons: against scipy, by hand, and by how often they cover."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import mannwhitneyu, trim_mean

from cogorch_dagster.agents.comparison.bootstrap import Floats, interquartile_mean, interval, replicates, resampled
from cogorch_dagster.agents.comparison.comparison import Answer, Comparison, Metric, compare, compare_all
from cogorch_dagster.agents.comparison.comparison_figure import comparison_figure, learning_curves
from cogorch_dagster.agents.comparison.equal_success import NotComparable, Reason, compare_at_equal_success
from cogorch_dagster.agents.comparison.performance_profile import performance_profile
from cogorch_dagster.errors import InvalidInput

LATENCY = Metric("latency", "ms", "lower")
SUCCESS = Metric("success", "share", "higher")
SEEDS = 20


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6)))
def test_the_interquartile_mean_is_the_trimmed_mean(values: Floats) -> None:
    assert float(interquartile_mean(values)) == pytest.approx(float(trim_mean(values, 0.25)), abs=1e-6)


def test_an_interquartile_mean_by_hand() -> None:
    # Of eight the two smallest and the two largest are left out.
    assert float(interquartile_mean(np.array([100.0, 1, 5, 3, 2, 4, 6, -90]))) == pytest.approx((2 + 3 + 4 + 5) / 4)


def test_resamples_stay_within_their_strata() -> None:
    strata = [0, 0, 0, 1, 1, 2]
    drawn = np.asarray(strata)[resampled(6, count=500, seed=3, strata=strata)]
    assert (drawn == strata).all()
    free = resampled(6, count=500, seed=3)
    assert {tuple(np.bincount(np.asarray(strata)[row], minlength=3)) for row in free} != {(3, 2, 1)}
    np.testing.assert_array_equal(free, resampled(6, count=500, seed=3))
    assert (resampled(6, count=500, seed=4) != free).any()


def test_strata_take_their_differences_out_of_the_interval() -> None:
    generator = np.random.default_rng(0)
    strata = np.repeat([0, 1], 10)
    values = 100.0 * strata + generator.normal(0, 1, SEEDS)
    widths = []
    for labels in (None, strata.tolist()):
        low, high = interval(replicates(values, resampled(SEEDS, count=2000, seed=1, strata=labels), "mean"))
        widths.append(float(high - low))
    assert widths[1] < widths[0] / 10


@pytest.mark.parametrize("draw", ["normal", "lognormal"])
def test_the_interval_covers_the_truth_as_often_as_it_says(draw: str) -> None:
    generator = np.random.default_rng(7)
    sample: Callable[..., Floats] = getattr(generator, draw)
    truth = float(interquartile_mean(sample(0.0, 1.0, 1_000_000)))
    values = sample(0.0, 1.0, (800, SEEDS))
    low, high = interval(replicates(values, resampled(SEEDS, count=400, seed=1), "interquartile mean"))
    assert 0.90 <= ((low <= truth) & (truth <= high)).mean() <= 0.98


def common(generator: np.random.Generator, factor: float) -> tuple[Floats, Floats]:
    """A baseline and a treated controller that share what makes a seed hard."""
    hard = generator.normal(2000, 300, SEEDS)
    return hard + generator.normal(0, 30, SEEDS), factor * hard + generator.normal(0, 30, SEEDS)


def test_the_relative_interval_covers_the_true_reduction() -> None:
    generator = np.random.default_rng(11)
    found = [compare(LATENCY, *common(generator, 0.7), resamples=400, seed=5) for _ in range(300)]
    improvements = [each.improvement for each in found]
    assert 0.90 <= np.mean([gain is not None and gain.low <= 0.3 <= gain.high for gain in improvements]) <= 0.98
    assert np.mean([gain.value for gain in improvements if gain]) == pytest.approx(0.3, abs=0.002)


def test_pairing_narrows_the_interval_and_not_the_estimate() -> None:
    baseline, treated = common(np.random.default_rng(2), 0.95)
    paired, unpaired = (compare(LATENCY, baseline, treated, paired=each) for each in (True, False))
    widths = [each.difference.high - each.difference.low for each in (paired, unpaired)]
    assert widths[0] < widths[1] / 3
    assert paired.difference.value == unpaired.difference.value
    assert (paired.answer, unpaired.answer) == (Answer.better, Answer.undecided)


def test_a_comparison_by_hand() -> None:
    baseline, treated = np.array([4.0, 8, 8, 12]), np.array([3.0, 6, 6, 9])
    found = compare(LATENCY, baseline, treated)
    assert (found.baseline.value, found.treated.value, found.difference.value) == (8, 6, -2)
    assert found.relative is not None
    # Every resample of the treated is three quarters of the baseline's.
    assert (found.relative.value, found.relative.low, found.relative.high) == pytest.approx((-0.25, -0.25, -0.25))
    assert found.improvement is not None
    assert found.improvement.value == pytest.approx(0.25)
    assert found.probability.value == 1
    assert found.answer is Answer.better
    assert "25.0% lower" in found.verdict
    assert compare(Metric("reward", "1", "higher"), baseline, treated).answer is Answer.worse


def test_means_instead_of_interquartile_means() -> None:
    baseline, treated = np.array([1.0, 1, 1, 1, 1, 1, 1, 9]), np.array([1.0, 1, 1, 1, 1, 1, 1, 1])
    assert compare(LATENCY, baseline, treated).difference.value == 0
    assert compare(LATENCY, baseline, treated, statistic="mean").difference.value == -1


def test_a_single_wild_seed_does_not_decide() -> None:
    baseline, treated = common(np.random.default_rng(4), 0.9)
    treated[0] = 1e6
    assert compare(LATENCY, baseline, treated).answer is Answer.better
    assert compare(LATENCY, baseline, treated, statistic="mean").answer is not Answer.better


def test_equal_controllers_are_not_told_apart() -> None:
    generator = np.random.default_rng(13)
    answers = [compare(LATENCY, *common(generator, 1.0), resamples=400).answer for _ in range(200)]
    assert 0.88 <= answers.count(Answer.undecided) / len(answers) <= 0.99
    same = compare(LATENCY, np.arange(1.0, 9), np.arange(1.0, 9))
    assert same.answer is Answer.undecided
    assert "no different" in same.verdict


def test_a_baseline_near_nothing_has_no_ratio() -> None:
    found = compare(Metric("conflicts", "per step", "lower"), np.zeros(8), np.arange(8.0))
    assert found.relative is None
    assert found.improvement is None
    assert found.answer is Answer.worse
    assert "per step higher" in found.verdict


def test_probability_of_improvement_is_the_share_of_pairs() -> None:
    generator = np.random.default_rng(6)
    baseline, treated = generator.integers(0, 8, 15).astype(float), generator.integers(1, 9, 15).astype(float)
    metric = Metric("reward", "1", "higher")
    unpaired = compare(metric, baseline, treated, paired=False).probability
    assert unpaired.value == pytest.approx(mannwhitneyu(treated, baseline).statistic / 15**2)
    assert unpaired.low < unpaired.value < unpaired.high
    paired = compare(metric, baseline, treated).probability
    assert paired.value == pytest.approx(np.mean((treated > baseline) + 0.5 * (treated == baseline)))
    # Less is better: the other way round.
    assert compare(LATENCY, baseline, treated, paired=False).probability.value == pytest.approx(1 - unpaired.value)


def test_unpaired_probability_stays_within_strata() -> None:
    strata = [0, 0, 1, 1]
    found = compare(Metric("r", "1", "higher"), [0, 0, 10, 10], [1, 1, 9, 9], paired=False, strata=strata).probability
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))


def test_metrics_together_are_as_metrics_alone() -> None:
    generator = np.random.default_rng(8)
    metrics = [Metric(f"metric {index}", "1", "lower") for index in range(10)]
    pairs = {metric.name: common(generator, 0.8) for metric in metrics}
    baseline, treated = ({name: pair[side] for name, pair in pairs.items()} for side in (0, 1))
    together = compare_all(metrics, baseline, treated, seed=9)
    for metric in metrics:
        alone = compare(metric, *pairs[metric.name], seed=9)
        assert together[metric.name] == alone


def success_case(loss: float, spread: float) -> dict[str, dict[str, Floats]]:
    generator = np.random.default_rng(3)
    latency = common(generator, 0.7)
    success = generator.normal(0.9, 0.02, SEEDS)
    return {
        "baseline": {"latency": latency[0], "success": success},
        "treated": {"latency": latency[1], "success": success - loss + generator.normal(0, spread, SEEDS)},
    }


@pytest.mark.parametrize(
    ("loss", "spread", "expected"),
    [(0.0, 0.002, None), (0.05, 0.002, Reason.success_lower), (0.01, 0.02, Reason.success_undecided)],
)
def test_latency_is_compared_at_equal_success_only(loss: float, spread: float, expected: Reason | None) -> None:
    case = success_case(loss, spread)
    found = compare_at_equal_success(LATENCY, SUCCESS, **case, tolerance=0.01)
    if expected is None:
        assert isinstance(found, Comparison)
        assert found == compare(LATENCY, case["baseline"]["latency"], case["treated"]["latency"])
    else:
        assert isinstance(found, NotComparable)
        assert found.reason is expected
        assert "latency not comparable" in found.verdict
    # The tolerance decides, and what it is stated as is what counts.
    assert isinstance(compare_at_equal_success(LATENCY, SUCCESS, **case, tolerance=0.2), Comparison)


def test_a_profile_is_the_share_of_seeds_at_least_as_good() -> None:
    values = np.array([1.0, 2, 3, 4])
    lower = performance_profile(LATENCY, values, np.array([0.5, 1, 2.5, 4]))
    np.testing.assert_allclose(lower.share, [0, 0.25, 0.5, 1])
    higher = performance_profile(SUCCESS, values, np.array([0.5, 1, 2.5, 4]))
    np.testing.assert_allclose(higher.share, [1, 1, 0.5, 0.25])
    assert ((lower.low <= lower.share) & (lower.share <= lower.high)).all()
    assert (lower.low[2], lower.high[2]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"baseline": [1.0, 2], "treated": [1.0]}, "same seeds"),
        ({"baseline": [1.0], "treated": [1.0]}, "at least 2 seeds"),
        ({"baseline": [1.0, np.nan], "treated": [1.0, 2]}, r"not a number at positions \[1\]"),
        ({"baseline": [[1.0, 2]], "treated": [1.0, 2]}, "one value per seed"),
        ({"baseline": [1.0, 2], "treated": [1.0, 2], "resamples": 5}, "resamples must lie"),
        ({"baseline": [1.0, 2], "treated": [1.0, 2], "level": 1.0}, "between 0 and 1"),
        ({"baseline": [1.0, 2], "treated": [1.0, 2], "strata": [0]}, "one for each of 2 seeds"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        compare(LATENCY, **arguments)  # type: ignore[arg-type]


def test_a_missing_metric_and_a_wrong_success_are_refused() -> None:
    with pytest.raises(InvalidInput, match="treated has no 'latency'"):
        compare_all([LATENCY], {"latency": np.ones(3)}, {})
    with pytest.raises(InvalidInput, match="more must be better"):
        compare_at_equal_success(LATENCY, LATENCY, {}, {}, tolerance=0.1)
    with pytest.raises(InvalidInput, match="0 or more"):
        compare_at_equal_success(LATENCY, SUCCESS, {}, {}, tolerance=-0.1)


def test_pictures_show_every_answer() -> None:
    from PIL import Image

    case = success_case(0.05, 0.002)
    sides = case["baseline"], case["treated"]
    refused = {"latency": compare_at_equal_success(LATENCY, SUCCESS, *sides, tolerance=0.01)}
    better = {"latency": compare(LATENCY, sides[0]["latency"], sides[1]["latency"])}
    worse = {"latency": compare(LATENCY, sides[1]["latency"], sides[0]["latency"])}
    for shown in ({"a": refused}, {"a": refused, "b": better, "c": worse}):
        pixels = Image.open(BytesIO(comparison_figure(shown, baseline="static"))).convert("RGB").getcolors(1 << 24)
        assert any(b > r + 80 for _, (r, _, b) in pixels or []) is ("b" in shown)
        assert any(r > b + 80 for _, (r, _, b) in pixels or []) is ("c" in shown)
    curves = {"one": np.linspace(0, 1, 50), "many": np.random.default_rng(0).normal(0, 1, (5, 50))}
    assert learning_curves(curves, steps_per_point=512).startswith(b"\x89PNG")


def test_pictures_refuse_what_they_cannot_show() -> None:
    found = compare(LATENCY, [1.0, 2], [1.0, 2])
    with pytest.raises(InvalidInput, match="1 to 12 controllers"):
        comparison_figure({}, baseline="static")
    with pytest.raises(InvalidInput, match="compare them alike"):
        comparison_figure({"a": {"latency": found}, "b": {"other": found}}, baseline="static")
    with pytest.raises(InvalidInput, match="finite"):
        learning_curves({"a": np.array([np.nan])}, steps_per_point=1)
