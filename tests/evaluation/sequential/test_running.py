"""The bars: false alarms, power and coverage when one looks after every 100 of 10,000 observations."""

from pathlib import Path

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.sequential import means
from cogorch_dagster.evaluation.sequential.running import plot, watch
from cogorch_dagster.evaluation.sequential.verdict import ArmData, Sample, Verdict, judge
from tests.evaluation.sequential.streams import DEVIATION, Draw, arms, binary, inflated, normal

GAIN = 0.03


def test_false_alarms_and_power_of_two_thousand_streams() -> None:
    alarms, detected = [], []
    for seed in range(8):
        y, treated = arms(seed, 250, 0.5)
        alarms.append(watch(y, treated, expected_share=0.5).first(Verdict.better, Verdict.worse))
        detected.append(watch(y + GAIN * treated, treated, expected_share=0.5).first(Verdict.better))
    false_alarms = np.isfinite(np.concatenate(alarms)).mean()
    stop = np.concatenate(detected)
    assert 0.005 < false_alarms <= 0.05
    assert np.isfinite(stop).mean() >= 0.9
    # A fixed-sample z-test of 90 % power needs 2,900; the median of a sequential one has to come before.
    assert 1_500 < np.median(stop) < 2_900


def test_an_interval_of_fixed_size_would_raise_the_alarm_far_too_often() -> None:
    """The streams do put the bound to the test: the usual interval of 95 % fails on them."""
    y, treated = arms(1, 300, 0.5)
    run = watch(y, treated, expected_share=0.5)
    half = 1.96 * DEVIATION * np.sqrt(1 / run.n_control + 1 / run.n_treatment)
    assert (np.abs(run.estimate) > half).any(-1).mean() > 0.2


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01])
@pytest.mark.parametrize(
    ("control", "treatment", "truth"),
    [
        (inflated(0.05), inflated(0.05), 0.0),
        (binary(0.97), binary(0.97), 0.0),
        (binary(0.99), binary(0.9), -0.09),
        (inflated(0.05), inflated(0.5), 0.225),
    ],
    ids=["5 % nonzero", "97 % ones", "99 to 90 % ones", "5 to 50 % nonzero"],
)
def test_skewed_rewards_and_lopsided_splits_are_covered(
    control: Draw, treatment: Draw, truth: float, share: float
) -> None:
    y, treated = arms(5, 600, share, control, treatment)
    misses = watch(y, treated, expected_share=share).misses(truth).mean()
    assert misses <= 0.05


def test_without_steadied_variances_a_small_arm_fools_the_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    y, treated = arms(5, 300, 0.1, inflated(0.02))
    assert watch(y, treated, expected_share=0.1).misses(0.0).mean() <= 0.05
    monkeypatch.setattr(means, "UNSEEN", 0.0)
    monkeypatch.setattr(means, "BORROWED", 0.0)
    assert watch(y, treated, expected_share=0.1).misses(0.0).mean() > 0.15


def test_a_covariate_shortens_the_watch_and_raises_no_false_alarms() -> None:
    plain, adjusted, alarms, missed = [], [], [], []
    for seed in range(4):
        noise, treated = arms(seed, 250, 0.5)
        before = normal(np.random.default_rng(seed + 100), noise.shape)
        null = 0.7 * before + np.sqrt(1 - 0.7**2) * noise
        gain = null + GAIN * treated
        plain.append(watch(gain, treated, expected_share=0.5).first(Verdict.better))
        run = watch(gain, treated, expected_share=0.5, covariate=before)
        adjusted.append(run.first(Verdict.better))
        missed.append(run.misses(GAIN))
        run = watch(null, treated, expected_share=0.5, covariate=before)
        alarms.append(run.first(Verdict.better, Verdict.worse))
    shortened = np.median(np.concatenate(adjusted)) / np.median(np.concatenate(plain))
    assert shortened < 0.65  # 1 - .7² of the variance is left
    assert np.isfinite(np.concatenate(alarms)).mean() <= 0.05
    assert np.concatenate(missed).mean() <= 0.05


def test_a_covariate_that_acts_differently_in_each_arm_stays_covered() -> None:
    noise, treated = arms(3, 400, 0.1)
    before = np.random.default_rng(4).exponential(0.2, noise.shape)
    y = noise + np.where(treated, 1.5, 0.2) * (before - 0.2)
    run = watch(y, treated, expected_share=0.1, covariate=before)
    assert run.misses(0.0).mean() <= 0.05


def test_the_running_interval_is_that_of_the_verdict() -> None:
    y, treated = arms(9, 1, 0.3)
    before = y[0] + np.random.default_rng(1).normal(0, 0.2, y.shape[1])
    run = watch(y[0] + 5.0, treated[0], expected_share=0.3, covariate=before, every=250)
    for look in (1, 7, 39):
        n = run.looks[look]
        on = treated[0][:n]
        values = y[0][:n] + 5.0
        control, treatment = (ArmData(Sample(values[mask], before[:n][mask])) for mask in (~on, on))
        judged = judge(control, treatment, expected_share=0.3)
        assert judged.verdict == run.verdicts[look]
        assert judged.interval == pytest.approx((run.lower[look], run.upper[look]), rel=1e-7)


def test_nothing_is_concluded_below_the_minimum_per_arm() -> None:
    y, treated = arms(2, 50, 0.1, binary(0.1), binary(0.9))
    run = watch(y, treated, expected_share=0.1, minimum_per_arm=200)
    few = run.n_treatment < 200
    assert few.any() and (run.verdicts[few] == Verdict.not_enough_data).all()
    assert (run.verdicts[~few] == Verdict.better).all()


def test_a_picture_of_one_stream(tmp_path: Path) -> None:
    y, treated = arms(2, 2, 0.5)
    run = watch(y[0] + 0.05 * treated[0], treated[0], expected_share=0.5)
    picture = plot(run, tmp_path / "running.svg").read_text()
    assert "</svg>" in picture
    assert plot(run, tmp_path / "running.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InvalidInput, match="one stream"):
        plot(watch(y, treated, expected_share=0.5), tmp_path / "two.png")


def test_shapes_that_do_not_match_are_refused() -> None:
    with pytest.raises(InvalidInput, match="one shape"):
        watch(np.zeros(100), np.zeros(99, dtype=bool), expected_share=0.5)
    with pytest.raises(InvalidInput, match="every must lie"):
        watch(np.zeros(99), np.zeros(99, dtype=bool), expected_share=0.5)
