"""A fleet's parameters ready for arrays: what does not change during an episode."""

from dataclasses import dataclass
from math import ceil, exp

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.fleet.parameters import FleetParameters

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Constants:
    """What does not change during an episode, ready for arrays."""

    base_s: Floats  # [T, M, 1] mean seconds of a request alone on a replica
    service_scv: Floats  # [T, M, 1] squared coefficient of variation of it
    token_usd: Floats  # [T, M, 1]
    slots: Floats  # [M, 1]
    slowdown: Floats  # [M, 1] per further request of a batch
    failure: Floats  # [M, 1]
    usefulness: Floats  # [M, 1]
    degraded_failure: Floats  # [M, 1]
    degraded_slowdown: Floats  # [M, 1]
    replica_usd: Floats  # [M, 1] per step
    max_replicas: Floats  # [M, 1]
    startup_steps: tuple[int, ...]
    arrival_scv: Floats  # [T, 1]
    retry_share: float
    slo_s: float
    step_s: float
    ablest: int

    @classmethod
    def of(cls, parameters: FleetParameters) -> "Constants":
        tenants, models, step = parameters.tenants, parameters.models, parameters.step_seconds

        def column(values: list[float]) -> Floats:
            return np.array(values, dtype=np.float64)[:, None]

        def pairs(values: list[list[float]]) -> Floats:
            return np.array(values, dtype=np.float64)[:, :, None]

        def length_variance(mean: float, sigma: float) -> float:
            return mean**2 * (exp(sigma**2) - 1)

        base, scv, usd = [], [], []
        for tenant in tenants:
            inputs, outputs = tenant.input_tokens, tenant.output_tokens
            seconds = [
                (m.overhead_ms + m.prefill_ms_per_token * inputs.mean + m.decode_ms_per_token * outputs.mean) / 1000
                for m in models
            ]
            variances = [
                (m.prefill_ms_per_token / 1000) ** 2 * length_variance(inputs.mean, inputs.sigma)
                + (m.decode_ms_per_token / 1000) ** 2 * length_variance(outputs.mean, outputs.sigma)
                for m in models
            ]
            base.append([max(each, 1e-4) for each in seconds])
            scv.append(
                [
                    (1 + variance / max(mean, 1e-4) ** 2) * exp(m.residual_sigma**2) - 1
                    for m, mean, variance in zip(models, seconds, variances, strict=True)
                ]
            )
            usd.append(
                [
                    (m.usd_per_million_input * inputs.mean + m.usd_per_million_output * outputs.mean) / 1e6
                    for m in models
                ]
            )
        return cls(
            base_s=pairs(base),
            service_scv=pairs(scv),
            token_usd=pairs(usd),
            slots=column([m.slots for m in models]),
            slowdown=column([m.batch_slowdown for m in models]),
            failure=column([m.failure_rate for m in models]),
            usefulness=column([m.usefulness for m in models]),
            degraded_failure=column([m.degraded_failure_rate for m in models]),
            degraded_slowdown=column([m.degraded_slowdown for m in models]),
            replica_usd=column([m.usd_per_replica_hour * step / 3600 for m in models]),
            max_replicas=column([m.max_replicas for m in models]),
            startup_steps=tuple(ceil(m.startup_seconds / step) for m in models),
            # Of the times between arrivals: the dispersion of the counts, in the limit of renewal theory.
            arrival_scv=column([min(tenant.dispersion, 25.0) for tenant in tenants]),
            retry_share=parameters.retry_share,
            slo_s=parameters.slo_ms / 1000,
            step_s=step,
            ablest=int(np.argmax([m.usefulness for m in models])),
        )
