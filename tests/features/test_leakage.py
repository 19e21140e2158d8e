"""Features that look into the future are named, and no others."""

from dataclasses import replace

import numpy as np
import pytest

from cogorch_dagster.features import synthesis
from cogorch_dagster.features.calculation import Matrix, calculate
from cogorch_dagster.features.history import History
from cogorch_dagster.features.leakage import leaks
from tests.features.simulation import simulated_history


@pytest.fixture(scope="module")
def history() -> History:
    return simulated_history(300, 2, hours=0.5)


@pytest.fixture(scope="module")
def definitions(history: History) -> tuple[synthesis.Definition, ...]:
    return synthesis.every(synthesis.synthesise(history), (300,))


def test_features_of_the_past_do_not_leak(history: History, definitions: tuple[synthesis.Definition, ...]) -> None:
    assert leaks(history, lambda past: calculate(past, definitions)) == ()


def test_outcomes_known_too_early_are_named(history: History, definitions: tuple[synthesis.Definition, ...]) -> None:
    """Attempts dated by when they began: exactly features of attempts leak, and the truncated log shows it."""
    frame = history.events["attempts"].copy()
    frame["available_us"] = frame["known_us"] - np.ceil(frame["duration_ms"] * 1000).astype(np.int64)
    wrong = replace(history, events={**history.events, "attempts": frame})
    found = leaks(wrong, lambda past: calculate(past, definitions))
    assert {each.check for each in found} == {"truncated", "shuffled"}
    assert all("attempts" in each.feature for each in found)
    counted = "components.COUNT(attempts) [300s]"
    assert counted in {each.feature for each in found}
    assert f"{counted} leaks (truncated future)" in str(next(each for each in found if each.feature == counted))


def added(matrix: Matrix, name: str, values: np.ndarray) -> Matrix:
    return Matrix(
        matrix.decision_id, matrix.started_us, (*matrix.names, name), np.column_stack([matrix.values, values])
    )


def test_a_decisions_own_outcome_and_later_feedback_are_caught(history: History) -> None:
    honest = synthesis.every(synthesis.synthesise(history), (300,))[:3]

    def compute(past: History) -> Matrix:
        matrix = calculate(past, honest)
        attempts, judged = past.events["attempts"], past.events["judgements"]
        ended = attempts["known_us"] - np.ceil(attempts["duration_ms"] * 1000).astype(np.int64)
        own = dict(zip(ended, attempts["failed"], strict=True))
        place = np.searchsorted(judged["known_us"], matrix.started_us)
        quality = np.append(judged["quality"], np.nan)[place]
        matrix = added(matrix, "own.failed", np.array([own.get(at, np.nan) for at in matrix.started_us]))
        return added(matrix, "judgements.NEXT(quality)", quality)

    found = leaks(history, compute)
    assert {each.feature for each in found} == {"own.failed", "judgements.NEXT(quality)"}
    # A truncated log alone tells: every decision checked differs.
    own = next(each for each in found if each.feature == "own.failed" and each.check == "truncated")
    assert own.decisions == 12 and np.isnan(own.without)


def test_nothing_to_check() -> None:
    history = simulated_history(20, 1)
    assert leaks(replace(history, decisions=history.decisions[:0]), lambda past: pytest.fail("computed")) == ()
