"""Regret matching: play what one regrets not having played, and remember what everybody did together.

The time average of the joint play is a coarse correlated equilibrium in the limit (Hart & Mas-Colell 2000, "A simple
adaptive procedure leading to correlated equilibrium"; here with the clipped regrets of Tammelin et al. 2015, "Solving
heads-up limit Texas hold'em", and the prediction of Farina, Kroer & Sandholm 2021, "Faster game solving via predictive
Blackwell approachability"). It always answers, but an answer is a plan for somebody who correlates the players, not
a Nash equilibrium. Its proof is the coarse gap. Not here: Nash equilibria.
"""

import time

import numpy as np

from cogorch_dagster.games.payoffs import Equilibrium, Floats, Game, Profile, action_values, relative_to_range

METHOD = "regret matching"
_LOOK = 50


def regret_matching(
    game: Game, *, rounds: int = 5000, target: float = 1e-6, deadline: float = float("inf")
) -> Equilibrium:
    """A coarse correlated equilibrium with its gap as `nash_conv`, labelled so; deterministic.

    Args:
        rounds: the most rounds of play; the gap falls at least like one over their square root.
        target: a gap of this share of the payoff range ends the play.
        deadline: value of `time.monotonic()` at which it ends with the average so far; at least one round is played.
    """
    start = time.perf_counter()
    regrets = [np.zeros(size) for size in game.shape]
    last = [np.zeros(size) for size in game.shape]
    joint = np.zeros(game.shape)
    unit = game.range or 1.0
    for played in range(1, max(rounds, 1) + 1):
        mixes = tuple(_mix(np.maximum(regret + guess, 0.0)) for regret, guess in zip(regrets, last, strict=True))
        joint += _product(mixes)
        for player, values in enumerate(action_values(game, mixes)):
            last[player] = (values - mixes[player] @ values) / unit
            regrets[player] = np.maximum(regrets[player] + last[player], 0.0)
        ended = time.monotonic() >= deadline
        if ended or (played % _LOOK == 0 and float(coarse_gains(game, joint / played).sum()) <= target * unit):
            break
    joint /= joint.sum()
    gap = float(coarse_gains(game, joint).sum())
    return Equilibrium(
        profile=tuple(_marginal(joint, player) for player in range(game.n_players)),
        concept="coarse correlated",
        method=METHOD,
        nash_conv=gap,
        relative=relative_to_range(game, gap),
        welfare=float((joint * game.payoffs.sum(axis=0)).sum()),
        seconds=time.perf_counter() - start,
        correlated=joint,
    )


def coarse_gains(game: Game, joint: Floats) -> Floats:
    """What each player [n] could gain by playing one action always, while the others follow `joint` [A_1, ..., A_n].

    All at least 0; 0 for everybody exactly at coarse correlated equilibria.
    """
    gains = np.zeros(game.n_players)
    for player in range(game.n_players):
        own = np.moveaxis(game.payoffs[player], player, 0).reshape(game.shape[player], -1)
        weight = np.moveaxis(joint, player, 0).reshape(game.shape[player], -1)
        middle = own.mean()
        obeying = float((weight * (own - middle)).sum())
        gains[player] = max(float(((own - middle) @ weight.sum(axis=0)).max()) - obeying, 0.0)
    return gains


def _mix(weights: Floats) -> Floats:
    total = float(weights.sum())
    return weights / total if total > 0 else np.full(len(weights), 1 / len(weights))


def _product(mixes: Profile) -> Floats:
    joint = np.ones(())
    for mix in mixes:
        joint = joint[..., None] * mix
    return np.asarray(joint, dtype=np.float64)


def _marginal(joint: Floats, player: int) -> Floats:
    mix = np.moveaxis(joint, player, 0).reshape(joint.shape[player], -1).sum(axis=1)
    return np.asarray(mix / mix.sum(), dtype=np.float64)
