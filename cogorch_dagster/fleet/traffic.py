"""What happens to a fleet from outside: requests by hour and burst, incidents of models, and the draws behind them.

Draws come from a counter-based generator keyed by (seed, step), so that they do not depend on what anybody does:
two fleets of the same scenario meet the same requests and incidents whatever their agents decide.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray

from cogorch_dagster.fleet.parameters import HOURS, MODELS, TENANTS, FleetParameters

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

DAY_S = 86_400.0
# Episodes differ in the level of traffic and in its mix: standard deviations of ln(factor).
LEVEL_SIGMA = 0.25
MIX_SIGMA = 0.3


@dataclass(frozen=True)
class Draws:
    """Random numbers of one step for S scenarios."""

    arrivals: Floats  # normal [T, S]
    work: Floats  # normal [T, S]
    measured: Floats  # normal [T, S]
    bursts: Floats  # uniform [T, S]
    incidents: Floats  # uniform [M, S]


@dataclass
class Traffic:
    """State of what comes from outside, per fleet."""

    hour: Floats  # [B], 0..24
    level: Floats  # [T, B], factor of the episode on the rate
    burst: Booleans  # [T, B]
    incident: Booleans  # [M, B]


def generator(seed: int, step: int, purpose: int) -> Generator:
    """The generator of one step; `purpose` keeps steps and beginnings of episodes apart."""
    return Generator(Philox(key=np.array([seed & (2**64 - 1), purpose], dtype=np.uint64), counter=step << 64))


def draw_step(seed: int, step: int, scenarios: int) -> Draws:
    """The draws of a step."""
    rng = generator(seed, step, 0)
    normal = rng.standard_normal((3, TENANTS, scenarios))
    uniform = rng.random((TENANTS + MODELS, scenarios))
    return Draws(normal[0], normal[1], normal[2], uniform[:TENANTS], uniform[TENANTS:])


@dataclass(frozen=True)
class Processes:
    """Rates of the traffic's processes, ready for arrays."""

    rate: Floats  # [T, 1] requests per second
    shape: Floats  # [T, 24]
    dispersion: Floats  # [T, 1]
    burst_factor: Floats  # [T, 1]
    burst_begins: Floats  # [T, 1] probability per step
    burst_ends: Floats
    incident_begins: Floats  # [M, 1]
    incident_ends: Floats
    step_seconds: float

    @classmethod
    def of(cls, parameters: FleetParameters) -> "Processes":
        step = parameters.step_seconds

        def column(values: list[float]) -> Floats:
            return np.array(values, dtype=np.float64)[:, None]

        tenants, models = parameters.tenants, parameters.models
        return cls(
            rate=column([each.requests_per_second for each in tenants]),
            shape=np.array([each.hourly_shape for each in tenants]),
            # Beyond a minute the excess over Poisson is taken as independent from minute to minute.
            dispersion=column([each.dispersion for each in tenants]),
            burst_factor=column([each.burst_factor for each in tenants]),
            burst_begins=column([min(each.bursts_per_day * step / DAY_S, 1.0) for each in tenants]),
            burst_ends=column([min(step / (each.burst_minutes * 60), 1.0) for each in tenants]),
            incident_begins=column([min(each.incidents_per_day * step / DAY_S, 1.0) for each in models]),
            incident_ends=column([min(step / (each.incident_minutes * 60), 1.0) for each in models]),
            step_seconds=step,
        )

    def begin(self, seed: int, step: int, scenarios: int, *, vary: bool) -> Traffic:
        """The traffic at the beginning of an episode: any hour, bursts and incidents as often as in the long run."""
        rng = generator(seed, step, 1)
        hour = rng.random(scenarios) * HOURS
        level, mix = rng.standard_normal(scenarios), rng.standard_normal((TENANTS, scenarios))
        uniform = rng.random((TENANTS + MODELS, scenarios))
        factor = np.exp(LEVEL_SIGMA * level + MIX_SIGMA * mix - (LEVEL_SIGMA**2 + MIX_SIGMA**2) / 2)
        burst_share = self.burst_begins / np.maximum(self.burst_begins + self.burst_ends, 1e-12)
        incident_share = self.incident_begins / np.maximum(self.incident_begins + self.incident_ends, 1e-12)
        return Traffic(
            hour=hour,
            level=factor if vary else np.ones((TENANTS, scenarios)),
            burst=uniform[:TENANTS] < burst_share,
            incident=uniform[TENANTS:] < incident_share,
        )

    def rates(self, traffic: Traffic) -> Floats:
        """Expected requests per second of each tenant now, [T, B]; hours are joined by straight lines."""
        position = traffic.hour % HOURS
        before = position.astype(np.int64) % HOURS
        part = position - np.floor(position)
        shape = self.shape[:, before] * (1 - part) + self.shape[:, (before + 1) % HOURS] * part
        burst = np.where(traffic.burst, self.burst_factor, 1.0)
        return self.rate * shape * traffic.level * burst

    def advance(self, traffic: Traffic, draws: Draws) -> Traffic:
        """Time goes on by a step: bursts and incidents begin and end."""
        burst = np.where(traffic.burst, draws.bursts >= self.burst_ends, draws.bursts < self.burst_begins)
        incident = np.where(
            traffic.incident, draws.incidents >= self.incident_ends, draws.incidents < self.incident_begins
        )
        hour = (traffic.hour + self.step_seconds / 3600) % HOURS
        return Traffic(hour, traffic.level, burst, incident)

    def requests(self, rates: Floats, draws: Draws) -> Floats:
        """Requests of a step, [T, B], as a real number with the mean and variance of the counts."""
        mean = rates * self.step_seconds
        return np.maximum(mean + np.sqrt(self.dispersion * mean) * draws.arrivals, 0.0)
