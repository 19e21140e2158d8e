"""A shift of the input is told from chance, also where rows depend on those before."""

from dataclasses import replace

import numpy as np

from cogorch_dagster.causal.versions.shift import shifts
from tests.causal.samples import autoscaled


def test_the_shifted_variable_is_named_with_its_means() -> None:
    found = shifts(autoscaled(seed=1), autoscaled(seed=2, shift=60.0))
    shifted = {each.variable: each for each in found if each.shifted}
    assert set(shifted) == {"latency_ms", "reward"}
    assert 50 < shifted["latency_ms"].after - shifted["latency_ms"].before < 70
    assert found[0].distance == max(each.distance for each in found)


def test_chance_is_rarely_taken_for_a_shift() -> None:
    alarms = [any(each.shifted for each in shifts(autoscaled(80, 2 * k), autoscaled(80, 2 * k + 1))) for k in range(60)]
    assert sum(alarms) <= 3


def test_rows_that_resemble_each_other_count_for_less() -> None:
    rng = np.random.default_rng(0)

    def slow(seed: int) -> object:
        noise = np.random.default_rng(seed).standard_normal((400, 5))
        for row in range(1, 400):
            noise[row] = 0.97 * noise[row - 1] + np.sqrt(1 - 0.97**2) * noise[row]
        return replace(autoscaled(400), values=noise)

    p = [min(each.p for each in shifts(slow(a), slow(b))) for a, b in rng.integers(1, 10_000, (20, 2))]  # type: ignore[arg-type]
    # As independent rows nearly all of them would fall below.
    assert np.mean(np.array(p) <= 0.01) <= 0.25


def test_a_variable_that_only_one_has_is_left_out() -> None:
    old, new = autoscaled(60), autoscaled(60, 1)
    found = shifts(old.only(("load", "reward")), new)
    assert {each.variable for each in found} == {"load", "reward"}
