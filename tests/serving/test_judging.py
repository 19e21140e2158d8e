"""Whether agents earn less after a change: never by chance, soon when it is true, and laid to the right change."""

from datetime import timedelta

import numpy as np
import pytest

from cogorch_dagster.serving.judging import LEAST_WINDOWS, around, correlation, judge
from cogorch_dagster.serving.returns import Earned, Window
from tests.serving.hyperparameters import MOMENT

A, B = "agent-policy", "agent-ethical"


def series(generator: np.random.Generator, size: int, rho: float, deviation: float = 0.0165) -> np.ndarray:
    """A first-order autoregression around 0.9; the deviation is that of windows of eight fleets."""
    steps = generator.normal(size=size) * deviation * np.sqrt(1 - rho**2)
    found = [generator.normal() * deviation]
    for each in steps[1:]:
        found.append(rho * found[-1] + each)
    return 0.9 + np.array(found)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6])
def test_no_change_is_taken_for_a_drop_however_often_one_looks(rho: float) -> None:
    generator = np.random.default_rng(0)
    looks = (12, 15, 20, 30, 50, 100)
    false = 0
    for _ in range(60):
        values = series(generator, 220, rho)
        false += any(judge([(values[:120], values[120 : 120 + look])]).worse for look in looks)
    assert false == 0


def test_a_drop_is_found_soon_and_its_bound_holds() -> None:
    generator = np.random.default_rng(1)
    found = 0
    for _ in range(40):
        values = series(generator, 100, 0.3)
        values[50:] -= 0.06
        drop = judge([(values[:50], values[50:80])])
        found += drop.worse
        assert drop.bound is not None and drop.difference is not None
        assert drop.difference < drop.bound and drop.bound > -0.06
    assert found >= 38


def test_too_few_windows_and_too_small_drops_are_left_alone() -> None:
    level = [0.9, 0.91] * 50
    assert judge([(level, [0.2] * LEAST_WINDOWS)]).worse
    assert not judge([(level, [0.2] * (LEAST_WINDOWS - 1))]).worse
    assert not judge([(level[: LEAST_WINDOWS - 1], [0.2] * 100)]).worse
    assert not judge([([0.9] * 200, [0.895] * 200)]).worse
    assert not judge([]).worse and not judge([(level, [])]).worse
    # Counted over the processes; each is compared with itself, so a process that always earns less is no drop.
    halves = [(level, [0.2, 0.21] * 3), ([0.5, 0.51] * 20, [0.1, 0.11] * 3)]
    assert judge(halves).worse
    assert not judge([(level, level), ([0.3] * 50, [0.3] * 100)]).worse
    assert not judge([(level[:12], [0.99] * 50)]).worse


def test_correlation_of_neighbours_is_estimated_without_the_bias_of_short_series() -> None:
    generator = np.random.default_rng(2)
    found = [correlation(series(generator, 40, 0.6), series(generator, 40, 0.6)) for _ in range(300)]
    assert abs(np.mean(found) - 0.6) < 0.03
    assert correlation(np.ones(5), np.ones(5)) == pytest.approx(0.2)  # nothing is known: the correction alone
    assert correlation(np.tile([0.0, 1.0], 20), np.tile([0.0, 1.0], 20)) == 0


def windows(*runs: tuple[str, str, int]) -> list[Earned]:
    """Windows under versions of A and B, valued by their place."""
    found: list[Earned] = []
    for a, b, count in runs:
        for _ in range(count):
            at = len(found)
            found.append(Earned(float(at), {A: a, B: b}, at, MOMENT + timedelta(seconds=at)))
    return found


def test_only_windows_between_changes_of_other_agents_are_compared() -> None:
    rows = windows(("1", "1", 3), ("1", "2", 4), ("2", "2", 5), ("2", "3", 6))
    assert around(rows, A, "2", "1") == ([3, 4, 5, 6], [7, 8, 9, 10, 11])
    assert around(rows, B, "3", "2") == ([7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 17])
    assert around(rows, A, "3", "2") == ([], [])
    # Both changed within the same window: neither can be blamed.
    assert around(windows(("1", "1", 5), ("2", "2", 5)), A, "2", "1")[0] == []
    # What came back later is not the time just after the change.
    assert around(windows(("1", "1", 2), ("2", "1", 2), ("1", "1", 2)), A, "2", "1") == ([0, 1], [2, 3])


def test_a_window_is_as_many_steps_and_begins_anew_after_a_change() -> None:
    window = Window(3)
    assert [window.add(value, {A: "1"}, at) for at, value in enumerate((1.0, 2.0))] == [None, None]
    first = window.add(6.0, {A: "1"}, 2)
    assert first is not None and (first.value, first.versions, first.steps) == (3.0, {A: "1"}, 2)
    window.add(100.0, {A: "1"}, 3)
    window.restart()
    assert window.add(1.0, {A: "2"}, 4) is None and window.add(1.0, {A: "2"}, 5) is None
    second = window.add(1.0, {A: "2"}, 6)
    assert second is not None and second.value == 1.0
