"""Observations of a fleet whose parameters are known: what a calibration must find again."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cogorch_dagster.fleet.parameters import FleetParameters, Lengths, default_parameters

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
Floats = NDArray[np.float64]


def _states(rng: np.random.Generator, minutes: int, per_day: float, length: float) -> NDArray[np.bool_]:
    """A two-state chain by its runs."""
    states = np.zeros(minutes, dtype=bool)
    at = 0
    while per_day > 0 and at < minutes:
        at += rng.geometric(per_day / 1440)
        end = at + rng.geometric(1 / length)
        states[at:end] = True
        at = end
    return states


def observations(
    truth: FleetParameters,
    days: float,
    *,
    seed: int = 0,
    scale: float = 0.05,
    tokens: bool = True,
    company: bool = False,
    begin: datetime = BEGIN,
) -> pa.Table:
    """Attempts of `days` days with `scale` times the truth's rates; `company`: one replica per model slows down."""
    rng = np.random.default_rng(seed)
    minutes = round(days * 1440)
    hours = (np.arange(minutes) / 60 + begin.hour) % 24
    parts: list[tuple[Floats, Floats]] = []
    for place, tenant in enumerate(truth.tenants):
        shape = np.interp(hours, np.arange(25), (*tenant.hourly_shape, tenant.hourly_shape[0]))
        burst = np.where(_states(rng, minutes, tenant.bursts_per_day, tenant.burst_minutes), tenant.burst_factor, 1.0)
        mean = np.maximum(tenant.requests_per_second * scale * 60 * shape * burst, 1e-9)
        counts = rng.negative_binomial(mean / (tenant.dispersion - 1 + 1e-9), 1 / (tenant.dispersion + 1e-9))
        at = (np.repeat(np.arange(minutes), counts) + rng.random(counts.sum())) * 60
        parts.append((at, np.full(len(at), place, dtype=np.float64)))
    seconds = np.concatenate([each[0] for each in parts])
    tenants = np.concatenate([each[1] for each in parts]).astype(int)[order := np.argsort(seconds)]
    seconds = seconds[order]
    n = len(seconds)
    model = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    read, written = (
        np.maximum(np.rint(np.exp(np.array([getattr(t, k).mu for t in truth.tenants])[tenants]
        + np.array([getattr(t, k).sigma for t in truth.tenants])[tenants] * rng.standard_normal(n))), 1)
        for k in ("input_tokens", "output_tokens")
    )  # fmt: skip
    ill = np.stack([_states(rng, minutes, m.incidents_per_day, m.incident_minutes) for m in truth.models])
    in_incident = ill[model, (seconds // 60).astype(int)]

    def of(field: str) -> Floats:
        return np.array([getattr(each, field) for each in truth.models])[model]

    work = of("overhead_ms") + of("prefill_ms_per_token") * read + of("decode_ms_per_token") * written
    work = work * np.exp(of("residual_sigma") * rng.standard_normal(n) - of("residual_sigma") ** 2 / 2)
    work = work * np.where(in_incident, of("degraded_slowdown"), 1.0)
    if company:
        work = _in_company(seconds, work, model, of("batch_slowdown"))
    failed = rng.random(n) < np.where(in_incident, of("degraded_failure_rate"), of("failure_rate"))
    queue = rng.exponential(50, n)
    usd = (of("usd_per_million_input") * read + of("usd_per_million_output") * written) / 1e6
    names = {"tenant": [t.name for t in truth.tenants], "model": [m.name for m in truth.models]}
    columns = {
        "source": ["made"] * n,
        "source_id": [f"{seed}-{row}" for row in range(n)],
        "occurred_at": [begin + timedelta(seconds=float(each)) for each in seconds],
        "component": ["router:core"] * n,
        "component_kind": ["llm_router"] * n,
        "tenant": np.array(names["tenant"])[tenants].tolist(),
        "request_model": np.array(names["model"])[model].tolist(),
        "outcome": np.where(failed, "failure", "success").tolist(),
        "duration_ms": work + queue,
        "queue_ms": queue,
    }
    if tokens:
        columns |= {"input_tokens": read.astype(int), "output_tokens": written.astype(int), "cost_amount": usd}
    return pa.table(columns)


def _in_company(seconds: Floats, alone: Floats, model: NDArray[np.int64], slowdown: Floats) -> Floats:
    """Durations when each request is slower by those beside it on its model's only replica (fixed point)."""
    work = alone.copy()
    for _ in range(12):
        for place in range(3):
            mine = model == place
            start, end = seconds[mine], seconds[mine] + work[mine] / 1000
            times = np.concatenate([start, end])
            order = np.argsort(times)
            level = np.cumsum(np.concatenate([np.ones(len(start)), -np.ones(len(end))])[order])
            area = np.concatenate([[0.0], np.cumsum(level[:-1] * np.diff(times[order]))])
            mean = (np.interp(end, times[order], area) - np.interp(start, times[order], area)) / (end - start)
            work[mine] = (work[mine] + alone[mine] * (1 + slowdown[mine] * np.maximum(mean - 1, 0))) / 2
    return work


def wrong_defaults() -> FleetParameters:
    """Defaults that the data must talk a calibration out of."""
    right = default_parameters()
    models = tuple(
        m.model_copy(update={
            "overhead_ms": 3 * m.overhead_ms, "decode_ms_per_token": 2.5 * m.decode_ms_per_token,
            "residual_sigma": 0.8, "failure_rate": 0.05, "usd_per_million_output": 1.0, "batch_slowdown": 0.5,
        })
        for m in right.models
    )  # fmt: skip
    tenants = tuple(
        t.model_copy(update={
            "hourly_shape": (1.0,) * 24, "dispersion": 1.0, "input_tokens": Lengths(mu=5, sigma=0.3),
            "output_tokens": Lengths(mu=6.5, sigma=1.2),
        })
        for t in right.tenants
    )  # fmt: skip
    return right.model_copy(update={"models": models, "tenants": tenants})
