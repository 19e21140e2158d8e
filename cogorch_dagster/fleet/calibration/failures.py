"""Failures of a model: how often while it is well, how often in incidents, and how often and how long those are.

Failures among a minute's attempts are binomial; incidents are the second state of a hidden Markov chain. A timeout is
no failure here: the simulated fleet cuts off what takes too long by itself.
"""

from dataclasses import dataclass

import numpy as np

from cogorch_dagster.fleet.calibration import two_state
from cogorch_dagster.fleet.calibration.found import Found, kept
from cogorch_dagster.fleet.calibration.frame import Floats, Frame
from cogorch_dagster.fleet.parameters import ModelParameters

LEAST_ATTEMPTS = 50
# What counts as incidents: at least this rate, so many times that of well minutes, at most this share of the time.
LEAST_RATE, LEAST_FACTOR, MOST_SHARE = 0.05, 3.0, 0.3
# The defaults weigh as much as so many attempts, days and incidents of data.
PRIOR_ATTEMPTS, PRIOR_DAYS, PRIOR_INCIDENTS = 50.0, 1.0, 1.0
FIELDS = ("failure_rate", "degraded_failure_rate", "incidents_per_day", "incident_minutes")


@dataclass(frozen=True)
class Incidents:
    """Probability of an incident in each minute [n], and whether any were found."""

    found: bool
    probability: Floats


def fit_failures(frame: Frame, model: int, base: ModelParameters) -> tuple[Found, Incidents]:
    """The four values of `FIELDS`, drawn towards the defaults; under 50 attempts these stay."""
    n, failed = frame.attempts[model], frame.failures[model]
    none = Incidents(False, np.zeros(len(n)))
    total, minutes = float(n.sum()), int(frame.observed.sum())
    if total < LEAST_ATTEMPTS:
        return kept(FIELDS, f"{total:,.0f} attempts, {LEAST_ATTEMPTS} are needed"), none
    observed = n > 0
    overall = float(np.clip(failed.sum() / total, 1e-5, 1 - 1e-5))
    rates = [overall / 2, min(max(5 * overall, 0.25), 0.9)]

    def emission(second: Floats | None) -> Floats:
        if second is not None:
            for state, weight in enumerate((1 - second, second)):
                rates[state] = float(np.clip((weight * failed).sum() / max((weight * n).sum(), 1e-9), 1e-6, 1 - 1e-6))
        return np.stack([failed * np.log(rate) + (n - failed) * np.log1p(-rate) for rate in rates])

    begin, end = max(base.incidents_per_day, 1.0) / 1440, 1 / max(base.incident_minutes, 2.0)
    chain = two_state.fit(emission, begin, end, observed)
    plain = float((failed * np.log(overall) + (n - failed) * np.log1p(-overall)).sum())
    share = float((chain.second * frame.observed).sum() / max(minutes, 1))
    found = (
        chain.log_likelihood - plain > 3 * np.log(max(minutes, 2))
        and rates[1] >= max(LEAST_FACTOR * rates[0], LEAST_RATE)
        and share <= MOST_SHARE
    )
    second = chain.second * frame.observed if found else none.probability
    well, ill = 1 - second, second
    days, begins = minutes / 1440, chain.begins if found else 0.0

    def drawn(weight: Floats, default: float) -> float:
        return float(((weight * failed).sum() + default * PRIOR_ATTEMPTS) / ((weight * n).sum() + PRIOR_ATTEMPTS))

    values = {
        "failure_rate": drawn(well, base.failure_rate),
        "degraded_failure_rate": drawn(ill, base.degraded_failure_rate),
        "incidents_per_day": (begins + base.incidents_per_day * PRIOR_DAYS) / (days * (1 - share * found) + PRIOR_DAYS),
        "incident_minutes": float(second.sum() + base.incident_minutes * PRIOR_INCIDENTS) / (begins + PRIOR_INCIDENTS),
    }
    said = f"observations: {failed.sum():,.0f} failures in {total:,.0f} attempts, {begins:.0f} incidents"
    origin = dict.fromkeys(values, said + ", drawn towards the default")
    return Found(values, origin), Incidents(bool(found), second)
