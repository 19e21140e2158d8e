"""The Parzen estimator: densities that are some, draws that are legal, and a search that learns from its trials."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.tuning.parzen import FIRST_TRIALS, Floats, density, first_place, next_place

# A number, a choice of three, a number.
MIXED = (0, 3, 0)


def places_of(choices: tuple[int, ...], count: int, seed: int) -> Floats:
    """Even, those of choices in the middle of their parts."""
    found = np.random.default_rng(seed).random((count, len(choices)))
    for number, many in enumerate(choices):
        if many:
            found[:, number] = (np.floor(found[:, number] * many) + 0.5) / many
    return found


def searched(function: Callable[[Floats], float], choices: tuple[int, ...], trials: int, seed: int) -> Floats:
    """The scores of a search, in order."""
    places, scores = np.empty((0, len(choices))), np.empty(0)
    for number in range(trials):
        if number < FIRST_TRIALS:
            place = first_place(choices, seed, number)
        else:
            place = next_place(choices, places, scores[:, None], 1000 * seed + number)
        places, scores = np.vstack([places, place]), np.append(scores, function(place))
    return scores


def nearest(places: Floats, values: Floats, to: float, draws: int = 60) -> float:
    """How far from a place the median draw of a study of one number is."""
    drawn = [next_place((0,), places, values, seed)[0] for seed in range(draws)]
    return float(np.median(np.abs(np.array(drawn) - to)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=0, max_size=12), st.integers(0, 2**32), st.sampled_from([2, 3, 5]))
def test_densities_integrate_to_one(numbers: list[float], seed: int, choices: int) -> None:
    rng = np.random.default_rng(seed)
    centres = np.column_stack([numbers, (rng.integers(0, choices, len(numbers)) + 0.5) / choices])
    found = density((0, choices), centres, rng.random(len(numbers)))
    steps = (np.arange(2000) + 0.5) / 2000
    of_each = [
        np.exp(found.log_density(np.column_stack([steps, np.full(2000, (k + 0.5) / choices)]))).mean()
        for k in range(choices)
    ]
    assert np.mean(of_each) == pytest.approx(1, abs=1e-4)


def test_draws_follow_their_density() -> None:
    places = np.array([[0.1, 1 / 6, 0.0], [0.15, 1 / 6, 1.0], [0.9, 5 / 6, 0.5]])
    found = density(MIXED, places, np.array([2.0, 1.0, 0.5]))
    drawn = found.draws(60_000, np.random.default_rng(0))
    assert ((drawn >= 0) & (drawn <= 1)).all()
    assert set(np.unique(drawn[:, 1])) == {1 / 6, 0.5, 5 / 6}
    cells = np.stack([(drawn[:, 0] * 4).astype(int), (drawn[:, 1] * 3).astype(int), (drawn[:, 2] * 4).astype(int)])
    counts = np.zeros((4, 3, 4))
    np.add.at(counts, tuple(cells), 1 / len(drawn))
    fine = (np.arange(80) + 0.5) / 80
    at = np.stack(np.meshgrid(fine, [1 / 6, 0.5, 5 / 6], fine, indexing="ij"), axis=-1).reshape(-1, 3)
    exact = np.exp(found.log_density(at)).reshape(4, 20, 3, 4, 20).mean(axis=(1, 4)) / 48
    assert exact.sum() == pytest.approx(1, abs=1e-3)
    assert np.abs(counts - exact).max() < 0.005


def test_the_ends_are_neither_starved_nor_piled_upon() -> None:
    # Kernels cut at an end keep their mass inside: near an end there is as much as the density says, at it nothing.
    for centre, end in ((0.0, 0.0), (0.02, 0.0), (0.98, 1.0), (1.0, 1.0)):
        drawn = density((0,), np.full((4, 1), centre), np.ones(4)).draws(4000, np.random.default_rng(1))[:, 0]
        assert len(np.unique(drawn)) > 3990
        assert (np.abs(drawn - end) < 0.1).mean() > 0.3
        assert (np.abs(drawn - end) < 0.01).mean() > 0.03
    # A score that rises to the corner is followed there.
    last = searched(lambda place: float(place.sum()), (0, 0, 0), 40, 5)[-15:]
    assert np.median(last) > 2.5


def test_first_places_fill_the_cube() -> None:
    found = np.array([first_place(MIXED, 3, number) for number in range(FIRST_TRIALS)])
    for column in found.T:
        assert sorted((column * FIRST_TRIALS).astype(int)) == list(range(FIRST_TRIALS))
    assert not np.allclose(found, [first_place(MIXED, 4, number) for number in range(FIRST_TRIALS)])


def test_the_same_for_the_same_seed_and_trials() -> None:
    places, values = places_of(MIXED, 20, 0), np.random.default_rng(1).random((20, 1))
    first = next_place(MIXED, places, values, 7)
    assert first.tobytes() == next_place(MIXED, places.copy(), values.copy(), 7).tobytes()
    assert not np.allclose(first, next_place(MIXED, places, values, 8))
    # Any transformation that keeps the order of the scores leaves everything as it is.
    assert first.tobytes() == next_place(MIXED, places, np.exp(9 * values) - 4, 7).tobytes()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 25),
    st.integers(0, 2**32),
    st.lists(st.sampled_from([0, 0, 0, 2, 4]), min_size=1, max_size=8),
    st.integers(1, 3),
)
def test_whatever_the_trials_a_place_is_legal(count: int, seed: int, axes: list[int], objectives: int) -> None:
    choices, rng = tuple(axes), np.random.default_rng(seed)
    values = rng.integers(0, 3, (count, objectives)).astype(float)
    state = rng.integers(0, 4, count)
    values[state == 0], values[state == 1] = np.nan, -np.inf
    place = next_place(choices, places_of(choices, count, seed), values, seed)
    assert place.shape == (len(choices),)
    assert ((place >= 0) & (place <= 1)).all()
    for at, many in zip(place, choices, strict=True):
        assert not many or at * many % 1 == pytest.approx(0.5)


def test_near_the_good_trials_and_away_from_the_bad_ones() -> None:
    places = np.linspace(0, 1, 21)[:, None]
    assert nearest(places, -np.abs(places - 0.8), 0.8) < 0.1
    # Of a choice the better one.
    choices = (0, 4)
    tried = places_of(choices, 24, 0)
    drawn = [next_place(choices, tried, (tried[:, 1:] == 0.625) - 0.0, seed)[1] for seed in range(100)]
    assert sum(each == 0.625 for each in drawn) > 60


def test_one_trial_and_equal_scores_break_nothing() -> None:
    alone = np.array([[0.5, 0.5, 0.5]])
    drawn = np.array([next_place(MIXED, alone, np.array([[1.0]]), seed) for seed in range(200)])
    assert len(np.unique(drawn[:, 0])) == 200 and np.ptp(drawn[:, 0]) > 0.2
    places = np.tile(alone, (30, 1))
    assert np.isfinite(next_place(MIXED, places, np.ones((30, 1)), 0)).all()


def test_failed_trials_are_avoided() -> None:
    rng = np.random.default_rng(2)
    places = rng.random((24, 1))
    fails = places[:, 0] > 0.6
    # The higher the better, up to where trials fail.
    values = np.where(fails, -np.inf, places[:, 0])[:, None]
    drawn = np.array([next_place((0,), places, values, seed)[0] for seed in range(100)])
    assert (drawn > 0.65).mean() < 0.15
    assert np.median(drawn) > 0.4
    forgotten = np.array([next_place((0,), places[~fails], values[~fails], seed)[0] for seed in range(100)])
    assert np.median(forgotten) > np.median(drawn) + 0.05
    # Also where nothing else is known.
    drawn = np.array([next_place((0,), places[fails], values[fails], seed)[0] for seed in range(100)])
    assert (drawn > 0.6).mean() < 0.1


def test_workers_keep_apart_from_what_runs() -> None:
    places = np.linspace(0, 1, 11)[:, None]
    values = -np.abs(places - 0.5)
    running = np.full((8, 1), 0.5)
    alone = nearest(places, values, 0.5)
    beside = nearest(np.vstack([places, running]), np.vstack([values, np.full((8, 1), np.nan)]), 0.5)
    assert beside > 1.5 * alone
    # And with one that runs, of few trials in a cube.
    tried, scores = places_of((0,) * 3, 8, 3), np.arange(8.0)[:, None]
    apart, unaware = [], []
    for seed in range(100):
        first = next_place((0,) * 3, tried, scores, seed)
        second = next_place((0,) * 3, np.vstack([tried, first]), np.vstack([scores, [[np.nan]]]), 1000 + seed)
        apart.append(np.linalg.norm(second - first))
        unaware.append(np.linalg.norm(next_place((0,) * 3, tried, scores, 1000 + seed) - first))
    assert min(apart) > 0 and np.median(apart) > 1.05 * np.median(unaware)


def test_two_objectives_are_searched_along_their_front() -> None:
    def objectives(place: Floats) -> Floats:
        # Of the first number all between .3 and .6 is on the front, of the others .8.
        beside = float(np.abs(place[1:] - 0.8).sum())
        return np.array([-abs(place[0] - 0.3) - beside, -abs(place[0] - 0.6) - beside])

    last = []
    for seed in range(4):
        places, values = np.empty((0, 3)), np.empty((0, 2))
        for number in range(50):
            place = (
                first_place((0, 0, 0), seed, number)
                if number < FIRST_TRIALS
                else next_place((0, 0, 0), places, values, 100 * seed + number)
            )
            places, values = np.vstack([places, place]), np.vstack([values, objectives(place)])
        last.append(places[-25:])
    drawn = np.concatenate(last)
    assert (np.abs(drawn[:, 1:] - 0.8) < 0.2).mean() > 0.7
    assert ((drawn[:, 0] > 0.2) & (drawn[:, 0] < 0.7)).mean() > 0.7
    assert (drawn[:, 0] < 0.42).mean() > 0.15 and (drawn[:, 0] > 0.48).mean() > 0.15


def test_a_search_beats_random_trials() -> None:
    def score(place: Floats) -> float:
        # The first number counts most; a choice moves its best place.
        kind = int(place[5] * 3)
        shift = np.array([0.2, 0.0, 0.1])[kind]
        return float(-4 * (place[0] - 0.5 - shift) ** 2 - ((place[1:5] - 0.3) ** 2).sum() - shift)

    choices = (0, 0, 0, 0, 0, 3)
    ours = np.array([searched(score, choices, 30, seed).max() for seed in range(15)])
    random = np.array([max(score(place) for place in places_of(choices, 120, seed)) for seed in range(15)])
    # With a quarter of the trials.
    assert np.median(ours) > np.median(random)
    assert (ours > np.median(random)).mean() >= 0.6


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidInput, match="do not fit 2 dimensions"):
        next_place((0, 0), np.zeros((3, 3)), np.zeros((3, 1)), 0)
    with pytest.raises(InvalidInput, match="do not fit 1 dimensions"):
        next_place((0,), np.zeros((3, 1)), np.zeros(3), 0)
    with pytest.raises(InvalidInput, match="outside of the unit cube"):
        next_place((0,), np.array([[1.5]]), np.zeros((1, 1)), 0)
