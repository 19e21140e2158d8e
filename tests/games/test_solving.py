"""Any game has an answer, and every answer is proved: known games, random ones, degenerate ones, and no time at all."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.games import logit_path, solving
from cogorch_dagster.games.derivatives import derivatives
from cogorch_dagster.games.payoffs import Equilibrium, Game, named_game, nash_conv
from cogorch_dagster.games.pure import best_pure
from cogorch_dagster.games.regret_matching import coarse_gains
from cogorch_dagster.games.solving import perturbed, solve
from tests.games import families, named

EXACT = 1e-9
LAW = settings(max_examples=15, deadline=None, derandomize=True)
SHAPES = st.lists(st.integers(1, 3), min_size=3, max_size=4)
SEEDS = st.integers(0, 2**32 - 1)


def proved(game: Game, found: Equilibrium) -> Equilibrium:
    assert found.concept in {"pure nash", "mixed nash"}
    assert found.correlated is None
    assert found.nash_conv == nash_conv(game, found.profile)
    assert found.relative <= EXACT
    return found


@pytest.mark.parametrize("family", families.FAMILIES)
@pytest.mark.parametrize("shape", [(3, 3, 3, 3), (10, 5, 8, 5), (2, 2, 2, 2, 2)])
def test_random_games_without_pure_equilibria(family: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(10)
    for _ in range(2):
        game = families.mixed_only(family, rng, *shape)
        assert proved(game, solve(game)).concept == "mixed nash"


@pytest.mark.parametrize("family", families.FAMILIES)
def test_random_games_with_the_pure_search_off(family: str) -> None:
    rng = np.random.default_rng(11)
    for _ in range(3):
        game = named_game(families.FAMILIES[family](rng, 4, 3, 5))
        proved(game, solve(game, pure_first=False))


@pytest.mark.parametrize("pure_first", [True, False])
@pytest.mark.parametrize(
    "game",
    [
        named.jordan(),
        named.mckelvey_mclennan(),
        named.volunteers_dilemma(),
        named.volunteers_dilemma(6, 1.0, 0.4),
        named.minimum_effort(),
        named.minimum_effort(3, 7),
        named.public_goods(),
    ],
)
def test_games_of_the_literature(game: Game, pure_first: bool) -> None:
    proved(game, solve(game, pure_first=pure_first))


def test_what_the_literature_says() -> None:
    for mix in solve(named.jordan()).profile:
        np.testing.assert_allclose(mix, 0.5, atol=1e-12)
    effort = solve(named.minimum_effort())
    assert [int(mix.argmax()) for mix in effort.profile] == [2, 2, 2, 2]
    goods = solve(named.public_goods(), pure_first=False)
    assert goods.method == "dominance"
    assert [int(mix.argmax()) for mix in goods.profile] == [0, 0, 0, 0]
    # of the pure ones that with everybody's largest payoff
    mclennan = solve(named.mckelvey_mclennan())
    assert (mclennan.method, mclennan.welfare) == ("pure enumeration", 29)
    volunteers = solve(named.volunteers_dilemma(4, 2.0, 1.0), pure_first=False)
    assert volunteers.welfare <= 7


def test_two_players_go_along_complementary_paths() -> None:
    game = families.mixed_only("normal", np.random.default_rng(12), 5, 6)
    assert proved(game, solve(game)).method == "lemke-howson"


def test_one_player_takes_the_best() -> None:
    found = solve(named_game([[1.0, 3.0, 2.0]]), pure_first=False)
    assert found.concept == "pure nash"
    assert int(found.profile[0].argmax()) == 1


def pennies_among(players: int) -> Game:
    """Matching pennies between the first two; the others have one action each."""
    payoffs = np.zeros((players, 2, 2, *(1 for _ in range(players - 2))))
    payoffs[:2] = named.matching_pennies().payoffs.reshape(2, 2, 2, *(1 for _ in range(players - 2)))
    return named_game(payoffs)


def with_duplicates(game: Game, orders: list[list[int]]) -> Game:
    return families.relabelled(game, list(range(game.n_players)), orders)


DEGENERATE = {
    "constant": named_game(np.full((3, 2, 3, 2), 4.0)),
    "one action each": named_game(np.ones((3, 1, 1, 1))),
    "two who decide": pennies_among(4),
    "one who decides": named_game(np.arange(12.0).reshape(3, 1, 4, 1)),
    "indifferent player": named_game(np.concatenate([np.zeros((1, 2, 2, 2)), named.jordan().payoffs[1:]])),
    "duplicates": with_duplicates(named.jordan(), [[0, 0, 1], [0, 1, 1], [1, 0, 1, 0]]),
    "random duplicates": with_duplicates(
        families.mixed_only("normal", np.random.default_rng(13), 3, 3, 3), [[0, 1, 2, 0, 1], [0, 1, 2, 2], [0, 1, 2]]
    ),
    "huge": named_game(1e9 * named.jordan().payoffs),
    "tiny": named_game(1e-9 * named.jordan().payoffs),
    "far from zero": named_game(1e9 + named.jordan().payoffs),
    "at the bound": named_game(1e100 * named.jordan().payoffs),
    "units of their own": named_game(named.jordan().payoffs * np.array([1e9, 1, 1e-9]).reshape(3, 1, 1, 1)),
}


@pytest.mark.parametrize("pure_first", [True, False])
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_games(name: str, pure_first: bool) -> None:
    proved(DEGENERATE[name], solve(DEGENERATE[name], pure_first=pure_first))


@LAW
@given(shape=SHAPES, seed=SEEDS, integers=st.integers(2, 4))
def test_games_full_of_ties(shape: list[int], seed: int, integers: int) -> None:
    game = named.random_game(np.random.default_rng(seed), *shape, integers=integers)
    proved(game, solve(game, pure_first=False))


@LAW
@given(seed=SEEDS, scales=st.lists(st.sampled_from([1e-6, 0.5, 3.0, 1e5]), min_size=3, max_size=3), data=st.data())
def test_units_of_payoffs_do_not_matter(seed: int, scales: list[float], data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    game = families.mixed_only("uniform", rng, 3, 2, 3)
    factor = np.array(scales).reshape(3, 1, 1, 1)
    shift = np.array(data.draw(st.lists(st.floats(-2, 2), min_size=3, max_size=3))).reshape(3, 1, 1, 1)
    moved = named_game(factor * (game.payoffs + shift))
    here, there = proved(game, solve(game)), proved(moved, solve(moved))
    # what one gets is an equilibrium of the other: the units decided nothing
    assert nash_conv(game, there.profile) <= 1e-7
    assert here.concept == there.concept


@LAW
@given(seed=SEEDS, data=st.data())
def test_names_decide_nothing_but_ties(seed: int, data: st.DataObject) -> None:
    game = named.random_game(np.random.default_rng(seed), 3, 2, 3)
    players = list(data.draw(st.permutations(range(3))))
    actions = [list(data.draw(st.permutations(range(game.shape[player])))) for player in players]
    other = families.relabelled(game, players, actions)
    here, there = proved(game, solve(game)), proved(other, solve(other))
    assert here.concept == there.concept
    if here.concept == "pure nash":
        assert here.welfare == pytest.approx(there.welfare, abs=1e-12)


def test_a_pure_equilibrium_comes_first() -> None:
    rng = np.random.default_rng(14)
    for _ in range(10):
        game = named.random_game(rng, 3, 3, 3)
        pure = best_pure(game)
        if pure is not None:
            found = solve(game)
            assert found.concept == "pure nash"
            assert found.welfare == pure.welfare


def test_the_same_seed_gives_the_same_answer() -> None:
    game = families.mixed_only("uniform", np.random.default_rng(15), 4, 4, 4)
    first, second = solve(game, seed=3), solve(game, seed=3)
    for one, two in zip(first.profile, second.profile, strict=True):
        np.testing.assert_array_equal(one, two)


def test_when_the_first_methods_fail_perturbed_starts_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    follow = logit_path.follow

    def only_perturbed(kernel, *, deadline, start=None):  # type: ignore[no-untyped-def]
        return follow(kernel, deadline=deadline if start is not None else 0.0, start=start)

    monkeypatch.setattr(solving.logit_path, "follow", only_perturbed)
    monkeypatch.setattr(solving.polymatrix, "iterate", lambda kernel, start, *_, **__: (start, np.inf))
    game = families.mixed_only("normal", np.random.default_rng(16), 3, 3, 3)
    assert proved(game, solve(game)).method == "logit path, perturbed"


def test_the_last_resort_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        solving.logit_path, "follow", lambda kernel, **_: logit_path.Walk(kernel.uniform(), 1.0, 0.0, 0)
    )
    monkeypatch.setattr(solving.polymatrix, "iterate", lambda kernel, start, *_, **__: (start, np.inf))
    game = families.mixed_only("normal", np.random.default_rng(17), 3, 3, 3)
    found = solve(game, limit_s=0.5)
    assert (found.concept, found.method) == ("coarse correlated", "regret matching")
    assert found.correlated is not None
    assert found.nash_conv == pytest.approx(float(coarse_gains(game, found.correlated).sum()), abs=1e-12)
    assert found.relative < 0.05


@pytest.mark.parametrize("shape", [(10, 5, 8, 5), (30, 30, 30)])
def test_out_of_time_is_an_answer_too(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that advances a second at each look: the deadline is kept after a bounded number of looks."""
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        return float(looks)

    game = families.mixed_only("normal", np.random.default_rng(18), *shape)
    monkeypatch.setattr("time.monotonic", clock)
    found = solve(game, limit_s=10.0)
    assert looks < 60
    assert found.concept == "coarse correlated" or found.relative <= solving.ACCEPTED


def test_perturbed_starts_are_mixes_off_the_faces() -> None:
    kernel = derivatives(named.jordan())
    rng = np.random.default_rng(19)
    for _ in range(20):
        x = perturbed(kernel, rng)
        assert x.min() > 0
        np.testing.assert_allclose([x[part].sum() for part in kernel.slices], 1)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf"), 601.0])
def test_a_limit_must_be_a_time(limit: float) -> None:
    with pytest.raises(InvalidInput, match="limit_s"):
        solve(named.jordan(), limit_s=limit)


def test_no_solver_depends_on_gambit() -> None:
    for module in (solving, logit_path):
        assert "pygambit" not in inspect.getsource(module)
