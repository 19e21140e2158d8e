"""What comes from outside: means, dispersions, bursts and incidents as often as the parameters say."""

import numpy as np
import pytest

from cogorch_dagster.fleet.parameters import HOURS, default_parameters
from cogorch_dagster.fleet.traffic import DAY_S, Processes, Traffic, draw_step

PARAMETERS = default_parameters()
PROCESSES = Processes.of(PARAMETERS)


def _calm(hour: float, fleets: int) -> Traffic:
    return Traffic(
        hour=np.full(fleets, hour),
        level=np.ones((4, fleets)),
        burst=np.zeros((4, fleets), dtype=bool),
        incident=np.zeros((3, fleets), dtype=bool),
    )


def test_counts_have_the_mean_and_the_dispersion_of_the_parameters() -> None:
    rates = PROCESSES.rates(_calm(15.0, 4000))
    counts = np.concatenate([PROCESSES.requests(rates, draw_step(1, step, 4000)) for step in range(10)], axis=1)
    for index, tenant in enumerate(PARAMETERS.tenants):
        expected = tenant.requests_per_second * tenant.hourly_shape[15] * 60
        assert counts[index].mean() == pytest.approx(expected, rel=0.01)
        assert counts[index].var() / counts[index].mean() == pytest.approx(tenant.dispersion, rel=0.05)


def test_the_day_has_its_shape_between_the_hours_too() -> None:
    chat = PARAMETERS.tenants[0]
    for hour, expected in ((3.0, chat.hourly_shape[3]), (23.5, (chat.hourly_shape[23] + chat.hourly_shape[0]) / 2)):
        assert PROCESSES.rates(_calm(hour, 1))[0, 0] == pytest.approx(chat.requests_per_second * expected)
    traffic = _calm(23.99, 1)
    assert PROCESSES.advance(traffic, draw_step(1, 0, 1)).hour[0] == pytest.approx((23.99 + 1 / 60) % HOURS)


def test_bursts_and_incidents_are_as_frequent_from_the_first_step_as_in_the_long_run() -> None:
    fleets, steps = 2000, 300
    traffic = PROCESSES.begin(5, 0, fleets, vary=True)
    first = traffic.burst.mean(axis=1), traffic.incident.mean(axis=1)
    bursts, incidents = np.zeros(4), np.zeros(3)
    begun = np.zeros(4)
    for step in range(steps):
        after = PROCESSES.advance(traffic, draw_step(5, step, fleets))
        begun += (after.burst & ~traffic.burst).mean(axis=1)
        traffic = after
        bursts += traffic.burst.mean(axis=1) / steps
        incidents += traffic.incident.mean(axis=1) / steps
    np.testing.assert_allclose(first[0], bursts, atol=0.02)
    np.testing.assert_allclose(first[1], incidents, atol=0.01)
    for index, tenant in enumerate(PARAMETERS.tenants):
        # They begin only while there is none.
        expected = tenant.bursts_per_day * steps * 60 / DAY_S * (1 - bursts[index])
        assert begun[index] == pytest.approx(expected, rel=0.1)


def test_draws_are_the_same_for_the_same_step_only() -> None:
    one, again, later, other = (draw_step(*at, 8).arrivals for at in ((1, 2), (1, 2), (1, 3), (2, 2)))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, later)
    assert not np.array_equal(one, other)
    assert abs(np.corrcoef(draw_step(1, 2, 5000).arrivals.ravel(), draw_step(1, 3, 5000).arrivals.ravel())[0, 1]) < 0.03


def test_episodes_differ_in_level_and_mix_only_if_they_may() -> None:
    assert (PROCESSES.begin(5, 0, 100, vary=False).level == 1).all()
    level = PROCESSES.begin(5, 0, 20_000, vary=True).level
    assert level.mean() == pytest.approx(1, abs=0.02)
    assert np.log(level).std() == pytest.approx(np.hypot(0.25, 0.3), rel=0.03)
