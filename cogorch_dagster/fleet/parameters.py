"""What a simulated fleet is made of: models, tenants, traffic; with defaults for where there are no data.

Every value has a unit and a range here. Where values come from observations is `calibration/`; what the agents
may change while the fleet runs is `knobs.py`.
"""

from math import cos, exp, pi
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cogorch_dagster.policies.document import digest

MODELS = 3
TENANTS = 4
HOURS = 24

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=1e9)]
NonNegative = Annotated[float, Field(ge=0, le=1e9)]


class Parameters(BaseModel):
    """Base of the parts: immutable, no unknown names, finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Lengths(Parameters):
    """Tokens of a request, log-normal: `exp(mu + sigma z)`."""

    mu: float = Field(ge=0, le=16, description="Mean of ln(tokens).")
    sigma: float = Field(ge=0, le=4, description="Standard deviation of ln(tokens).")

    @property
    def mean(self) -> float:
        """Mean number of tokens."""
        return exp(self.mu + self.sigma**2 / 2)


class ModelParameters(Parameters):
    """A class of models: how long it works on a request, how often it fails, what it costs.

    Alone on a replica, a request takes `overhead_ms + prefill_ms_per_token * input + decode_ms_per_token * output`,
    times a log-normal residual. With b requests in work at once on a replica, each takes `1 + batch_slowdown * (b - 1)`
    times as long: the iteration of continuous batching grows linearly with the batch.
    """

    name: str = Field(min_length=1, max_length=200)
    overhead_ms: NonNegative
    prefill_ms_per_token: NonNegative
    decode_ms_per_token: NonNegative
    residual_sigma: float = Field(ge=0, le=3, description="Of ln(duration) around its mean given the lengths.")
    batch_slowdown: float = Field(ge=0, le=1, description="Relative increase of the duration per further request.")
    slots: int = Field(ge=1, le=1024, description="Requests that a replica can work on at once.")
    failure_rate: Probability = Field(description="Share of attempts that end in an error while the model is well.")
    usefulness: Probability = Field(description="Share of answers without an error that are of use to their tenant.")
    degraded_failure_rate: Probability = Field(description="Share of attempts that end in an error in an incident.")
    degraded_slowdown: float = Field(ge=1, le=100, description="Factor on the duration in an incident.")
    incidents_per_day: float = Field(ge=0, le=1000)
    incident_minutes: Positive
    usd_per_million_input: NonNegative
    usd_per_million_output: NonNegative
    usd_per_replica_hour: NonNegative
    max_replicas: int = Field(ge=1, le=10_000)
    startup_seconds: float = Field(ge=0, le=3600, description="From the order of a replica until it serves.")


class TenantParameters(Parameters):
    """Whose requests: how many, when, how long. A tenant without traffic has rate 0."""

    name: str = Field(min_length=1, max_length=200)
    requests_per_second: NonNegative = Field(description="Mean over a day, outside of bursts.")
    hourly_shape: tuple[NonNegative, ...] = Field(
        min_length=HOURS, max_length=HOURS, description="Factor on the rate by hour of the day (UTC), mean 1."
    )
    dispersion: float = Field(ge=1, le=1e6, description="Variance over mean of the requests in a minute; Poisson: 1.")
    burst_factor: float = Field(ge=1, le=100, description="Factor on the rate in a burst.")
    bursts_per_day: float = Field(ge=0, le=1000)
    burst_minutes: Positive
    input_tokens: Lengths
    output_tokens: Lengths

    @model_validator(mode="after")
    def _check(self) -> Self:
        mean = sum(self.hourly_shape) / HOURS
        if abs(mean - 1) > 1e-6:
            raise ValueError(f"hourly_shape of tenant {self.name} has mean {mean:.9g}; it must be 1 (within 1e-6)")
        return self


class FleetParameters(Parameters):
    """A fleet of three classes of models for four groups of tenants, and what is promised to them.

    `origin` says of each value that did not keep its default where it comes from, by its dotted path.
    """

    models: tuple[ModelParameters, ...] = Field(min_length=MODELS, max_length=MODELS)
    tenants: tuple[TenantParameters, ...] = Field(min_length=TENANTS, max_length=TENANTS)
    slo_ms: Positive = Field(default=8000.0, description="A useful answer is good if it comes within this time.")
    min_useful: Probability = Field(default=0.9, description="Promise: share of requests that get a useful answer.")
    max_slow: Probability = Field(default=0.1, description="Promise: share of answers that take longer than slo_ms.")
    budget_usd: Positive = Field(default=0.006, description="Promise: cost of a useful answer, replicas included.")
    max_unfairness: Probability = Field(
        default=0.1, description="Promise: largest difference between two tenants' shares of good answers."
    )
    step_seconds: Positive = Field(default=60.0, description="Between two decisions of the agents.")
    horizon: int = Field(default=240, ge=1, le=100_000, description="Steps of an episode, which is then cut off.")
    retry_share: Probability = Field(default=0.7, description="Share of failed attempts that are tried once more.")
    origin: dict[str, str] = Field(default={})

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the canonical JSON of all values."""
        return digest(self.model_dump(mode="json"))


def _daily(peak_hour: int, depth: float) -> tuple[float, ...]:
    return tuple(1 + depth * cos(2 * pi * (hour - peak_hour) / HOURS) for hour in range(HOURS))


def default_parameters() -> FleetParameters:
    """The documented defaults: chat-like traffic on three classes of models, some 12 requests a second at the mean.

    Token lengths are of the order of the public Azure LLM traces (conversation: median about 1,000 tokens in and 130
    out; code: 1,500 in and 10 out); prices are those of small, medium and large hosted models in order of magnitude.
    """
    return FleetParameters(
        models=(
            ModelParameters(
                name="small",
                overhead_ms=120,
                prefill_ms_per_token=0.05,
                decode_ms_per_token=6,
                residual_sigma=0.25,
                batch_slowdown=0.05,
                slots=12,
                failure_rate=0.01,
                usefulness=0.88,
                degraded_failure_rate=0.25,
                degraded_slowdown=2.0,
                incidents_per_day=1,
                incident_minutes=20,
                usd_per_million_input=0.1,
                usd_per_million_output=0.4,
                usd_per_replica_hour=2.0,
                max_replicas=10,
                startup_seconds=120,
            ),
            ModelParameters(
                name="medium",
                overhead_ms=200,
                prefill_ms_per_token=0.12,
                decode_ms_per_token=12,
                residual_sigma=0.3,
                batch_slowdown=0.06,
                slots=10,
                failure_rate=0.01,
                usefulness=0.95,
                degraded_failure_rate=0.25,
                degraded_slowdown=2.0,
                incidents_per_day=1,
                incident_minutes=20,
                usd_per_million_input=0.6,
                usd_per_million_output=2.4,
                usd_per_replica_hour=5.0,
                max_replicas=10,
                startup_seconds=180,
            ),
            ModelParameters(
                name="large",
                overhead_ms=300,
                prefill_ms_per_token=0.3,
                decode_ms_per_token=25,
                residual_sigma=0.35,
                batch_slowdown=0.08,
                slots=8,
                failure_rate=0.015,
                usefulness=0.98,
                degraded_failure_rate=0.25,
                degraded_slowdown=2.0,
                incidents_per_day=1.5,
                incident_minutes=20,
                usd_per_million_input=2.5,
                usd_per_million_output=10,
                usd_per_replica_hour=12.0,
                max_replicas=10,
                startup_seconds=300,
            ),
        ),
        tenants=(
            TenantParameters(
                name="chat",
                requests_per_second=5,
                hourly_shape=_daily(15, 0.5),
                dispersion=2,
                burst_factor=2,
                bursts_per_day=6,
                burst_minutes=15,
                input_tokens=Lengths(mu=6.9, sigma=0.9),
                output_tokens=Lengths(mu=4.9, sigma=0.8),
            ),
            TenantParameters(
                name="code",
                requests_per_second=4,
                hourly_shape=_daily(12, 0.7),
                dispersion=3,
                burst_factor=2.5,
                bursts_per_day=8,
                burst_minutes=10,
                input_tokens=Lengths(mu=7.3, sigma=0.8),
                output_tokens=Lengths(mu=2.6, sigma=0.9),
            ),
            TenantParameters(
                name="batch",
                requests_per_second=2,
                hourly_shape=_daily(2, 0.6),
                dispersion=8,
                burst_factor=5,
                bursts_per_day=10,
                burst_minutes=12,
                input_tokens=Lengths(mu=7.6, sigma=0.6),
                output_tokens=Lengths(mu=5.6, sigma=0.6),
            ),
            TenantParameters(
                name="support",
                requests_per_second=1,
                hourly_shape=_daily(10, 0.6),
                dispersion=1.5,
                burst_factor=2,
                bursts_per_day=4,
                burst_minutes=20,
                input_tokens=Lengths(mu=6.2, sigma=0.7),
                output_tokens=Lengths(mu=4.4, sigma=0.7),
            ),
        ),
    )
