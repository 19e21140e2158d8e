"""How long a model works on a request: fixed part, per token read, per token written, and slower in company.

`work = (overhead + prefill * input + decode * output) * (1 + slowdown * (b - 1)) * residual`, with a log-normal
residual of mean 1 and b requests in work at once on the replica. Weights 1 / prediction^2 (the variance grows with the
square of the mean), found by repetition; coefficients by non-negative least squares (Lawson and Hanson, 1974).
Only successes count: a timeout says no more than that it took longer, which a warning names when it is common.
"""

import numpy as np

from cogorch_dagster.fleet.calibration.failures import Incidents
from cogorch_dagster.fleet.calibration.found import Found, kept
from cogorch_dagster.fleet.calibration.frame import Floats, Frame, Rows
from cogorch_dagster.fleet.parameters import ModelParameters

LEAST_ROWS = 50
TURNS = 8
# A row this many times above its prediction counts as that much (winsorised): hiccups are not the model's work.
MOST_RATIO = 6.0
# Timeouts above this share make durations too short to be called good.
MOST_TIMEOUTS = 0.02
# The slowdown must be this many standard errors above 0, or so well known that even the default would be.
LEAST_T = 4.0
PRIOR_ROWS = 20.0
COEFFICIENTS = ("overhead_ms", "prefill_ms_per_token", "decode_ms_per_token")
FIELDS = (*COEFFICIENTS, "residual_sigma", "batch_slowdown", "degraded_slowdown")


def durations_of(rows: Rows, model: int) -> Rows:
    """The attempts of a model that ended well and took a time."""
    return rows.take((rows.model == model) & (rows.outcome == 0) & np.isfinite(rows.work_ms) & (rows.work_ms > 0))


def fit_durations(frame: Frame, model: int, base: ModelParameters, incidents: Incidents) -> Found:
    """The six values of `FIELDS`; under 50 successes with a duration the defaults stay."""
    all_rows = durations_of(frame.rows, model)
    ill = incidents.probability[all_rows.minute] > 0.5
    rows = all_rows.take(~ill)
    if len(rows) < LEAST_ROWS:
        return kept(FIELDS, f"{len(rows)} successes with a duration, {LEAST_ROWS} are needed")
    columns = design(rows)
    coefficients, prediction = _coefficients(columns, rows.work_ms, rows.weight)
    said = f"observations: {len(rows):,} successes"
    values = dict(zip(COEFFICIENTS, map(float, coefficients), strict=True))
    origin = dict.fromkeys(values, said)
    for column, field in ((1, "prefill_ms_per_token"), (2, "decode_ms_per_token")):
        if not columns[:, column].any():
            origin[field] = f"{said}, without {'input' if column == 1 else 'output'} tokens: all is in overhead_ms"
    slowdown = 0.0
    company = _company(columns, rows, coefficients, base.batch_slowdown)
    if company is None:
        known = np.isfinite(rows.concurrency).any()
        why = (
            "company too alike to tell what it does"
            if known
            else "replicas of the models not given, so company is unknown"
        )
        origin["batch_slowdown"] = f"default: {why}; overhead_ms and times per token hold at the mean load"
    else:
        coefficients, slowdown = company
        prediction = columns @ coefficients * _stretch(rows, slowdown)
        values |= dict(zip(COEFFICIENTS, map(float, coefficients), strict=True)) | {"batch_slowdown": slowdown}
        origin["batch_slowdown"] = said
    ratio = rows.work_ms / np.maximum(prediction, 1e-6)
    logs = np.log(np.clip(ratio, 1e-3, 1e3))
    centre = np.average(logs, weights=rows.weight)
    values["residual_sigma"] = min(float(np.sqrt(np.average((logs - centre) ** 2, weights=rows.weight))), 3.0)
    origin["residual_sigma"] = said
    slow = all_rows.take(ill)
    expected = np.maximum(design(slow) @ coefficients * _stretch(slow, slowdown), 1e-6) if len(slow) else np.empty(0)
    slower = np.clip(slow.work_ms / expected, 0.0, 100.0).sum() + base.degraded_slowdown * PRIOR_ROWS
    values["degraded_slowdown"] = float(np.clip(slower / (len(slow) + PRIOR_ROWS), 1.0, 100.0))
    origin["degraded_slowdown"] = f"observations: {len(slow):,} successes in incidents, drawn towards the default"
    late = float(frame.timeouts[model])
    warnings: tuple[str, ...] = ()
    if late > MOST_TIMEOUTS:
        name = frame.models[model].name
        warnings = (f"{late:.1%} of the attempts of {name} timed out; its durations are too short by their tail",)
    return Found(values, origin, warnings)


def _stretch(rows: Rows, slowdown: float) -> Floats:
    stretch: Floats = 1 + slowdown * (np.where(np.isfinite(rows.concurrency), rows.concurrency, 1.0) - 1)
    return stretch


def design(rows: Rows) -> Floats:
    """Columns 1, input and output tokens [N, 3]; a length that most rows lack is left out as zeros."""
    columns = [np.ones(len(rows))]
    for values in (rows.input_tokens, rows.output_tokens):
        known = np.isfinite(values)
        mean = values[known].mean() if known.any() else 0.0
        columns.append(np.where(known, values, mean) if known.mean() > 0.8 else np.zeros(len(rows)))
    return np.stack(columns, axis=1)


def non_negative(columns: Floats, target: Floats) -> Floats:
    """Least squares of `columns` [N, K] on `target` [N] without negative coefficients [K]."""
    from scipy.optimize import nnls

    # The triangle of the QR decomposition has the same solution, whatever N is.
    orthogonal, triangle = np.linalg.qr(columns)
    coefficients: Floats = nnls(triangle, orthogonal.T @ target)[0]
    return coefficients


def _coefficients(columns: Floats, work: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Coefficients [3] and predictions [N]."""
    prediction = np.full(len(work), float(np.average(work, weights=weight)))
    # Columns of one size each, as the solver's tolerance is absolute.
    size = np.maximum(columns.max(axis=0), 1e-9)
    coefficients = np.zeros(columns.shape[1])
    for _ in range(TURNS):
        scale = np.sqrt(weight) / prediction
        target = np.minimum(work, MOST_RATIO * prediction)
        coefficients = non_negative(columns / size * scale[:, None], target * scale) / size
        # A floor, as the smallest prediction would otherwise have all the weight.
        prediction = np.maximum(columns @ coefficients, 0.05 * np.average(work, weights=weight))
    return coefficients, prediction


def _company(columns: Floats, rows: Rows, start: Floats, default: float) -> tuple[Floats, float] | None:
    """Coefficients and slowdown from rows whose company is known, in turn; None where it is not found."""
    known = np.isfinite(rows.concurrency)
    if known.sum() < LEAST_ROWS or known.mean() < 0.8 or np.std(rows.concurrency[known]) < 0.1:
        return None
    others, work, weight = rows.concurrency[known] - 1, rows.work_ms[known], rows.weight[known]
    part, coefficients, slowdown, error = columns[known], start, 0.0, np.inf
    for _ in range(4 * TURNS):
        alone = np.maximum(part @ coefficients, 1e-6)
        # E[work / alone] = level (1 + slowdown * others): the level keeps the step from being damped by the other fit.
        scale = np.sqrt(weight) / (1 + slowdown * others)
        left = np.stack([scale, others * scale], axis=1)
        right = np.minimum(work / alone, MOST_RATIO * (1 + slowdown * others)) * scale
        (level, slope), *_ = np.linalg.lstsq(left, right, rcond=None)
        slowdown = float(np.clip(slope / max(level, 1e-6), 0.0, 1.0))
        residual = right - left @ np.array([level, slope])
        error = float(np.sqrt(np.linalg.pinv(left.T @ left)[1, 1] * residual.var())) / max(float(level), 1e-6)
        coefficients = _coefficients(part, work / (1 + slowdown * others), weight)[0]
    return (coefficients, slowdown) if max(slowdown, default) > LEAST_T * error else None
