"""Token lengths of a tenant: a log-normal, each request weighted by what it stands for.

That of greatest likelihood, unless real lengths, cut off by a context window say, are so unlike one that its mean is
off by more than a quarter: then the log-normal with mean and variance of the data, which load and cost follow.
"""

import numpy as np

from cogorch_dagster.fleet.calibration.found import Found, kept
from cogorch_dagster.fleet.calibration.frame import Floats, Frame
from cogorch_dagster.fleet.parameters import Lengths

LEAST_ROWS = 50
# The mean of the likelier log-normal may be off by so much before moments are preferred.
MOST_OFF = 0.25


def fit_lengths(frame: Frame, tenant: int) -> Found:
    """`input_tokens` of first attempts and `output_tokens` of their successes; under 50 rows the default stays."""
    return _fit("input_tokens", *lengths_of(frame, tenant, "input_tokens")) | _fit(
        "output_tokens", *lengths_of(frame, tenant, "output_tokens")
    )


def lengths_of(frame: Frame, tenant: int, column: str) -> tuple[Floats, Floats]:
    """Lengths [N] and weights [N] of a tenant's requests that have one; an empty answer counts as one token."""
    rows = frame.rows
    values: Floats = getattr(rows, column)
    chosen = (rows.tenant == tenant) & rows.first & np.isfinite(values)
    if column == "output_tokens":
        chosen &= rows.outcome == 0
    return np.maximum(values[chosen], 1.0), rows.weight[chosen]


def _fit(field: str, values: Floats, weight: Floats) -> Found:
    if len(values) < LEAST_ROWS:
        return kept((field,), f"{len(values)} requests with {field}, {LEAST_ROWS} are needed")
    likely, moments = _by_likelihood(values, weight), _by_moments(values, weight)
    by_moments = abs(likely.mean / moments.mean - 1) > MOST_OFF
    how = "by mean and variance" if by_moments else "by likelihood"
    said = f"observations: {len(values):,} requests, {how}"
    return Found({field: moments if by_moments else likely}, {field: said})


def _by_likelihood(values: Floats, weight: Floats) -> Lengths:
    logs = np.log(values)
    mu = float(np.average(logs, weights=weight))
    sigma = float(np.sqrt(np.average((logs - mu) ** 2, weights=weight)))
    return Lengths(mu=min(mu, 16.0), sigma=min(sigma, 4.0))


def _by_moments(values: Floats, weight: Floats) -> Lengths:
    mean = float(np.average(values, weights=weight))
    square = float(np.log1p(np.average((values / mean - 1) ** 2, weights=weight)))
    return Lengths(mu=float(np.clip(np.log(mean) - square / 2, 0.0, 16.0)), sigma=min(square**0.5, 4.0))
