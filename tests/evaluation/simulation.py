"""A router's environment whose true value is known exactly: fallbacks, cool-downs, tenants, sampled successes.

Written row by row and by enumeration, apart from the code under test.
"""

from dataclasses import dataclass, field
from itertools import product

import numpy as np

from cogorch_dagster.evaluation.patterns import Patterns, Trajectories, group_decisions

ARMS = ("small", "medium", "large", "huge")


@dataclass(frozen=True)
class Fleet:
    """Success of arm a for tenant x pays `pay[x][a]` plus noise, less .08 per extra attempt; failing pays .05."""

    failure: np.ndarray = field(default_factory=lambda: np.array([[0.05, 0.1, 0.2, 0.3], [0.3, 0.1, 0.05, 0.1]]))
    pay: np.ndarray = field(default_factory=lambda: np.array([[0.4, 0.55, 0.8, 0.7], [0.5, 0.45, 0.6, 0.9]]))
    noise: float = 0.15
    tenant_share: float = 0.35
    down: float = 0.08
    attempts: int = 3

    def availability(self) -> list[tuple[np.ndarray, float]]:
        """Every set of arms that a request may find, with its probability; when all cool down, all are drawn from."""
        found: dict[tuple[bool, ...], float] = {}
        for up in product((True, False), repeat=len(ARMS)):
            chance = np.prod([1 - self.down if u else self.down for u in up])
            key = up if any(up) else (True,) * len(ARMS)
            found[key] = found.get(key, 0.0) + float(chance)
        return [(np.array(key), chance) for key, chance in found.items()]

    def value(self, weights: np.ndarray) -> float:
        """The exact mean reward of a router with these weights."""

        def walk(tenant: int, available: np.ndarray, attempt: int) -> float:
            if attempt == self.attempts or not available.any():
                return 0.05
            share = weights * available
            share = share / share.sum()
            total = 0.0
            for arm in np.flatnonzero(available):
                rest = available.copy()
                rest[arm] = False
                fails = self.failure[tenant, arm]
                ok = self.pay[tenant, arm] - 0.08 * attempt
                total += share[arm] * ((1 - fails) * ok + fails * walk(tenant, rest, attempt + 1))
            return float(total)

        mix = {0: 1 - self.tenant_share, 1: self.tenant_share}
        return sum(
            share * chance * walk(tenant, available, 0)
            for tenant, share in mix.items()
            for available, chance in self.availability()
        )


@dataclass(frozen=True)
class Log:
    """Decisions, one row each; the columns are those of `group_decisions`."""

    action: np.ndarray
    propensity: np.ndarray
    available: np.ndarray
    reward: np.ndarray
    tenant: np.ndarray
    sample_weight: np.ndarray

    def patterns(self, fold_seed: int = 0, folds: int = 5) -> Patterns:
        bits = 1 << np.arange(len(ARMS))
        sets = ((np.arange(1 << len(ARMS))[:, None] & bits) > 0).astype(bool)
        fold = np.random.default_rng(fold_seed).integers(0, folds, len(self.reward))
        drawn = Trajectories(
            arms=ARMS,
            tenants=("a", "b"),
            sets=sets,
            action=self.action,
            propensity=self.propensity,
            set_index=(self.available * bits).sum(axis=2),
            tenant=self.tenant,
            fold=fold,
        )
        return group_decisions(drawn, self.reward, self.sample_weight)

    def part(self, rows: np.ndarray) -> "Log":
        return Log(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def simulate(fleet: Fleet, weights: np.ndarray, n: int, rng: np.random.Generator, sample_rate: float = 1.0) -> Log:
    """Log n decisions; `weights` is one vector or one per decision (several versions of a policy).

    First-attempt successes are kept at `sample_rate` with weight 1 / rate, everything else always.
    """
    weights = np.broadcast_to(weights, (n, len(ARMS)))
    tenant = (rng.random(n) < fleet.tenant_share).astype(np.int64)
    up = rng.random((n, len(ARMS))) >= fleet.down
    up[~up.any(axis=1)] = True
    action = np.full((n, fleet.attempts), -1, dtype=np.int64)
    propensity = np.ones((n, fleet.attempts))
    available = np.zeros((n, fleet.attempts, len(ARMS)), dtype=bool)
    reward = np.full(n, 0.05)
    going = np.ones(n, dtype=bool)
    for t in range(fleet.attempts):
        going &= up.any(axis=1)
        share = weights * up
        share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
        drawn = np.minimum((share.cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1), len(ARMS) - 1)
        action[going, t] = drawn[going]
        propensity[going, t] = share[np.arange(n), drawn][going]
        available[going, t] = up[going]
        fails = rng.random(n) < fleet.failure[tenant, drawn]
        ok = going & ~fails
        reward[ok] = (fleet.pay[tenant, drawn] - 0.08 * t + fleet.noise * rng.standard_normal(n))[ok]
        going &= fails
        up = up.copy()
        up[np.arange(n), drawn] = False
    plain = (action[:, 1] == -1) & ~going
    keep = ~plain | (rng.random(n) < sample_rate)
    log = Log(action, propensity, available, reward, tenant, np.where(plain, 1 / sample_rate, 1.0))
    return log.part(keep)
