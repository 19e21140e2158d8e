"""Successive rejects: its lengths, what it asks for next, and how often it finds the best arm by noisy looks."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.tuning.rejection import Contest, Selection, contest, lengths, most_looks, selection_of

Found = dict[int, dict[int, float | None]]


def played(
    arms: Sequence[int], long: Sequence[int], see: Callable[[int, int], float | None], order: int = 0
) -> Contest:
    """The contest at its end, looks made in a random order."""
    found: Found = {}
    rng = np.random.default_rng(order)
    while (now := contest(arms, long, found)).open:
        arm, look = now.open[int(rng.integers(len(now.open)))]
        found.setdefault(arm, {})[look] = see(arm, look)
    return now


def test_lengths_are_those_of_the_paper() -> None:
    # log-bar(5) = 1/2 + 1/2 + 1/3 + 1/4 + 1/5 = 1.78333; n_k = ceil(15 / (1.78333 (6 - k))).
    assert lengths(5, 20) == (2, 3, 3, 5)
    assert most_looks((2, 3, 3, 5)) == 18
    assert lengths(1, 1) == () and most_looks(()) == 0
    assert lengths(3, 3) == (1, 1), "a look at each is the least"
    for arms, budget in ((0, 5), (4, 3)):
        with pytest.raises(InvalidInput, match="a contest needs 1 or more arms and a look at each"):
            lengths(arms, budget)


@given(st.integers(1, 51), st.integers(1, 100))
def test_no_more_looks_than_paid_for(arms: int, each: int) -> None:
    found = Selection(50, each).lengths(arms)
    assert len(found) == arms - 1 and list(found) == sorted(found)
    assert most_looks(found) <= arms * each


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 99), st.integers(0, 99))
def test_the_order_of_looks_does_not_matter(arms: int, each: int, seed: int, order: int) -> None:
    values = np.random.default_rng(seed).normal(size=(arms, 200))
    long = Selection(5, each).lengths(arms)
    ends = [played(range(arms), long, lambda arm, look: float(values[arm, look]), by) for by in (0, order)]
    assert ends[0] == ends[1]
    assert ends[0].winner is not None and len(ends[0].dropped) == arms - 1
    assert list(ends[0].dropped.values()) == list(long)


def test_without_noise_the_worst_go_first_and_the_earlier_of_equals_stays() -> None:
    worth = {7: 0.2, 0: 0.5, 3: 0.5, 4: 0.1}
    end = played(list(worth), lengths(4, 16), lambda arm, _: worth[arm])
    assert list(end.dropped) == [4, 7, 3] and end.winner == 0


def test_an_arm_that_fails_is_out_in_the_place_of_the_worst() -> None:
    long = lengths(4, 16)

    def see(arm: int, look: int) -> float | None:
        return None if (arm, look) == (3, 1) else arm / 10

    end = played(range(4), long, see)
    assert list(end.dropped) == [3, 0, 1] and end.winner == 2
    alone: Found = {0: {0: None}, 1: {0: 0.5}}
    assert contest([0, 1, 2], (2, 4), alone | {2: {1: None}}).open == ((1, 1),), "it may fail too"
    alone[1][1] = 0.5
    assert contest([0, 1, 2], (2, 4), alone | {2: {1: None}}).winner == 1
    none = played(range(3), lengths(3, 9), lambda *_: None)
    assert none.winner is None and not none.left and not none.open and set(none.dropped) == {0, 1, 2}


def test_what_is_open_is_of_one_phase_and_nobody_wins_before_its_end() -> None:
    long = (1, 2)
    begun = contest([0, 1, 2], long, {})
    assert begun.open == ((0, 0), (1, 0), (2, 0)) and begun.winner is None
    second = contest([0, 1, 2], long, {0: {0: 0.3}, 1: {0: 0.1}, 2: {0: 0.2}})
    assert (second.left, second.dropped, second.open) == ((0, 2), {1: 1}, ((0, 1), (2, 1)))


def test_a_planted_better_arm_is_found_as_often_as_the_theorem_says() -> None:
    rng, arms, each, gap, noise = np.random.default_rng(0), 5, 12, 0.06, 0.04
    worth = np.array([gap, *[0.0] * (arms - 1)])
    long = lengths(arms, arms * each)
    wins = 0
    for _ in range(200):
        seen = worth[:, None] + noise * rng.standard_normal((arms, long[-1]))
        end = played(range(arms), long, lambda arm, look, seen=seen: float(seen[arm, look]))  # type: ignore[misc]
        wins += end.winner == 0
    # Theorem 2, for noise with variance s^2 instead of values in [0, 1], that is with exponent gap^2 / (4 s^2).
    scale = 0.5 + sum(1 / k for k in range(2, arms + 1))
    bound = arms * (arms - 1) / 2 * math.exp(-(arms * each - arms) / (scale * arms) * gap**2 / (4 * noise**2))
    assert bound < 0.4 and 1 - wins / 200 <= bound
    assert wins / 200 > 0.97


def test_it_finds_more_than_one_look_does() -> None:
    rng, long = np.random.default_rng(1), lengths(5, 20)
    once = rejects = 0
    for _ in range(300):
        seen = np.array([0.04, 0, 0, 0, 0])[:, None] + 0.04 * rng.standard_normal((5, 5))
        once += int(np.argmax(seen[:, 0])) == 0
        end = played(range(5), long, lambda arm, look, seen=seen: float(seen[arm, look]))  # type: ignore[misc]
        rejects += end.winner == 0
    assert rejects / 300 > once / 300 + 0.15


def test_selections_that_cannot_be() -> None:
    assert selection_of(0, 4) is None and selection_of(3, 2) == Selection(3, 2)
    for finalists, trainings, name in (
        (51, 4, "finalists"),
        (4, 0, "trainings"),
        (-1, 4, "finalists"),
        (4, 101, "tra"),
    ):
        with pytest.raises(InvalidInput, match=f"{name}.* of a selection must be a whole number from 1 to"):
            selection_of(finalists, trainings)


def test_the_winner_is_worth_more_than_the_best_score() -> None:
    """Simulated searches of trials that differ by less than the noise of a training."""
    rng, gains = np.random.default_rng(0), []
    long = Selection(4, 4).lengths(5)
    for _ in range(400):
        worth = rng.normal(0, 0.03, 24)
        scores = worth + 0.04 * rng.standard_normal(24)
        arms = [0, *[int(each) for each in np.argsort(-scores) if each != 0][:4]]
        seen = {a: {look: float(worth[a] + 0.04 * rng.standard_normal()) for look in range(long[-1])} for a in arms}
        winner = contest(arms, long, seen).winner
        assert winner is not None
        gains.append(worth[winner] - worth[int(np.argmax(scores))])
    error = float(np.std(gains, ddof=1)) / math.sqrt(len(gains))
    assert np.mean(gains) - 3 * error > 0
