"""The boundaries against the Brownian motion they are made for: an error in either direction shows."""

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.sequential import boundary


@pytest.fixture(scope="module")
def paths() -> tuple[np.ndarray, np.ndarray]:
    """Clocks from a ten-thousandth to a million targets, and standardised Brownian motion there, for 4,000 paths."""
    rng = np.random.default_rng(3)
    clock = np.geomspace(1e-4, 1e6, 3_000)
    steps = rng.standard_normal((4_000, len(clock))) * np.sqrt(np.diff(clock, prepend=0.0))
    return clock, steps.cumsum(-1) / np.sqrt(clock)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_a_path_watched_for_ever_crosses_with_about_alpha(paths: tuple[np.ndarray, np.ndarray], alpha: float) -> None:
    clock, path = paths
    both = (np.abs(path) > boundary.two_sided(clock, alpha)).any(-1).mean()
    one = (path > boundary.one_sided(clock, alpha)).any(-1).mean()
    error = 3 * np.sqrt(alpha / 4_000)
    # Between its 3,000 looks a path can cross unseen, so a little is missing from the equality in Ville's inequality.
    assert 0.7 * alpha < both < alpha + error
    assert 0.7 * alpha < one < alpha + error


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.3])
def test_the_interval_is_tightest_at_the_target(alpha: float) -> None:
    x = boundary.tuned(alpha)
    rho_squared = np.linspace(0.5, 2.0, 301) * x
    # The width at time 1 as a function of ρ², written out from the paper.
    width = np.sqrt(2 * (rho_squared + 1) / rho_squared * np.log(np.sqrt(rho_squared + 1) / alpha))
    assert rho_squared[width.argmin()] == pytest.approx(x, rel=0.01)
    assert float(boundary.two_sided(1.0, alpha)) == pytest.approx(width.min(), rel=1e-6)


def test_one_side_is_tighter_than_two_and_nothing_is_known_at_the_start() -> None:
    clock = np.geomspace(0.01, 100, 20)
    assert (boundary.one_sided(clock, 0.05) < boundary.two_sided(clock, 0.05)).all()
    assert np.isinf(boundary.two_sided(0.0, 0.05))


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1])
def test_alpha_out_of_range_is_refused(alpha: float) -> None:
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        boundary.tuned(alpha)
