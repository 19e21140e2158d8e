"""The equilibrium that a fleet's agents play, its proof, and the joint action that comes out of it.

Where they mix, the most likely action of each is no equilibrium, so a joint action is drawn as they would. Not here:
whether it is played in the end (`coordinator.py`), and how equilibria are found (`solving.py`).
"""

from collections.abc import Mapping

import numpy as np

from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.games.coordination_result import Answer, Played
from cogorch_dagster.games.discretisation import ACTIONS, SHAPE, named
from cogorch_dagster.games.fleet_payoffs import FleetGame
from cogorch_dagster.games.pareto import Joint
from cogorch_dagster.games.payoffs import Equilibrium, Game, nash_conv, relative_to_range
from cogorch_dagster.games.regret_matching import coarse_gains
from cogorch_dagster.games.solving import ACCEPTED, solve


def played_equilibrium(
    fleet: FleetGame, fixed: Mapping[AgentName, int], *, common: float, limit_s: float, seed: int
) -> tuple[Joint, Answer]:
    """An equilibrium of the agents that are there, with its proof, and the joint action that is played of it.

    Args:
        fixed: what agents do that are away; they cannot deviate.
        common: weight 0..1 of the shared reward in every agent's payoff; the rest is its own utility.
        limit_s: of the search, see `solving.solve`.
        seed: of the search and of the draw.

    Raises:
        InvalidInput: `limit_s` is out of its range.
    """
    kept = [[fixed[agent]] if agent in fixed else list(range(size)) for agent, size in zip(AGENTS, SHAPE, strict=True)]
    names = tuple(tuple(ACTIONS[agent][index] for index in own) for agent, own in zip(AGENTS, kept, strict=True))
    payoffs = (1 - common) * fleet.game.payoffs + common * fleet.shared
    game = Game(payoffs[np.ix_(range(len(AGENTS)), *kept)], AGENTS, names)
    found = solve(game, limit_s=limit_s, seed=seed & 0xFFFFFFFF)
    place, played = _drawn(found, seed)
    joint = tuple(own[index] for own, index in zip(kept, place, strict=True))
    if found.correlated is not None:
        conv = float(coarse_gains(game, found.correlated).sum())
    else:
        conv = nash_conv(game, found.profile)
    relative = relative_to_range(game, conv)
    mixes: dict[str, dict[str, float]] = {
        agent: {name: float(share) for name, share in zip(own, mix, strict=True) if share > 0}
        for agent, own, mix in zip(AGENTS, names, found.profile, strict=True)
    }
    answer = Answer(
        concept=found.concept,
        method=found.method,
        nash_conv=conv,
        relative=relative,
        verified=relative <= ACCEPTED,
        welfare=found.welfare,
        mixes=mixes,
        played=played,
        actions=named(joint),
    )
    return joint, answer


def _drawn(found: Equilibrium, seed: int) -> tuple[Joint, Played]:
    rng = np.random.default_rng(seed)
    if found.correlated is not None:
        flat = found.correlated.reshape(-1)
        index = int(rng.choice(len(flat), p=flat / flat.sum()))
        place = tuple(int(each) for each in np.unravel_index(index, found.correlated.shape))
        return place, "drawn from coarse correlated equilibrium"
    place = tuple(int(rng.choice(len(mix), p=mix / mix.sum())) for mix in found.profile)
    return place, "pure equilibrium" if found.concept == "pure nash" else "drawn from mixed equilibrium"
