"""One equilibrium of any game, with its proof: which method is asked, in which order, and what counts as an answer.

Two players: complementary paths (`lemke_howson`). More: a pure equilibrium if there is one; else the game is reduced,
and iterated polymatrix approximation gets a short try, which settles games that are nearly polymatrix; then the logit
path, which settles nearly all others; then both from perturbed starts until the time is up. Whatever a method says, an
answer counts only if the NashConv of the original game is small. Every method is bounded and looks at the clock, so
that nothing can hang and no worker process is needed. Last resort: regret matching, labelled as what it is.
"""

import time
from collections.abc import Iterator

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.games import logit_path, polymatrix
from cogorch_dagster.games.derivatives import Derivatives, derivatives
from cogorch_dagster.games.lemke_howson import solve_two_players
from cogorch_dagster.games.pareto import choose
from cogorch_dagster.games.payoffs import (
    Equilibrium,
    Floats,
    Game,
    Profile,
    named_game,
    nash_conv,
    pure_profile,
    verified,
)
from cogorch_dagster.games.pure import TOLERANCE, pure_equilibria
from cogorch_dagster.games.reduction import Reduction, reduced, scaled
from cogorch_dagster.games.regret_matching import regret_matching

ACCEPTED = 1e-5
"""The NashConv, in units of the payoff range, up to which a mixed answer counts as a Nash equilibrium."""

_AIM = 1e-9
_SEARCH = 0.8
"""Share of the time after which the last resort gets the rest."""
_LONGEST = 600.0
_MOST_ATTEMPTS = 100


def solve(game: Game, *, limit_s: float = 10.0, seed: int = 0, pure_first: bool = True) -> Equilibrium:
    """An equilibrium, verified; the same for the same game and seed unless the time runs out.

    Args:
        limit_s: wall time after which the best answer so far, or else a coarse correlated equilibrium, is returned;
            0 < limit_s <= 600. Each method looks at the clock in each of its steps.
        seed: of the perturbed starts, which few games need.
        pure_first: False leaves out the search for pure equilibria in games of more than two players, so that the
            solvers of mixed ones can be judged.

    Returns:
        Of concept `pure nash` or `mixed nash` with `relative` at most 1e-5, mostly below 1e-12; or `coarse correlated`
        with the joint distribution and its own gap.

    Raises:
        InvalidInput: the limit is out of bounds.
        Refused: a two-player game that exceeds the bounds of `lemke_howson`.
    """
    if not 0 < limit_s <= _LONGEST:
        raise InvalidInput(f"limit_s is {limit_s}, it must be above 0 and at most {_LONGEST:g} seconds")
    started = time.perf_counter()
    ends = time.monotonic() + limit_s
    if game.n_players == 2:
        return solve_two_players(game)
    if pure_first or game.n_players == 1:
        pure = _pure(game, started)
        if pure is not None:
            return pure
    found = _mixed(game, started, seed=seed, deadline=ends - (1 - _SEARCH) * limit_s)
    return found if found.relative <= ACCEPTED else regret_matching(game, deadline=ends)


def _pure(game: Game, started: float) -> Equilibrium | None:
    """The pure equilibrium to play: as `pure.best_pure`, but rounding is counted in each player's own units."""
    joints = pure_equilibria(named_game(scaled(game.payoffs)))
    if not joints:
        return None
    payoffs = game.payoffs[(slice(None), *np.array(joints).T)].T
    joint = joints[choose(payoffs, TOLERANCE * game.range)]
    return verified(game, pure_profile(game, joint), "pure enumeration", time.perf_counter() - started)


def _mixed(game: Game, started: float, *, seed: int, deadline: float) -> Equilibrium:
    """The answer of the chain by the deadline with the least NashConv, each player's gain in units of its own payoffs.

    In the units of the whole game a player with small payoffs could be left with an arbitrary action.
    """
    reduction = reduced(game)
    best, least, by = None, np.inf, ""
    for method, profile in _candidates(reduction, seed, deadline):
        gap = 0.0 if reduction.game is None else nash_conv(reduction.game, profile)
        if best is None or gap < least:
            best, least, by = profile, gap, method
        if least <= _AIM or time.monotonic() >= deadline:
            break
    return verified(game, reduction.restored(best or ()), by, time.perf_counter() - started)


def _candidates(reduction: Reduction, seed: int, deadline: float) -> Iterator[tuple[str, Profile]]:
    """What the methods say one after the other, cheap ones first."""
    if reduction.game is None:
        yield "dominance", ()
        return
    if reduction.game.n_players == 2:
        found = solve_two_players(reduction.game)
        yield f"dominance, {found.method}", found.profile
        return
    kernel = derivatives(reduction.game)
    rng = np.random.default_rng(seed)
    x, _ = polymatrix.iterate(kernel, kernel.uniform(), rng, rounds=2, deadline=deadline)
    yield "polymatrix", kernel.profile(x)
    yield "logit path", kernel.profile(logit_path.follow(kernel, deadline=deadline).x)
    for _ in range(_MOST_ATTEMPTS):
        x, _ = polymatrix.iterate(kernel, perturbed(kernel, rng), rng, rounds=10, deadline=deadline)
        yield "polymatrix, perturbed", kernel.profile(x)
        walk = logit_path.follow(kernel, deadline=deadline, start=perturbed(kernel, rng))
        yield "logit path, perturbed", kernel.profile(walk.x)


def perturbed(kernel: Derivatives, rng: np.random.Generator) -> Floats:
    """Random mixes [N], uniform on the product of simplices, kept off their faces."""
    weights = 0.02 + rng.exponential(size=kernel.total)
    return np.concatenate(kernel.profile(weights))
