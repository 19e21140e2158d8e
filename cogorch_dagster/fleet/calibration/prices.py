"""Prices of a model per token read and written, from what its attempts cost (non-negative least squares)."""

import numpy as np

from cogorch_dagster.fleet.calibration.durations import non_negative
from cogorch_dagster.fleet.calibration.found import Found, kept
from cogorch_dagster.fleet.calibration.frame import Frame

LEAST_ROWS = 50
FIELDS = ("usd_per_million_input", "usd_per_million_output")


def fit_prices(frame: Frame, model: int) -> Found:
    """Both prices in USD per million tokens; without 50 rows of cost and lengths the defaults stay."""
    rows = frame.rows
    chosen = (rows.model == model) & np.isfinite(rows.cost_usd)
    priced = int(chosen.sum())
    rows = rows.take(chosen & np.isfinite(rows.input_tokens) & np.isfinite(rows.output_tokens))
    if len(rows) < LEAST_ROWS:
        why = f"{priced:,} attempts with a cost in USD, {len(rows):,} of them with lengths, {LEAST_ROWS} are needed"
        return kept(FIELDS, why)
    # Relative errors, so that the dearest requests do not decide alone.
    scale = np.sqrt(rows.weight) / np.maximum(rows.cost_usd, max(float(rows.cost_usd.mean()) * 0.05, 1e-12))
    columns = np.stack([rows.input_tokens, rows.output_tokens], axis=1)
    size = np.maximum(columns.max(axis=0), 1.0)
    prices = np.minimum(non_negative(columns / size * scale[:, None], rows.cost_usd * scale) / size * 1e6, 1e9)
    left = np.abs(columns @ prices / 1e6 - rows.cost_usd).sum() / max(float(rows.cost_usd.sum()), 1e-12)
    warnings: tuple[str, ...] = ()
    if left > 0.1:
        name = frame.models[model].name
        warnings = (f"prices per token explain the cost of {name} only to {left:.0%}: it is billed otherwise",)
    said = f"observations: {len(rows):,} attempts"
    return Found(dict(zip(FIELDS, map(float, prices), strict=True)), dict.fromkeys(FIELDS, said), warnings)
