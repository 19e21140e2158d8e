"""Token lengths of a tenant: the log-normal of greatest likelihood, each request weighted by what it stands for."""

import numpy as np

from cogorch_dagster.fleet.calibration.found import Found, kept
from cogorch_dagster.fleet.calibration.frame import Floats, Frame
from cogorch_dagster.fleet.parameters import Lengths

LEAST_ROWS = 50


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
    logs = np.log(values)
    mu = float(np.average(logs, weights=weight))
    sigma = float(np.sqrt(np.average((logs - mu) ** 2, weights=weight)))
    found = Lengths(mu=min(mu, 16.0), sigma=min(sigma, 4.0))
    return Found({field: found}, {field: f"observations: {len(values):,} requests"})
