"""Games whose equilibria are known from the literature or by hand."""

import numpy as np

from cogorch_dagster.games.payoffs import Floats, Game, named_game


def bimatrix(first: list[list[float]], second: list[list[float]]) -> Game:
    return named_game([first, second])


def prisoners_dilemma() -> Game:
    """One equilibrium, (defect, defect), which everybody's cooperation dominates."""
    return named_game(
        [[[3, 0], [5, 1]], [[3, 5], [0, 1]]], ("row", "column"), (("cooperate", "defect"), ("cooperate", "defect"))
    )


def battle_of_the_sexes() -> Game:
    """Two pure equilibria and the mix (3/5, 2/5), (2/5, 3/5)."""
    return bimatrix([[3, 0], [0, 2]], [[2, 0], [0, 3]])


def matching_pennies() -> Game:
    return bimatrix([[1, -1], [-1, 1]], [[-1, 1], [1, -1]])


def shapley_1974() -> Game:
    """Figure 2 of Shapley 1974, "A note on the Lemke-Howson algorithm": three equilibria, two reached from 0."""
    return bimatrix([[2, 2, 0], [0, 3, 0], [3, 0, 1]], [[3, 0, 2], [0, 3, 2], [0, 0, 1]])


def all_equal(m: int, n: int) -> Game:
    """As degenerate as can be: every profile is an equilibrium, the extreme ones are the m·n pure ones."""
    return named_game(np.full((2, m, n), 7.0))


def forgo_degenerate() -> Game:
    """Von Stengel 2007, Algorithmic Game Theory, (3.7): pure best responses tie, a whole edge of equilibria."""
    return bimatrix([[3, 3], [2, 5], [0, 6]], [[3, 3], [2, 6], [3, 1]])


def von_stengel_6x6() -> Game:
    """The 6x6 game with 75 equilibria, more than 2^6 - 1 (von Stengel 1999, Discrete & Computational Geometry 21)."""
    first = np.array(
        [
            [9504, -660, 19976, -20526, 1776, -8976],
            [-111771, 31680, -130944, 168124, -8514, 52764],
            [397584, -113850, 451176, -586476, 29216, -178761],
            [171204, -45936, 208626, -263076, 14124, -84436],
            [1303104, -453420, 1227336, -1718376, 72336, -461736],
            [737154, -227040, 774576, -1039236, 48081, -300036],
        ]
    )
    other = [4, 5, 2, 3, 0, 1]  # symmetric but for the order of the actions
    return named_game(np.stack([first, first[np.ix_(other, other)].T]))


def jordan() -> Game:
    """Three-player matching pennies (Jordan 1993): the only equilibrium is one half for everybody.

    Player 1 wants to match 2, player 2 to match 3, player 3 to differ from 1.
    """
    a, b, c = np.indices((2, 2, 2))
    return named_game([a == b, b == c, c != a])


def mckelvey_mclennan() -> Game:
    """2x2x2 with nine equilibria, two of them totally mixed (McKelvey and McLennan 1996)."""
    payoffs = np.zeros((3, 2, 2, 2))
    payoffs[:, 0, 0, 0], payoffs[:, 1, 1, 0] = (9, 8, 12), (9, 8, 2)
    payoffs[:, 1, 0, 1], payoffs[:, 0, 1, 1] = (3, 4, 6), (3, 4, 6)
    return named_game(payoffs)


def volunteers_dilemma(n: int = 4, benefit: float = 2.0, cost: float = 1.0) -> Game:
    """Somebody has to help (action 0). Pure: exactly one does; the symmetric mix refuses with (c/b)^(1/(n-1))."""
    actions = np.indices((2,) * n)
    anybody = (actions == 0).any(axis=0)
    return named_game(benefit * anybody - cost * (actions == 0))


def minimum_effort(n: int = 4, levels: int = 3, cost: float = 0.5) -> Game:
    """The weakest link counts (van Huyck et al. 1990): all on one level is an equilibrium, the higher the better."""
    effort = np.indices((levels,) * n)
    return named_game(effort.min(axis=0) - cost * effort)


def public_goods(n: int = 4, factor: float = 1.6) -> Game:
    """Giving (action 1) returns factor / n < 1 to the giver: nobody gives, although all giving dominates that."""
    gives = np.indices((2,) * n)
    return named_game(factor * gives.sum(axis=0) / n - gives)


def random_game(rng: np.random.Generator, *shape: int, integers: int | None = None) -> Game:
    """Payoffs from the standard normal, or integers below a bound: small ones make degenerate games."""
    size = (len(shape), *shape)
    payoffs: Floats = rng.normal(size=size) if integers is None else rng.integers(0, integers, size=size).astype(float)
    return named_game(payoffs)
