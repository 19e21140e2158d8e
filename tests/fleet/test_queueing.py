"""The queues' formulas, held against a simulation request by request and against their own laws."""

import heapq
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cogorch_dagster.fleet import queueing


def _simulated(servers: int, load: float, scv: float, requests: int = 200_000) -> tuple[np.ndarray, np.ndarray]:
    """Waits and response times of an M/G/c queue with log-normal service of mean 1, served in order of arrival."""
    rng = np.random.default_rng(7)
    sigma2 = np.log1p(scv)
    service = np.exp(rng.standard_normal(requests) * np.sqrt(sigma2) - sigma2 / 2)
    arrivals = np.cumsum(rng.exponential(1 / (servers * load), requests))
    free = [0.0] * servers
    waits = np.empty(requests)
    for index, (at, seconds) in enumerate(zip(arrivals.tolist(), service.tolist(), strict=True)):
        begin = max(heapq.heappop(free), at)
        waits[index] = begin - at
        heapq.heappush(free, begin + seconds)
    return waits, waits + service


@pytest.mark.parametrize(
    ("servers", "load", "scv"), [(1, 0.7, 0.3), (3, 0.85, 0.3), (8, 0.85, 1.5), (8, 0.7, 0.3), (24, 0.9, 0.8)]
)
def test_waits_and_tails_agree_with_a_simulation_event_by_event(servers: int, load: float, scv: float) -> None:
    waits, responses = _simulated(servers, load, scv)
    formula = queueing.stationary_wait(*(np.array(each) for each in (load, float(servers), 1.0, 1.0, scv)))
    assert float(formula.mean) == pytest.approx(waits.mean(), rel=0.25, abs=0.03)
    assert float(formula.share) == pytest.approx((waits > 0).mean(), abs=0.06)
    variance = scv + formula.mean**2 * (2 / formula.share - 1)
    for limit in (2.0, 5.0):
        share = queueing.tail(np.array(limit), 1 + formula.mean, variance)
        assert float(share) == pytest.approx((responses > limit).mean(), abs=0.03)


def test_a_single_server_with_exponential_service_waits_as_the_textbook_says() -> None:
    load = np.array([0.2, 0.5, 0.9])
    wait = queueing.stationary_wait(load, np.ones(3), np.full(3, 2.0), np.ones(3), np.ones(3))
    np.testing.assert_allclose(wait.mean, load / (1 - load) * 2.0)
    np.testing.assert_allclose(wait.share, load)


@settings(max_examples=60, deadline=None)
@given(
    wanted=arrays(np.float64, (4, 3), elements=st.floats(0, 100)),
    weights=arrays(np.float64, (4, 1, 3), elements=st.floats(0.25, 4)),
    capacity=st.floats(0.1, 300),
)
def test_capacity_is_shared_fairly(wanted: np.ndarray, weights: np.ndarray, capacity: float) -> None:
    served = queueing.fair_shares(wanted, weights[:, 0], np.full(3, capacity))
    assert (served <= wanted + 1e-9).all()
    # Nothing is left unused while somebody wants more.
    np.testing.assert_allclose(served.sum(axis=0), np.minimum(wanted.sum(axis=0), capacity), rtol=1e-6, atol=1e-6)
    # Whoever got less than wanted has at least as much per weight as anybody else.
    per_weight = served / weights[:, 0]
    short = served < wanted - 1e-6
    for fleet in range(3):
        if short[:, fleet].any():
            assert per_weight[short[:, fleet], fleet].min() >= per_weight[:, fleet].max() - 1e-6


@given(work=st.floats(0.01, 50), replicas=st.integers(1, 10), slowdown=st.floats(0, 0.3), slots=st.integers(1, 32))
def test_the_batch_solves_its_equation_below_the_slots(work: float, replicas: int, slowdown: float, slots: int) -> None:
    size = float(queueing.batch_size(*(np.array(float(each)) for each in (work, replicas, slowdown, slots))))
    assert size <= slots
    if size < slots:
        assert size == pytest.approx(work / replicas * (1 + slowdown * (size - 1)), rel=1e-6, abs=1e-9)
    else:
        # At full slots the offered work is at least what is done.
        assert work / replicas * (1 + slowdown * (slots - 1)) >= slots * (1 - 1e-6)


def test_the_first_of_two_is_the_mean_minimum() -> None:
    sigma = 0.8
    draws = np.exp(np.random.default_rng(1).standard_normal((2, 400_000)) * sigma)
    exact = draws.min(axis=0).mean() / draws.mean()
    assert float(queueing.first_of_two(np.array(1.0), np.array(sigma))) == pytest.approx(exact, rel=0.01)


def test_a_tail_is_that_of_the_log_normal_and_nothing_stays_below_zero() -> None:
    sigma = 0.6
    mean, variance = np.exp(sigma**2 / 2), (np.exp(sigma**2) - 1) * np.exp(sigma**2)
    limits = np.array([0.3, 1.0, 2.0, 4.0])
    exact = np.array([1 - NormalDist().cdf(np.log(limit) / sigma) for limit in limits])
    np.testing.assert_allclose(queueing.tail(limits, np.full(4, mean), np.full(4, variance)), exact, atol=3e-4)
    assert queueing.tail(np.array(-1.0), np.array(1.0), np.array(1.0)) == pytest.approx(1.0)
