"""The sample-ratio check is a martingale, exactly; it keeps its alpha under watching and finds a bias soon."""

from math import comb

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.sequential import mismatch

LOOKS = np.arange(20, 10_001, 20)


def _first_alarm(share: float, sent: float, alpha: float, streams: int = 400) -> np.ndarray:
    rng = np.random.default_rng(11)
    treated = rng.binomial(20, sent, (streams, len(LOOKS))).cumsum(-1)
    stops = []
    for each in np.array_split(treated, 10):
        evidence = mismatch.log_evidence((LOOKS - each)[..., None], each[..., None], [share])
        hit = evidence >= -np.log(alpha)
        stops.append(np.where(hit.any(-1), LOOKS[hit.argmax(-1)], np.inf))
    return np.concatenate(stops)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01])
def test_its_expectation_under_the_intended_shares_is_one(share: float) -> None:
    treated = np.arange(31)
    probability = np.array([comb(30, k) * share**k * (1 - share) ** (30 - k) for k in treated])
    evidence = np.exp(mismatch.log_evidence((30 - treated)[:, None], treated[:, None], [share]))
    assert float(probability @ evidence) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("share", [0.5, 0.01])
def test_watching_raises_no_more_than_alpha_false_alarms(share: float) -> None:
    assert 0 < np.isfinite(_first_alarm(share, share, alpha=0.1)).mean() <= 0.1
    assert np.isfinite(_first_alarm(share, share, alpha=0.001)).mean() <= 0.005


def test_forty_five_to_fifty_five_is_found_soon() -> None:
    stop = _first_alarm(0.5, 0.45, alpha=0.001)
    assert np.isfinite(stop).all()
    # The likelihood ratio of the true shares alone would need log(1000) / .005 = 1,380 on average.
    assert 1_000 < np.median(stop) < 2_500


def test_a_router_that_sends_everything_one_way_is_found_at_once() -> None:
    assert float(mismatch.log_evidence([30], [0], [0.5])) > np.log(1_000)
    assert float(mismatch.log_evidence([0], [5], [0.01])) > np.log(1_000)


def test_the_same_bias_adds_up_over_the_steps_of_a_ramp() -> None:
    share = np.array([0.05, 0.1, 0.25, 0.5])
    n = np.full(4, 1_500.0)
    biased = share * np.exp(0.25) / (1 - share + share * np.exp(0.25)) * n
    together = float(mismatch.log_evidence(n - biased, biased, share))
    alone = [float(mismatch.log_evidence([a - b], [b], [p])) for a, b, p in zip(n, biased, share, strict=True)]
    assert together > max(alone) + 3 and together > np.log(1_000)
    assert float(mismatch.log_evidence(n * (1 - share), n * share, share)) < 0


def test_impossible_input_is_refused() -> None:
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        mismatch.log_evidence([1], [1], [1.0])
    with pytest.raises(InvalidInput, match="negative"):
        mismatch.log_evidence([-1], [1], [0.5])
