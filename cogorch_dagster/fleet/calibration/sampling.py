"""What calibrated parameters say that observations look like: seeded draws to hold against the data.

Not the simulator: no queues and no agents, only what a request is and how many come.
"""

import numpy as np
from numpy.random import Generator

from cogorch_dagster.fleet.calibration.arrivals import interpolation
from cogorch_dagster.fleet.calibration.durations import durations_of
from cogorch_dagster.fleet.calibration.frame import Floats, Frame, Integers
from cogorch_dagster.fleet.parameters import TENANTS, FleetParameters, Lengths, ModelParameters, TenantParameters

DRAWS = 20_000


def token_draws(lengths: Lengths, rng: Generator, number: int = DRAWS) -> Floats:
    """Whole numbers of tokens, at least 1 [number]."""
    return np.maximum(np.rint(np.exp(lengths.mu + lengths.sigma * rng.standard_normal(number))), 1.0)


def count_draws(tenant: TenantParameters, minute_of_day: Integers, thinning: float, rng: Generator) -> Floats:
    """Requests in each of some 20,000 minutes, at the given minutes of the day again and again."""
    times = np.tile(minute_of_day, -(-DRAWS // len(minute_of_day)))[: max(DRAWS, len(minute_of_day))]
    mean = tenant.requests_per_second * 60 * (interpolation(times) @ np.array(tenant.hourly_shape))
    share = _share(tenant.bursts_per_day, tenant.burst_minutes)
    mean = np.maximum(mean * np.where(rng.random(len(times)) < share, tenant.burst_factor, 1.0), 1e-9)
    spread = tenant.dispersion + thinning
    if spread < 1.001:
        return np.asarray(rng.poisson(mean), dtype=np.float64)
    return np.asarray(rng.negative_binomial(mean / (spread - 1), 1 / spread), dtype=np.float64)


def work_draws(parameters: FleetParameters, frame: Frame, model: int, rng: Generator) -> Floats:
    """Milliseconds of work [20,000] of a model on what the frame's tenants send it."""
    rows = durations_of(frame.rows, model)
    own = parameters.models[model]
    mix = np.bincount(np.maximum(rows.tenant, 0), weights=rows.weight, minlength=TENANTS)
    counts = rng.multinomial(DRAWS, mix / mix.sum())
    read, written = (
        np.concatenate([token_draws(getattr(t, kind), rng, n) for t, n in zip(parameters.tenants, counts, strict=True)])
        for kind in ("input_tokens", "output_tokens")
    )
    work = own.overhead_ms + own.prefill_ms_per_token * read + own.decode_ms_per_token * written
    known = rows.concurrency[np.isfinite(rows.concurrency)]
    if len(known) and not parameters.origin.get(f"models.{model}.batch_slowdown", "default").startswith("default"):
        work = work * (1 + own.batch_slowdown * (rng.choice(known, DRAWS) - 1))
    ill = rng.random(DRAWS) < incident_share(own)
    residual = np.exp(own.residual_sigma * rng.standard_normal(DRAWS) - own.residual_sigma**2 / 2)
    drawn: Floats = work * residual * np.where(ill, own.degraded_slowdown, 1.0)
    return drawn


def incident_share(model: ModelParameters) -> float:
    """Share of the time that a model spends in incidents."""
    return _share(model.incidents_per_day, model.incident_minutes)


def _share(per_day: float, minutes: float) -> float:
    busy = per_day * minutes / 1440
    return busy / (1 + busy)
