"""One step of B fleets as arrays: routing, queues, failures, retries, replicas, cost. No loop over fleets.

Axes: T tenants, M models, B fleets, in this order; the fleets lie last so that every operation runs over long rows.
Counts are expected values given the step's traffic (a fluid model with the waits of the stationary queue on top).
What the agents see of it is `signals.py`; what they may change is `actions.py`; what is random is `traffic.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.fleet import queueing
from cogorch_dagster.fleet.constants import Constants
from cogorch_dagster.fleet.knobs import Knobs, default_knobs
from cogorch_dagster.fleet.parameters import MODELS, TENANTS
from cogorch_dagster.fleet.traffic import Draws, Processes, Traffic

Floats = NDArray[np.float64]

# How sharply the router avoids what is beyond a target: e-fold per quarter of the target.
AVOIDANCE = 4.0
# How strongly a fairness weight prefers, for its tenant, the models that serve it well.
PREFERENCE = 2.0
# Share of the newest step in what the router knows of response times: with the whole of it, all flee together.
ROUTER_MEMORY = 0.3
TINY = 1e-9


@dataclass
class FleetState:
    """Everything that carries over from one step to the next."""

    traffic: Traffic
    knobs: Knobs
    backlog: Floats  # [T, M, B] requests that wait
    retries: Floats  # [T, B] requests that are tried again in the next step
    ready: Floats  # [M, B] replicas that serve
    starting: Floats  # [D, M, B] replicas that will serve in 1..D steps
    response_s: Floats  # [T, M, B] mean response time as the router knows it, smoothed over steps
    good: Floats  # [T, M, B] last step's share of good answers


@dataclass(frozen=True)
class Outcome:
    """What came of a step. Requests end as useful, useless, failed or refused; a request may be several attempts."""

    arrived: Floats  # [T, B] new requests
    ended: Floats  # [T, B]
    useful: Floats  # [T, B] useful answers
    good: Floats  # [T, B] useful answers within the promised time
    slow: Floats  # [T, B] answers beyond it
    answered: Floats  # [T, B]
    latency_s: Floats  # [T, B] mean over the answered
    timed_out: Floats  # [T, B] attempts cut off by the timeout, as a share of attempts
    refused: Floats  # [T, B] requests not admitted
    retried: Floats  # [T, B]
    cost_usd: Floats  # [B]
    utilisation: Floats  # [M, B] share of the capacity of the ready replicas in use
    backlog_s: Floats  # [M, B] time to work off what waits
    model_latency_s: Floats  # [M, B] mean response time
    model_failure: Floats  # [M, B] share of attempts that fail or time out
    routed: Floats  # [M, B] share of the attempts served

    def total(self, name: str) -> Floats:
        """A count, summed over tenants: [B]."""
        values: Floats = getattr(self, name).sum(axis=0)
        return values


def initial_state(constants: Constants, traffic: Traffic) -> FleetState:
    """Empty queues, default knobs, and the replicas that the knobs ask for."""
    fleets = traffic.hour.shape[-1]
    knobs = default_knobs(fleets)
    pairs = (TENANTS, MODELS, fleets)
    return FleetState(
        traffic=traffic,
        knobs=knobs,
        backlog=np.zeros(pairs),
        retries=np.zeros((TENANTS, fleets)),
        ready=desired_replicas(constants, knobs),
        starting=np.zeros((max(1, *constants.startup_steps), MODELS, fleets)),
        response_s=np.broadcast_to(constants.base_s, pairs).copy(),
        good=np.broadcast_to(constants.usefulness, pairs).copy(),
    )


def desired_replicas(constants: Constants, knobs: Knobs) -> Floats:
    """Replicas that the knobs ask for, [M, B]: at least one."""
    return np.maximum(np.rint(knobs.replicas * constants.max_replicas), 1.0)


def routing(constants: Constants, state: FleetState) -> Floats:
    """The router's probabilities, [T, M, B]: its weights, less what is beyond a target, tilted by fairness."""
    knobs = state.knobs
    late = np.maximum(state.response_s / (knobs.latency_target_ms / 1000) - 1, 0.0)
    dear = np.maximum(constants.token_usd / knobs.cost_cap_usd - 1, 0.0)
    preference = PREFERENCE * np.log(knobs.fairness)[:, None] * state.good
    logits = np.log(knobs.weights) - AVOIDANCE * np.minimum(late + dear, 5.0) + preference
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = probabilities / probabilities.sum(axis=1, keepdims=True)
    return shares


def order_replicas(constants: Constants, state: FleetState) -> tuple[Floats, Floats]:
    """Replicas ready and starting after orders: more are started and ready after their delay, fewer end at once.

    Those that are still starting are called off first.
    """
    ready = state.ready + state.starting[0]
    starting = np.concatenate([state.starting[1:], np.zeros_like(state.starting[:1])])
    gap = desired_replicas(constants, state.knobs) - ready - starting.sum(axis=0)
    more = np.maximum(gap, 0.0)
    for model, delay in enumerate(constants.startup_steps):
        if delay == 0:
            ready[model] += more[model]
        else:
            starting[delay - 1, model] += more[model]
    fewer = np.maximum(-gap, 0.0)
    if fewer.any():
        for age in range(len(starting) - 1, -1, -1):
            called_off = np.minimum(starting[age], fewer)
            starting[age] -= called_off
            fewer = fewer - called_off
        ready = np.maximum(ready - fewer, 1.0)
    return ready, starting


def advance(constants: Constants, processes: Processes, state: FleetState, draws: Draws) -> tuple[FleetState, Outcome]:
    """One step of all fleets under their present knobs; draws have one column per fleet."""
    traffic = processes.advance(state.traffic, draws)
    ready, starting = order_replicas(constants, state)
    arrived = processes.requests(processes.rates(traffic), draws)
    requests = arrived + state.retries
    attempts = _attempts(constants, state, requests)
    work = _worked(constants, state, attempts, ready, _work_seconds(constants, traffic, requests, draws))
    answers = _answers(constants, state, traffic, work)
    rented_usd = ((ready + starting.sum(axis=0)) * constants.replica_usd).sum(axis=0)
    outcome = _outcome(constants, state, arrived, requests, work, answers, rented_usd)
    good = answers.answered * constants.usefulness * (1 - answers.late)
    known = state.response_s + ROUTER_MEMORY * (answers.response_s - state.response_s)
    after = FleetState(traffic, state.knobs, work.backlog, outcome.retried, ready, starting, known, good)
    return after, outcome


def _attempts(constants: Constants, state: FleetState, requests: Floats) -> Floats:
    """Attempts per tenant and model: the router's draws, copies for the quorum, and audits at the ablest model."""
    attempts = (requests * state.knobs.quorum)[:, None] * routing(constants, state)
    attempts[:, constants.ablest] += requests * state.knobs.audit_share
    return attempts


def _work_seconds(constants: Constants, traffic: Traffic, requests: Floats, draws: Draws) -> Floats:
    """Seconds of work of an attempt alone on a replica, [T, M, B]; the mean of n requests varies by 1 / sqrt(n)."""
    degraded = np.where(traffic.incident, constants.degraded_slowdown, 1.0)
    spread = np.sqrt(constants.service_scv.mean(axis=1) / np.maximum(requests, 1.0))
    factor = np.maximum(1 + np.minimum(spread, 0.5) * draws.work, 0.3)
    seconds: Floats = constants.base_s * degraded * factor[:, None]
    return seconds


@dataclass(frozen=True)
class _Work:
    """What the models worked through: attempts [T, M, B], and per model [M, B]."""

    seconds: Floats  # [T, M, B] of an attempt alone on a replica
    served: Floats  # [T, M, B] attempts
    backlog: Floats  # [T, M, B] attempts that wait on
    turned_away: Floats  # [T, M, B] attempts that waited too long
    patience_s: Floats  # [B] the longest that may be waited
    speed: Floats  # seconds of work per second
    load: Floats  # share of the capacity in use
    servers: Floats  # requests that can be in work at once
    stretch: Floats  # factor on the duration in a batch of the present size


def _worked(constants: Constants, state: FleetState, attempts: Floats, ready: Floats, seconds: Floats) -> _Work:
    knobs, step_s = state.knobs, constants.step_s
    present = state.backlog + attempts
    wanted = present * seconds
    # A replica with b requests at once does b / (1 + k (b - 1)) seconds of work per second.
    slots = np.maximum(np.rint(knobs.concurrency * constants.slots), 1.0)
    batch = queueing.batch_size(wanted.sum(axis=0) / step_s, ready, constants.slowdown, slots)
    speed = ready * slots / (1 + constants.slowdown * (slots - 1))
    served_work = queueing.fair_shares(wanted, knobs.fairness[:, None], speed * step_s)
    served = served_work / seconds
    waiting = np.maximum(present - served, 0.0)
    # What would wait longer than admission or the timeout allow is turned away, from each tenant in proportion.
    patience = np.minimum(knobs.admission_s, knobs.timeout_ms / 1000)
    kept = np.minimum(patience * speed / np.maximum((waiting * seconds).sum(axis=0), TINY), 1.0)
    return _Work(
        seconds=seconds,
        served=served,
        backlog=waiting * kept,
        turned_away=waiting * (1 - kept),
        patience_s=patience,
        speed=speed,
        load=np.minimum(served_work.sum(axis=0) / (speed * step_s), 1.0),
        servers=ready * slots,
        stretch=1 + constants.slowdown * (batch - 1),
    )


@dataclass(frozen=True)
class _Answers:
    """How attempts end, [T, M, B]: shares of the served, and seconds."""

    response_s: Floats  # mean, waiting included
    relative_variance: Floats  # of the response time
    cut_off: Floats  # by the timeout
    late: Floats  # beyond the promised time, those cut off included
    answered: Floats  # neither cut off nor failed
    late_answered: Floats  # answered, beyond the promised time


def _answers(constants: Constants, state: FleetState, traffic: Traffic, work: _Work) -> _Answers:
    knobs = state.knobs
    queue, relative = _stationary(constants, knobs, work)
    random_wait = np.minimum(queue.mean * relative, work.patience_s)
    # Little's law: what waited on average, over what left.
    waited = (state.backlog + work.backlog) / 2 * constants.step_s
    backlog_wait = np.minimum(waited / np.maximum(work.served, TINY), work.patience_s)
    backlog_wait = np.where(work.served > TINY, backlog_wait, 0.0)
    service = work.seconds * work.stretch
    response = service + random_wait
    # Waiting: exponential for the share that waits at all, 0 for the rest.
    variance = service**2 * constants.service_scv + random_wait**2 * (2 / np.maximum(queue.share, TINY) - 1)
    cut_off = queueing.tail(knobs.timeout_ms / 1000 - backlog_wait, response, variance)
    late = np.maximum(queueing.tail(constants.slo_s - backlog_wait, response, variance), cut_off)
    well = 1 - np.where(traffic.incident, constants.degraded_failure, constants.failure)
    return _Answers(
        response_s=response + backlog_wait,
        relative_variance=variance / response**2,
        cut_off=cut_off,
        late=late,
        answered=(1 - cut_off) * well,
        late_answered=(late - cut_off) * well,
    )


def _stationary(constants: Constants, knobs: Knobs, work: _Work) -> tuple[queueing.Wait, Floats]:
    """Wait of the stationary queue per model, and each tenant's factor on it.

    A tenant of twice the weight waits half as long, while the mean over attempts stays (Kleinrock's conservation law).
    """
    share = work.served / np.maximum(work.served.sum(axis=0), TINY)
    mean = np.maximum((share * work.seconds).sum(axis=0), TINY)
    second_moment = (share * work.seconds**2 * (1 + constants.service_scv)).sum(axis=0)
    service_scv = np.maximum(second_moment / mean**2 - 1, 0.0)
    arrival_scv = (share * constants.arrival_scv[:, None]).sum(axis=0)
    queue = queueing.stationary_wait(work.load, work.servers, mean * work.stretch, arrival_scv, service_scv)
    inverse = 1 / knobs.fairness[:, None]
    return queue, inverse / np.maximum((share * inverse).sum(axis=0), TINY)


def _outcome(
    constants: Constants,
    state: FleetState,
    arrived: Floats,
    requests: Floats,
    work: _Work,
    answers: _Answers,
    rented_usd: Floats,
) -> Outcome:
    """From attempts to requests: an attempt that fails is saved by a copy that does not, or tried again later."""
    knobs, served = state.knobs, work.served
    per_request = knobs.quorum + knobs.audit_share
    ended_attempts = np.maximum((served + work.turned_away).sum(axis=1), TINY)
    done = ended_attempts / per_request
    good_attempts = served * answers.answered
    answered_attempts = np.maximum(good_attempts.sum(axis=1), TINY)
    ok = answered_attempts / ended_attempts
    doubled = knobs.quorum - 1
    answered_share = ok + doubled * ok * (1 - ok)
    # Of two answers the first counts: it is slow only if both are.
    both = doubled * ok * ok / answered_share
    slow = (served * answers.late_answered).sum(axis=1) / answered_attempts
    slow_share = slow * (1 - both * (1 - slow))
    timely = np.minimum(answers.response_s, knobs.timeout_ms / 1000)
    mean_s = (good_attempts * timely).sum(axis=1) / answered_attempts
    sigma = np.sqrt(np.log1p((good_attempts * answers.relative_variance).sum(axis=1) / answered_attempts))
    answered = done * answered_share
    retried = (done - answered) * arrived / np.maximum(requests, TINY) * constants.retry_share
    useful = answered * (good_attempts * constants.usefulness).sum(axis=1) / answered_attempts
    per_model = np.maximum(served.sum(axis=0), TINY)
    return Outcome(
        arrived=arrived,
        ended=done - retried,
        useful=useful,
        good=useful * (1 - slow_share),
        slow=answered * slow_share,
        answered=answered,
        latency_s=mean_s * (1 - both) + queueing.first_of_two(mean_s, sigma) * both,
        timed_out=(served * answers.cut_off).sum(axis=1) / ended_attempts,
        refused=work.turned_away.sum(axis=1) / per_request,
        retried=retried,
        cost_usd=(served * constants.token_usd).sum(axis=(0, 1)) + rented_usd,
        utilisation=work.load,
        backlog_s=(work.backlog * work.seconds).sum(axis=0) / work.speed,
        model_latency_s=(served * answers.response_s).sum(axis=0) / per_model,
        model_failure=1 - good_attempts.sum(axis=0) / per_model,
        routed=served.sum(axis=0) / np.maximum(served.sum(axis=(0, 1)), TINY),
    )
