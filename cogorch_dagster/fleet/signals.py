"""What can be seen of a fleet, and which part of it each agent sees: every dimension with its unit and range.

Each signal is scaled from its range to -1..1 and cut there; a logarithmic one by its logarithm. Tenants' shares of
good answers are measured on the audited requests only, so they are noisier the fewer are audited.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.fleet.knobs import BOUNDS
from cogorch_dagster.fleet.parameters import MODELS, TENANTS, FleetParameters
from cogorch_dagster.fleet.simulation import FleetState, Outcome
from cogorch_dagster.fleet.traffic import Draws

Floats = NDArray[np.float64]
States = dict[str, NDArray[np.float32]]
AgentName = Literal["policy", "consensus", "ethical", "resource"]

AGENTS: tuple[AgentName, ...] = ("policy", "consensus", "ethical", "resource")
# Share of the newest step in the smoothed level of requests.
SMOOTHING = 0.1
TINY = 1e-9


@dataclass(frozen=True)
class Signal:
    """One dimension: its unit and the range that is scaled to -1..1."""

    name: str
    unit: str
    low: float
    high: float
    meaning: str
    logarithmic: bool = False


def _knob(name: str, meaning: str, *, logarithmic: bool = True) -> Signal:
    bound = BOUNDS[name]
    return Signal(name, bound.unit, bound.low, bound.high, meaning, logarithmic)


def _signals() -> Iterator[Signal]:
    yield Signal("hour_sin", "1", -1, 1, "sine of the hour of the day")
    yield Signal("hour_cos", "1", -1, 1, "cosine of the hour of the day")
    yield Signal("load", "ratio", 0.125, 8, "requests over the fleet's nominal requests", logarithmic=True)
    yield Signal("trend", "ratio", 0.25, 4, "requests over their smoothed level", logarithmic=True)
    yield Signal("latency", "ratio", 0, 2, "mean latency of answers over slo_ms")
    yield Signal("slow", "share", 0, 1, "answers beyond slo_ms")
    yield Signal("useful", "share", 0, 1, "requests that got a useful answer")
    yield Signal("timed_out", "share", 0, 1, "attempts cut off by the timeout")
    yield Signal("refused", "share", 0, 1, "requests that were not admitted")
    yield Signal("retried", "share", 0, 1, "requests that are tried again")
    yield Signal("cost", "ratio", 0, 3, "cost of a useful answer over budget_usd")
    yield Signal("unfairness", "share", 0, 1, "largest difference of measured good answers between two tenants")
    yield Signal("utilisation", "share", 0, 1, "mean over the models")
    yield Signal("violations", "share", 0, 1, "promises broken in the last step")
    yield _knob("latency_target_ms", "knob")
    yield _knob("cost_cap_usd", "knob")
    yield _knob("admission_s", "knob")
    yield _knob("timeout_ms", "knob")
    yield _knob("quorum", "knob", logarithmic=False)
    yield _knob("audit_share", "knob")
    yield _knob("concurrency", "knob", logarithmic=False)
    for model in range(MODELS):
        yield Signal(f"utilisation_{model}", "share", 0, 1, "capacity of the model's ready replicas in use")
        yield Signal(f"backlog_{model}", "s", 0, 60, "time to work off what waits at the model")
        yield Signal(f"latency_{model}", "ratio", 0, 3, "mean response time of the model over slo_ms")
        yield Signal(f"failure_{model}", "share", 0, 0.5, "attempts at the model that fail or time out")
        yield Signal(f"weight_{model}", "share", 0, 1, "of the router")
        yield Signal(f"ready_{model}", "share", 0, 1, "replicas that serve, of max_replicas")
        yield Signal(f"starting_{model}", "share", 0, 1, "replicas that start, of max_replicas")
    for tenant in range(TENANTS):
        yield Signal(f"good_{tenant}", "share", 0, 1, "measured useful answers within slo_ms, of the tenant's requests")
        yield Signal(f"demand_{tenant}", "share", 0, 1, "of the requests")
        yield _fairness(tenant)
        yield Signal(f"wait_{tenant}", "ratio", 0, 2, "mean latency of the tenant's answers over slo_ms")


def _fairness(tenant: int) -> Signal:
    bound = BOUNDS["fairness"]
    return Signal(f"fairness_{tenant}", bound.unit, bound.low, bound.high, "knob of the tenant", logarithmic=True)


SIGNALS: dict[str, Signal] = {signal.name: signal for signal in _signals()}


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _each(names: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}_{index}" for index in range(count) for name in _names(names))


# What each agent sees, in the order of its state.
VIEWS: dict[AgentName, tuple[str, ...]] = {
    "policy": (
        *_names("hour_sin hour_cos load trend latency slow useful timed_out refused cost unfairness utilisation"),
        *_names("violations latency_target_ms cost_cap_usd admission_s quorum"),
        *_each("utilisation backlog latency failure weight", MODELS),
    ),
    "consensus": (
        *_names("load trend latency slow useful timed_out refused retried timeout_ms quorum"),
        *_each("utilisation failure", MODELS),
    ),
    "ethical": (
        *_names("hour_sin hour_cos load useful latency refused unfairness audit_share"),
        *_each("good demand fairness wait", TENANTS),
    ),
    "resource": (
        *_names("hour_sin hour_cos load trend cost latency useful concurrency"),
        *_each("utilisation backlog ready starting", MODELS),
    ),
}
STATE_SIZES: dict[AgentName, int] = {agent: len(view) for agent, view in VIEWS.items()}

_ORDER = tuple(SIGNALS)
_ROWS = {agent: np.array([_ORDER.index(name) for name in view]) for agent, view in VIEWS.items()}
_LOG_ROWS = np.flatnonzero([SIGNALS[name].logarithmic for name in _ORDER])


def _ends(end: Literal["low", "high"]) -> Floats:
    values = np.array([[getattr(SIGNALS[name], end)] for name in _ORDER], dtype=np.float64)
    values[_LOG_ROWS] = np.log(values[_LOG_ROWS])
    return values


_LOW, _HIGH = _ends("low"), _ends("high")


@dataclass(frozen=True)
class Measured:
    """What the fleet's figures of a step are, per fleet [B]; per tenant [T, B] where it says so."""

    requests: Floats
    useful: Floats  # share of requests
    slow: Floats  # share of answers
    latency_s: Floats
    cost_usd: Floats  # per useful answer
    good: Floats  # [T, B] share of the tenant's requests
    unfairness: Floats  # largest difference of `good` between two tenants with traffic
    utilisation: Floats


def measure(outcome: Outcome) -> Measured:
    """The figures of a step; a fleet without requests is well served."""
    ended, answered, useful = outcome.total("ended"), outcome.total("answered"), outcome.total("useful")
    with_traffic = outcome.ended > 0.5
    good = np.where(with_traffic, outcome.good / np.maximum(outcome.ended, TINY), np.nan)
    highest = np.where(with_traffic, good, -np.inf).max(axis=0)
    lowest = np.where(with_traffic, good, np.inf).min(axis=0)
    idle = ended < 0.5
    return Measured(
        requests=ended,
        useful=np.where(idle, 1.0, useful / np.maximum(ended, TINY)),
        slow=outcome.total("slow") / np.maximum(answered, TINY),
        latency_s=(outcome.latency_s * outcome.answered).sum(axis=0) / np.maximum(answered, TINY),
        cost_usd=outcome.cost_usd / np.maximum(useful, 1.0),
        good=np.where(with_traffic, good, 1.0),
        unfairness=np.where(with_traffic.any(axis=0), np.maximum(highest - lowest, 0.0), 0.0),
        utilisation=outcome.utilisation.mean(axis=0),
    )


def audited(measured: Measured, outcome: Outcome, audit_share: Floats, draws: Draws) -> Floats:
    """Tenants' shares of good answers as the audited sample shows them, [T, B]."""
    sample = audit_share * outcome.ended + 1.0
    good = measured.good
    noise = np.sqrt(np.maximum(good * (1 - good), 0.0) / sample) * draws.measured
    return np.clip(good + noise, 0.0, 1.0)


def observe(
    parameters: FleetParameters,
    max_replicas: Floats,
    nominal: float,
    state: FleetState,
    outcome: Outcome,
    measured: Measured,
    good: Floats,
    smoothed: Floats,
    violations: Floats,
) -> States:
    """Each agent's state, float32 [B, size], all within -1..1.

    Args:
        max_replicas: [M, 1]. nominal: requests per step at the mean. good: as `audited` gives them, [T, B].
        smoothed: requests per step, smoothed, [B]. violations: share of the promises broken, [B].
    """
    slo_s, knobs = parameters.slo_ms / 1000, state.knobs
    arrived = outcome.total("arrived")
    per_request = 1 / np.maximum(outcome.total("ended"), TINY)
    attempts = np.maximum(outcome.ended.sum(axis=0), TINY)
    angle = state.traffic.hour * (2 * np.pi / 24)
    rows = [
        np.sin(angle),
        np.cos(angle),
        arrived / nominal,
        arrived / np.maximum(smoothed, TINY),
        measured.latency_s / slo_s,
        measured.slow,
        measured.useful,
        (outcome.timed_out * outcome.ended).sum(axis=0) / attempts,
        outcome.total("refused") * per_request,
        outcome.total("retried") * per_request,
        measured.cost_usd / parameters.budget_usd,
        good.max(axis=0) - good.min(axis=0),
        measured.utilisation,
        violations,
        knobs.latency_target_ms,
        knobs.cost_cap_usd,
        knobs.admission_s,
        knobs.timeout_ms,
        knobs.quorum,
        knobs.audit_share,
        knobs.concurrency,
    ]
    starting = state.starting.sum(axis=0)
    for model in range(MODELS):
        rows += [
            outcome.utilisation[model],
            outcome.backlog_s[model],
            outcome.model_latency_s[model] / slo_s,
            outcome.model_failure[model],
            knobs.weights[model],
            state.ready[model] / max_replicas[model],
            starting[model] / max_replicas[model],
        ]
    demand = outcome.arrived / np.maximum(arrived, TINY)
    for tenant in range(TENANTS):
        rows += [good[tenant], demand[tenant], knobs.fairness[tenant], outcome.latency_s[tenant] / slo_s]
    return _views(np.array(rows))


def _views(values: Floats) -> States:
    values[_LOG_ROWS] = np.log(np.maximum(values[_LOG_ROWS], TINY))
    values -= _LOW
    values *= 2 / (_HIGH - _LOW)
    values -= 1
    np.clip(values, -1.0, 1.0, out=values)
    scaled = values.T.astype(np.float32)
    return {agent: scaled[:, rows] for agent, rows in _ROWS.items()}
