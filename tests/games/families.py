"""Random games of several players, and the same game under other names."""

from collections.abc import Callable

import numpy as np

from cogorch_dagster.games.payoffs import Floats, Game, Profile, named_game
from cogorch_dagster.games.pure import pure_equilibria


def uniform(rng: np.random.Generator, *shape: int) -> Floats:
    return rng.random((len(shape), *shape))


def normal(rng: np.random.Generator, *shape: int) -> Floats:
    return rng.normal(size=(len(shape), *shape))


def constant_sum(rng: np.random.Generator, *shape: int) -> Floats:
    payoffs = normal(rng, *shape)
    return payoffs - payoffs.mean(axis=0)


def pairwise(rng: np.random.Generator, *shape: int) -> Floats:
    joint = np.indices(shape)
    payoffs = np.zeros((len(shape), *shape))
    for i, j in np.ndindex(len(shape), len(shape)):
        if i != j:
            payoffs[i] += rng.normal(size=(shape[i], shape[j]))[joint[i], joint[j]]
    return payoffs


FAMILIES: dict[str, Callable[..., Floats]] = {
    "uniform": uniform,
    "normal": normal,
    "constant sum": constant_sum,
    "pairwise": pairwise,
}


def mixed_only(family: str, rng: np.random.Generator, *shape: int) -> Game:
    """A game of the family without a pure equilibrium."""
    while True:
        game = named_game(FAMILIES[family](rng, *shape))
        if not pure_equilibria(game):
            return game


def relabelled(game: Game, players: list[int], actions: list[list[int]]) -> Game:
    """Player k of the result is `players[k]` of `game`, its action a is `actions[k][a]`."""
    payoffs = game.payoffs[players].transpose(0, *(player + 1 for player in players))
    for axis, order in enumerate(actions):
        payoffs = np.take(payoffs, order, axis=axis + 1)
    return named_game(payoffs)


def relabelled_profile(profile: Profile, players: list[int], actions: list[list[int]]) -> Profile:
    return tuple(profile[player][order] for player, order in zip(players, actions, strict=True))
