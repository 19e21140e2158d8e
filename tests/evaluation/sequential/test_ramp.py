"""Moments add up, and the steps of a ramp are compared within themselves: what drifts is not taken for an effect."""

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.sequential import means
from cogorch_dagster.evaluation.sequential.means import Arm
from cogorch_dagster.evaluation.sequential.moments import Covariate, Moments, Sample
from cogorch_dagster.evaluation.sequential.verdict import ArmData, Step, Verdict, judge_steps

SHARES = np.array([0.05, 0.1, 0.25, 0.5])
EACH, LOOK = 2_000, 200


def _drifting(seed: int, effect: float, streams: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Rewards that rise by .1 with each step of a ramp and vary more in the last ones; and which are treated."""
    rng = np.random.default_rng(seed)
    step = np.repeat(np.arange(len(SHARES)), EACH)
    treated = rng.random((streams, len(step))) < SHARES[step]
    return rng.normal(0.3 + 0.1 * step, 0.15 + 0.05 * step, treated.shape) + effect * treated, treated


def _arm(y: np.ndarray, mask: np.ndarray) -> Arm:
    """Moments by look and step: the last axis has one entry for each step."""
    steps = len(SHARES)

    def total(terms: np.ndarray) -> np.ndarray:
        blocks = terms.reshape(len(terms), steps, EACH // LOOK, LOOK).sum(-1)
        at_step = blocks[..., None] * np.eye(steps)[:, None, :]
        return at_step.reshape(len(terms), -1, steps).cumsum(1)

    n = total(mask * 1.0)
    mean = total(mask * y) / np.maximum(n, 1)
    variance = np.maximum(total(mask * y * y) - n * mean**2, 0) / np.maximum(n - 1, 1)
    return Arm(n, mean, variance)


@pytest.mark.parametrize("effect", [0.0, 0.05])
def test_a_ramp_through_drifting_rewards_is_covered(effect: float) -> None:
    y, treated = _drifting(1, effect)
    target = means.target_information(2_000, SHARES[0], 50)
    control, treatment = _arm(y, ~treated), _arm(y, treated)
    low, high = means.difference(control, treatment, target=target).interval(0.05)
    enough = treatment.n.sum(-1) >= 50
    assert (((low > effect) | (high < effect)) & enough).any(-1).mean() <= 0.05
    if effect:
        assert (low[:, -1] > 0).mean() > 0.95
    # Taken together, the treatment has most of its traffic in the good hours: the sum of all steps is far off.
    assert (treated * y).sum() / treated.sum() - (~treated * y).sum() / (~treated).sum() > effect + 0.05


def test_the_verdict_on_a_ramp_is_that_of_its_steps_combined() -> None:
    y, treated = _drifting(2, 0.05, streams=1)
    steps = []
    for k, share in enumerate(SHARES):
        values, mask = (each[0][k * EACH : (k + 1) * EACH] for each in (y, treated))
        steps.append(Step(ArmData(Sample(values[~mask])), ArmData(Sample(values[mask]).moments), share))
    judged = judge_steps(steps)
    assert judged.verdict is Verdict.better
    assert judged.difference == pytest.approx(0.05, abs=0.02)


def test_steps_without_one_arm_change_nothing() -> None:
    rng = np.random.default_rng(3)
    both = Step(ArmData(Sample(rng.random(900))), ArmData(Sample(rng.random(100))), 0.1)
    alone = Step(ArmData(Sample(rng.random(40) + 5)), ArmData(Sample(np.array([]))), 0.01)
    one, two = judge_steps([both]), judge_steps([both, alone])
    assert two.difference == pytest.approx(one.difference)
    nobody = judge_steps([alone])
    assert (nobody.verdict, nobody.difference, nobody.interval) == (Verdict.not_enough_data, None, None)
    assert "treatment 0" in nobody.reason


@pytest.mark.parametrize("sizes", [(1, 1), (5, 300), (1, 40), (0, 7)])
def test_moments_of_parts_add_up_to_those_of_the_whole(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(100, 3, sum(sizes))
    y = 2 * x + rng.normal(0, 1, len(x))
    parts = np.split(np.arange(len(x)), [sizes[0]])
    one, two = (Sample(y[part], x[part]).moments for part in parts)
    added, whole = one + two, Sample(y, x).moments
    assert added.covariate is not None and whole.covariate is not None
    for a, b in zip(
        (added.n, added.mean, added.variance, *vars(added.covariate).values()),
        (whole.n, whole.mean, whole.variance, *vars(whole.covariate).values()),
        strict=True,
    ):
        assert a == pytest.approx(b, rel=1e-9)
    assert whole.variance == pytest.approx(np.var(y, ddof=1))
    assert whole.covariate.covariance == pytest.approx(np.cov(x, y)[0, 1])


def test_a_covariate_is_used_only_where_every_arm_has_it() -> None:
    with_it = Moments(500, 0.5, 0.04, Covariate(0.3, 0.04, 0.03))
    without = Moments(500, 0.5, 0.04)
    adjusted, plain, half = (
        means.difference(means.stacked([one]), means.stacked([two]), target=100.0)
        for one, two in ((with_it, with_it), (without, without), (with_it, without))
    )
    assert float(adjusted.theta) == pytest.approx(0.75)
    # .04 - 2 * .75 * .03 + .75² * .04 = .0175
    assert float(adjusted.se / plain.se) == pytest.approx(np.sqrt(0.0175 / 0.04), rel=0.1)
    assert float(half.theta) == 0 and float(half.se) == float(plain.se)
    with pytest.raises(InvalidInput, match="both or neither"):
        with_it + without


def test_the_interval_of_one_mean_covers_it_at_every_look() -> None:
    rng = np.random.default_rng(6)
    missed = 0
    for _ in range(200):
        values = rng.beta(0.5, 4, 2_000)
        ends = [means.mean_interval(Sample(values[:n]).moments, 0.1, target_size=500) for n in range(20, 2_001, 40)]
        missed += any(not low <= 1 / 9 <= high for low, high in ends)
    assert missed / 200 <= 0.1
    assert ends[-1][1] - ends[-1][0] < 0.05


def test_impossible_moments_are_refused() -> None:
    with pytest.raises(InvalidInput, match="n must not"):
        Moments(-1, 0.0, 0.0)
    with pytest.raises(InvalidInput, match="variance must not"):
        Moments(5, 0.0, -0.1)
    with pytest.raises(InvalidInput, match="one dimension"):
        Sample(np.zeros((2, 2)))
    with pytest.raises(InvalidInput, match="covariate needs one value"):
        Sample(np.zeros(3), np.zeros(2))
    with pytest.raises(InvalidInput, match="at least 2"):
        means.mean_interval(Moments(1, 0.5, 0.0), 0.05, target_size=100)
