"""Queues as arrays: how long requests wait at a model, how its capacity is shared, how response times spread.

Textbook results only, each with its source; that they agree with a simulation event by event is tested. The fleet's
own rules (who is routed where, what a retry is) belong in `simulation.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# A step is too short for the stationary wait of a queue this close to full; beyond it the backlog is what grows.
HIGHEST_STATIONARY_LOAD = 0.98
TINY = 1e-12


@dataclass(frozen=True)
class Wait:
    """Stationary wait in a queue: its mean over all requests in seconds, and the share of requests that wait."""

    mean: Floats
    share: Floats


def batch_size(work: Floats, replicas: Floats, slowdown: Floats, slots: Floats) -> Floats:
    """Requests in work at once on a replica, at most its slots.

    `work` is the offered load in seconds of undisturbed work per second. With b in work, each takes 1 + k (b - 1)
    times as long, so b = (work / replicas) (1 + k (b - 1)), which is solved for b.
    """
    alone = work / np.maximum(replicas, TINY)
    room = 1 - alone * slowdown
    size = np.where(room > TINY, alone * (1 - slowdown) / np.maximum(room, TINY), slots)
    return np.minimum(size, slots)


def stationary_wait(load: Floats, servers: Floats, service_s: Floats, arrival_scv: Floats, service_scv: Floats) -> Wait:
    """Wait in a G/G/c queue: Allen-Cunneen's formula with Sakasegawa's (1977) approximation of the waiting share.

    Args:
        load: share of the servers' time that is in use, 0..1; taken as at most 0.98.
        servers: number of parallel servers, at least 1.
        service_s: mean service time in seconds.
        arrival_scv, service_scv: squared coefficient of variation of the times between arrivals and of service.
    """
    load = np.minimum(load, HIGHEST_STATIONARY_LOAD)
    servers = np.maximum(servers, 1.0)
    share = np.power(np.maximum(load, TINY), np.sqrt(2 * (servers + 1)) - 1)
    mean = (arrival_scv + service_scv) / 2 * share * service_s / (servers * (1 - load))
    return Wait(mean, share)


def fair_shares(wanted: Floats, weights: Floats, capacity: Floats) -> Floats:
    """Work served per tenant, [T, ...]: capacity shared by weight among those that want more than their part.

    Weighted max-min fairness (generalised processor sharing, Parekh and Gallager 1993) by progressive filling: whoever
    wants less than the part of its weight gets what it wants, and what is left is shared among the others.
    """
    served = np.zeros_like(wanted)
    for _ in range(len(wanted)):
        missing = wanted - served
        claim = np.where(missing > TINY, weights, 0.0)
        left = np.maximum(capacity - served.sum(axis=0), 0.0)
        served = served + np.minimum(missing, left * claim / np.maximum(claim.sum(axis=0), TINY))
    return served


def tail(limit_s: Floats, mean_s: Floats, variance: Floats) -> Floats:
    """Share of response times above a limit: log-normal with the same mean and variance (logistic form of its tail).

    Where the limit is not above 0, all are above it.
    """
    ratio = np.log1p(variance / np.maximum(mean_s, TINY) ** 2)
    sigma = np.sqrt(np.maximum(ratio, 1e-6))
    z = (np.log(np.maximum(limit_s, TINY)) - np.log(np.maximum(mean_s, TINY)) + ratio / 2) / sigma
    # Bowling et al. (2009): within 1.5e-4 of the normal distribution.
    exponent = np.clip(0.07056 * z * z * z + 1.5976 * z, -60.0, 60.0)
    above: Floats = 1 / (1 + np.exp(exponent))
    return above


def first_of_two(mean_s: Floats, sigma: Floats) -> Floats:
    """Mean of the smaller of two independent log-normal times: 2 m Phi(-sigma / sqrt 2)."""
    z = sigma / np.sqrt(2)
    smaller: Floats = 2 * mean_s / (1 + np.exp(np.minimum(0.07056 * z * z * z + 1.5976 * z, 60.0)))
    return smaller
