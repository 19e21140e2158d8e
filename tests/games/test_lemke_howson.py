"""Paths from every label end in proven equilibria, in degenerate games too, and those are in the list of all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.games import lemke_howson as module
from cogorch_dagster.games.lemke_howson import from_every_label, lemke_howson, solve_two_players
from cogorch_dagster.games.payoffs import Equilibrium, Game, Profile, expected_payoffs, named_game, nash_conv
from cogorch_dagster.games.pure import pure_equilibria
from cogorch_dagster.games.vertices import all_equilibria
from tests.games import named

LAW = settings(max_examples=40, deadline=None)
SIZE = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)
# Few different payoffs make degenerate games; None is generic.
BOUNDS = st.sampled_from([None, 2, 3, 10])

Key = tuple[tuple[float, ...], ...]


def key(profile: Profile) -> Key:
    return tuple(tuple(abs(float(x)) for x in np.round(mix, 8)) for mix in profile)


def keys(found: list[Equilibrium]) -> set[Key]:
    return {key(each.profile) for each in found}


def in_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EXACT_ACTIONS", 0)


@LAW
@given(SIZE, SIZE, BOUNDS, SEEDS)
def test_every_label_ends_in_one_of_all_equilibria(m: int, n: int, bound: int | None, seed: int) -> None:
    game = named.random_game(np.random.default_rng(seed), m, n, integers=bound)
    everything = keys(all_equilibria(game))
    for label in range(m + n):
        found = lemke_howson(game, label)
        assert found.relative <= 1e-14
        assert key(found.profile) in everything
    best = solve_two_players(game)
    assert best.relative <= 1e-12
    assert key(best.profile) in everything


@LAW
@given(SIZE, SIZE, BOUNDS, SEEDS)
def test_all_pure_equilibria_are_listed_and_all_listed_are_proven(m: int, n: int, bound: int | None, seed: int) -> None:
    game = named.random_game(np.random.default_rng(seed), m, n, integers=bound)
    found = all_equilibria(game)
    assert len(keys(found)) == len(found)
    assert max(each.relative for each in found) <= 1e-14
    pure = {tuple(int(mix.argmax()) for mix in each.profile) for each in found if each.concept == "pure nash"}
    assert pure == set(pure_equilibria(game, tolerance=0.0))
    # Wilson (1971): all but a null set of games have an odd number.
    assert bound is not None or len(found) % 2 == 1


@LAW
@given(st.integers(2, 4), st.integers(2, 4), BOUNDS, SEEDS)
def test_renaming_actions_and_rescaling_payoffs_leave_the_set(m: int, n: int, bound: int | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    game = named.random_game(rng, m, n, integers=bound)
    rows, columns = rng.permutation(m), rng.permutation(n)
    # Powers of two keep ties that floats would otherwise break.
    scale = 2.0 ** rng.integers(-3, 4, size=(2, 1, 1))
    shift = rng.integers(-4, 5, size=(2, 1, 1)) if bound is not None else 0.0
    other = named_game(game.payoffs[:, rows][:, :, columns] * scale + shift)
    back = {
        key((each.profile[0][np.argsort(rows)], each.profile[1][np.argsort(columns)])) for each in all_equilibria(other)
    }
    assert back == keys(all_equilibria(game))


@LAW
@given(st.integers(1, 4), st.integers(1, 4), BOUNDS, SEEDS)
def test_the_list_is_that_of_all_pairs_of_supports(m: int, n: int, bound: int | None, seed: int) -> None:
    """In a generic game each support pair of equal size has at most one equilibrium: solve for all of them."""
    game = named.random_game(np.random.default_rng(seed), m, n, integers=bound)
    listed = keys(all_equilibria(game))
    found = set()
    for first in range(1, 2**m):
        for second in range(1, 2**n):
            rows = [i for i in range(m) if first >> i & 1]
            columns = [j for j in range(n) if second >> j & 1]
            if len(rows) != len(columns):
                continue
            profile = indifferent(game, rows, columns)
            if profile is not None and nash_conv(game, profile) <= 1e-12:
                found.add(key(profile))
    # Degenerate games have more extreme equilibria than unique solutions on square supports, never fewer.
    assert found <= listed
    assert bound is not None or found == listed


def indifferent(game: Game, rows: list[int], columns: list[int]) -> Profile | None:
    """The mixes on the supports that leave each other indifferent; None if they are not unique or not positive."""
    k = len(rows)
    mixes = []
    for payoffs, own, size in (
        (game.payoffs[1][np.ix_(rows, columns)].T, rows, game.shape[0]),
        (game.payoffs[0][np.ix_(rows, columns)], columns, game.shape[1]),
    ):
        system = np.ones((k + 1, k + 1))
        system[:k, :k], system[:k, k], system[k, k] = payoffs, -1, 0
        if abs(np.linalg.det(system)) < 1e-9:
            return None
        solved = np.linalg.solve(system, np.eye(k + 1)[k])[:k]
        if solved.min() < 1e-10:
            return None
        mixes.append(np.zeros(size))
        mixes[-1][own] = solved / solved.sum()
    return tuple(mixes)


@pytest.mark.parametrize("exact", [True, False])
def test_von_stengels_game_has_75_equilibria_and_every_path_ends(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    game = named.von_stengel_6x6()
    if not exact:
        in_floats(monkeypatch)
    everything = all_equilibria(game)
    assert len(everything) == 75
    assert max(each.relative for each in everything) <= 1e-15
    assert keys([lemke_howson(game, label) for label in range(12)]) <= keys(everything)
    assert solve_two_players(game).relative <= 1e-15


@pytest.mark.parametrize(
    ("game", "equilibria"),
    [
        (named.prisoners_dilemma(), [((0, 1), (0, 1))]),
        (named.battle_of_the_sexes(), [((1, 0), (1, 0)), ((0.6, 0.4), (0.4, 0.6)), ((0, 1), (0, 1))]),
        (named.matching_pennies(), [((0.5, 0.5), (0.5, 0.5))]),
        (
            named.forgo_degenerate(),
            [
                ((1, 0, 0), (1, 0)),
                ((1, 0, 0), (2 / 3, 1 / 3)),
                ((0, 1 / 3, 2 / 3), (1 / 3, 2 / 3)),
            ],
        ),
        (named.all_equal(1, 2), [((1,), (1, 0)), ((1,), (0, 1))]),
    ],
)
def test_known_games(game: Game, equilibria: list[Key]) -> None:
    found = all_equilibria(game)
    assert len(found) == len(equilibria)
    for each, wanted in zip(found, equilibria, strict=True):
        for mix, known in zip(each.profile, wanted, strict=True):
            assert mix == pytest.approx(np.array(known), abs=1e-15)


def test_shapleys_game_keeps_equilibria_from_all_paths() -> None:
    game = named.shapley_1974()
    assert len(all_equilibria(game)) == 3
    assert len(from_every_label(game)) == 2


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("k", [2, 5, 9])
def test_games_as_degenerate_as_can_be_end(k: int, exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not exact:
        in_floats(monkeypatch)
    rng = np.random.default_rng(k)
    repeated = np.tile(rng.integers(0, 2, size=(2, 2, k)), (1, k, 1))
    games = [named.all_equal(k, k + 1), named_game(repeated), named_game(np.stack([np.eye(k), 1 - np.eye(k)]))]
    for game in games:
        for label in range(sum(game.shape)):
            assert lemke_howson(game, label).relative <= 1e-14


def test_of_the_equilibria_found_the_best_is_played() -> None:
    best = solve_two_players(named.bimatrix([[9, 0, 0], [0, 3, 0], [0, 0, 1]], [[1, 0, 0], [0, 9, 0], [0, 0, 1]]))
    assert [int(mix.argmax()) for mix in best.profile] == [1, 1]
    assert (best.concept, best.welfare) == ("pure nash", 12)
    # (0, 0) is an equilibrium too, but (1, 1) dominates it.
    assert solve_two_players(named.bimatrix([[1, 0], [0, 2]], [[1, 0], [0, 2]])).welfare == 4


def test_payoffs_of_every_size_are_computed_exactly() -> None:
    # Floats see ties at 1e-12 of the range; the equilibrium needs those digits.
    tiny = np.array([[[1e-14, -1e-14], [-1e-14, 1e-14]], [[-1e14, 1e14], [1e14, -1e14]]])
    tiny[0] += np.array([[0, 0], [1e-15, 0]])
    found = lemke_howson(named_game(tiny))
    x, y = found.profile
    assert x == pytest.approx([0.5, 0.5], abs=1e-15)
    assert y[0] == pytest.approx(2e-14 / (4e-14 - 1e-15))


def test_large_games_are_solved_in_floats_with_the_same_proof() -> None:
    rng = np.random.default_rng(5)
    for game in (named.random_game(rng, 40, 30), named.random_game(rng, 30, 35, integers=3)):
        for label in (0, 29, 64):
            found = lemke_howson(game, label)
            assert found.relative <= 1e-12
            assert nash_conv(game, found.profile) == found.nash_conv


def test_an_answer_that_rounding_has_spoiled_is_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    game = named.random_game(np.random.default_rng(2), 12, 12)
    wanted = key(lemke_howson(game, 3).profile)
    spoiled = module.positive_floats
    monkeypatch.setattr(module, "positive_floats", lambda payoffs: np.round(spoiled(payoffs), 1))
    found = lemke_howson(game, 3)
    assert found.relative <= 1e-14
    assert key(found.profile) == wanted
    # Where integers would take too long, it says so rather than hand out what is not proven.
    monkeypatch.setattr(module, "_MOST_EXACT_ACTIONS", 20)
    with pytest.raises(Refused, match="too many to compute it exactly") as refused:
        lemke_howson(game, 3)
    assert refused.value.reason == "inaccurate"
    with pytest.raises(Refused):
        from_every_label(game)


def test_paths_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_PIVOTS", 1)
    with pytest.raises(Refused, match="label 2") as refused:
        lemke_howson(named.von_stengel_6x6(), 2)
    assert refused.value.reason == "too_many_pivots"
    # A pure equilibrium needs no path.
    assert solve_two_players(named.prisoners_dilemma()).welfare == 2


def test_large_games_try_as_many_labels_as_time_allows() -> None:
    assert list(module._labels(7)) == list(range(7))
    assert len(list(module._labels(100))) == 100
    spaced = list(module._labels(300))
    assert 1 <= len(spaced) < 10
    assert max(spaced) < 300
    assert list(module._labels(5000)) == [0]


def test_the_chosen_is_at_least_as_good_as_every_path() -> None:
    rng = np.random.default_rng(11)
    for _ in range(20):
        game = named.random_game(rng, 4, 5)
        best = solve_two_players(game)
        ends = [expected_payoffs(game, each.profile).sum() for each in from_every_label(game)]
        assert best.welfare >= max(ends) - 1e-9 * game.range


def test_what_cannot_be_solved_is_refused() -> None:
    with pytest.raises(InvalidInput, match="2 players, the game has 3"):
        lemke_howson(named.jordan())
    with pytest.raises(InvalidInput, match="label 4 must lie between 0 and 3"):
        lemke_howson(named.matching_pennies(), 4)
    with pytest.raises(InvalidInput, match="the game has 3"):
        all_equilibria(named.jordan())
    with pytest.raises(InvalidInput, match="at most 62"):
        all_equilibria(named.all_equal(40, 30))


def test_enumeration_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    from cogorch_dagster.games import vertices

    monkeypatch.setattr(vertices, "MOST_BASES", 10)
    with pytest.raises(InvalidInput, match="more than 10 bases"):
        all_equilibria(named.von_stengel_6x6())
