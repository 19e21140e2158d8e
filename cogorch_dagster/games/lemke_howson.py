"""Equilibria of two-player games along complementary paths (Lemke and Howson 1964; von Stengel 2002, section 2.3).

A path starts at the artificial equilibrium 0 with one label dropped and ends at an equilibrium. Ratios are compared
lexicographically, so that it ends in degenerate games too. Small games are pivoted in integers; larger ones in floats,
and in integers again where the proof of what came out is not good enough. Not here: all equilibria (`vertices`).
"""

import time
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.games.pareto import choose
from cogorch_dagster.games.payoffs import Equilibrium, Floats, Game, Profile, expected_payoffs, verified
from cogorch_dagster.games.pure import best_pure
from cogorch_dagster.games.tableau import Numbers, Tableau, positive_floats, positive_integers

METHOD = "lemke-howson"
ACCEPTED = 1e-9
"""A float answer above this NashConv, in units of the payoff range, is computed again in integers."""

_EXACT_ACTIONS = 16
"""Games with at most this many actions in all are computed in integers at once, at about a millisecond a path."""
_MOST_EXACT_ACTIONS = 150
_MOST_PIVOTS = 100_000
_WORK = 10**8
_SAME = 1e-9


def lemke_howson(game: Game, label: int = 0) -> Equilibrium:
    """The equilibrium at the end of the path that drops `label`, with its proof.

    Args:
        label: 0 .. A_1 + A_2 - 1; the first player's actions, then the second's.

    Raises:
        InvalidInput: not two players, or no such label.
        Refused: `too_many_pivots`, or `inaccurate` in a game of more than 150 actions that floats cannot resolve.
    """
    _check_two_players(game)
    actions = sum(game.shape)
    if not 0 <= label < actions:
        raise InvalidInput(f"label {label} must lie between 0 and {actions - 1}")
    start = time.perf_counter()
    if actions > _EXACT_ACTIONS:
        found = _in_floats(game, label, start)
        if found is not None:
            return found
        if actions > _MOST_EXACT_ACTIONS:
            raise Refused(
                "inaccurate",
                f"rounding spoiled the path of label {label}, and {actions} actions are too many to compute it exactly "
                f"(at most {_MOST_EXACT_ACTIONS}); drop dominated actions or try another label",
            )
    tableaus = _tableaus(positive_integers(game.payoffs[0]), positive_integers(game.payoffs[1]))
    return verified(game, _follow(tableaus, game.shape, label), METHOD, time.perf_counter() - start)


def from_every_label(game: Game) -> list[Equilibrium]:
    """The different equilibria at the ends of the paths of all labels, in the order of the labels.

    Games of more than 100 actions in all: of as many labels, evenly spaced, as take a few seconds; at least one.

    Raises:
        InvalidInput: not two players.
        Refused: as `lemke_howson`, if no path has ended in an accurate answer.
    """
    _check_two_players(game)
    found: list[Equilibrium] = []
    refusal: Refused | None = None
    for label in _labels(sum(game.shape)):
        try:
            equilibrium = lemke_howson(game, label)
        except Refused as error:
            refusal = error
            continue
        if not any(_same(equilibrium.profile, other.profile) for other in found):
            found.append(equilibrium)
    if not found and refusal is not None:
        raise refusal
    return found


def solve_two_players(game: Game) -> Equilibrium:
    """The equilibrium to play: by Pareto dominance, then welfare, of those of all labels and the best pure one.

    `seconds` is the time of the whole search.

    Raises:
        InvalidInput: not two players.
        Refused: as `from_every_label`, if there is no pure equilibrium either.
    """
    start = time.perf_counter()
    _check_two_players(game)
    pure = best_pure(game)
    found = [] if pure is None else [pure]
    try:
        found += from_every_label(game)
    except Refused:
        if not found:
            raise
    payoffs = np.array([expected_payoffs(game, each.profile) for each in found])
    best = found[choose(payoffs, ACCEPTED * game.range)]
    return verified(game, best.profile, best.method, time.perf_counter() - start)


def normalised(values: Sequence[Fraction]) -> Floats:
    """The mix in proportion to the values of a vertex other than 0."""
    total = sum(values)
    return np.array([float(value / total) for value in values])


def _in_floats(game: Game, label: int, start: float) -> Equilibrium | None:
    """The answer in floating point; None if rounding has spoiled it."""
    tableaus = _tableaus(positive_floats(game.payoffs[0]), positive_floats(game.payoffs[1]))
    try:
        found = verified(game, _follow(tableaus, game.shape, label), METHOD, time.perf_counter() - start)
    except (ArithmeticError, Refused, InvalidInput):
        return None
    return found if found.relative <= ACCEPTED else None


def _tableaus(first: Numbers, second: Numbers) -> tuple[Tableau, Tableau]:
    """The polytopes {x : Bᵀx <= 1} and {y : Ay <= 1} of positive payoffs A of the first and B of the second player."""
    m, n = first.shape
    rows, columns = range(m), range(m, m + n)
    return Tableau(second.T, rows, columns), Tableau(first, columns, rows)


def _follow(tableaus: tuple[Tableau, Tableau], shape: tuple[int, ...], label: int) -> Profile:
    """Pivot in turn in both polytopes until the dropped label is picked up again."""
    m = shape[0]
    side, entering = (0, label) if label < m else (1, label)
    for _ in range(_MOST_PIVOTS):
        entering = tableaus[side].pivot(entering, tableaus[side].leaving_row(entering))
        if entering == label:
            return normalised(tableaus[0].values()[:m]), normalised(tableaus[1].values()[m:])
        side = 1 - side
    raise Refused(
        "too_many_pivots", f"the path of label {label} has more than {_MOST_PIVOTS:,} steps; try another label"
    )


def _labels(actions: int) -> Iterator[int]:
    tried = max(1, min(actions, _WORK // actions**3))
    return (actions * k // tried for k in range(tried))


def _same(one: Profile, other: Profile) -> bool:
    return all(float(np.abs(a - b).max()) <= _SAME for a, b in zip(one, other, strict=True))


def _check_two_players(game: Game) -> None:
    if game.n_players != 2:
        raise InvalidInput(f"Lemke-Howson is for 2 players, the game has {game.n_players}; use solving.solve")
