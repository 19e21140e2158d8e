"""A smaller and well-scaled game with the same equilibria, and the way back.

Strictly dominated actions are never played in an equilibrium, and what remains without them can dominate in turn;
players who are left one action decide nothing. Then every player's payoffs are centred and scaled: adding anything that
depends on the others' actions only, and positive factors, change no equilibrium (von Neumann & Morgenstern 1944).
"""

from dataclasses import dataclass

import numpy as np

from cogorch_dagster.games.payoffs import Floats, Game, Profile, named_game

_GLANCE = 32


@dataclass(frozen=True, eq=False)
class Reduction:
    """What is left to decide.

    Attributes:
        kept: for each player of the original game the indices of its surviving actions.
        deciding: the players with more than one of them.
        game: the game of the deciding players, scaled; None if fewer than two decide.
        shape: of the original game.
    """

    kept: tuple[tuple[int, ...], ...]
    deciding: tuple[int, ...]
    game: Game | None
    shape: tuple[int, ...]

    def restored(self, profile: Profile) -> Profile:
        """A profile of the deciding players as one of the original game."""
        mixes = [np.zeros(size) for size in self.shape]
        for player, own in enumerate(self.kept):
            mixes[player][list(own)] = profile[self.deciding.index(player)] if player in self.deciding else 1.0
        return tuple(mixes)


def reduced(game: Game) -> Reduction:
    """Eliminate strictly dominated actions again and again; where one player is left, one best action survives."""
    kept = [np.arange(size) for size in game.shape]
    payoffs = game.payoffs
    changed = True
    while changed:
        changed = False
        for player in range(game.n_players):
            alive = _undominated(np.moveaxis(payoffs[player], player, 0))
            if not alive.all():
                changed = True
                kept[player] = kept[player][alive]
                payoffs = np.compress(alive, payoffs, axis=player + 1)
    deciding = tuple(player for player, own in enumerate(kept) if len(own) > 1)
    if len(deciding) == 1:  # its actions are equal now: whatever would be worse was dominated
        kept[deciding[0]] = kept[deciding[0]][:1]
        deciding = ()
    smaller = None
    if deciding:
        picked = payoffs[list(deciding)].reshape(len(deciding), *(len(kept[player]) for player in deciding))
        smaller = named_game(scaled(picked))
    return Reduction(tuple(tuple(int(a) for a in own) for own in kept), deciding, smaller, game.shape)


def scaled(payoffs: Floats) -> Floats:
    """Payoffs [n, A_1, ..., A_n] centred on the mean over the owner's actions, with differences of at most 1."""
    result = np.empty_like(payoffs)
    for player, own in enumerate(payoffs):
        span = float(np.ptp(own, axis=player).max())
        centred = own - own.mean(axis=player, keepdims=True)
        result[player] = centred / span if span > 0 else 0.0
    return result


def _undominated(own: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of the actions along the first axis no other action beats whatever the others play."""
    flat = own.reshape(len(own), -1)
    alive = np.ones(len(flat), dtype=np.bool_)
    for action in range(len(flat)):
        others = np.flatnonzero(alive & (np.arange(len(flat)) != action))
        for columns in (slice(_GLANCE), slice(_GLANCE, None)):  # most are out at a glance
            others = others[(flat[others, columns] > flat[action, columns]).all(axis=1)]
        alive[action] = not len(others)
    return alive
