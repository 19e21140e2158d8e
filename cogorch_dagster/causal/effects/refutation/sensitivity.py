"""How strong a hidden confounder would have to be.

E-value: VanderWeele and Ding (2017). Robustness value, and what a confounder as strong as a known control would do:
Cinelli and Hazlett (2020), sections 4.2 to 4.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cogorch_dagster.causal.effects.estimation.estimate import Fit, Floats, t_quantile
from cogorch_dagster.errors import InvalidInput

ACCEPTED = 0.05
"""A hidden confounder with 5 % of what is left of both is easily there; an estimate should withstand that."""
_RATIO_PER_DEVIATION = 0.91
"""VanderWeele and Ding (2017), table 2: a standardised difference d is a risk ratio of about exp(.91 d)."""


@dataclass(frozen=True)
class Benchmark:
    """What a confounder `times` as strong as a control would do.

    Attributes:
        of_treatment, of_outcome: partial R² that it would have with them.
        adjusted, interval: the estimate if it were there, working towards 0 and beyond.
        overturns: whether that interval no longer excludes 0 on the same side.
    """

    control: str
    times: float
    of_treatment: float
    of_outcome: float
    adjusted: float
    interval: tuple[float, float]
    overturns: bool


@dataclass(frozen=True, eq=False)
class Known:
    """Observed controls to measure a hidden confounder by: (n,) columns of the rows of the fit, (n, k) controls."""

    outcome: Floats
    treatment: Floats
    controls: Floats
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.controls.shape != (len(self.outcome), len(self.names)) or self.treatment.shape != self.outcome.shape:
            raise InvalidInput(f"controls {self.controls.shape} need one name each, {len(self.names)} are given")


@dataclass(frozen=True)
class Sensitivity:
    """The bound.

    Attributes:
        e_value, e_value_of_bound: risk ratio that a confounder must have with both treatment and outcome to bring the
            estimate, or the end of its interval next to 0, to 0; 1: none is needed. Of a binary treatment, or of one
            standard deviation of a continuous one.
        robustness, robustness_of_bound: share of what is left of treatment and of outcome that it must explain, 0 to 1.
        benchmarks: for each named control once, twice and three times as strong, the strongest control first.
        passed: the interval's end needs a robustness value of .05 at least.
        sentence: what that means.
    """

    e_value: float
    e_value_of_bound: float
    robustness: float
    robustness_of_bound: float
    benchmarks: tuple[Benchmark, ...]
    passed: bool
    sentence: str


def sensitivity(
    fit: Fit,
    *,
    contrast: float = 1.0,
    outcome_deviation: float | None = None,
    known: Known | None = None,
    times: Sequence[float] = (1.0, 2.0, 3.0),
) -> Sensitivity:
    """The bounds of an estimate.

    Args:
        contrast: change of the treatment that the E-value is about, in its units: 1 for treated against not, a standard
            deviation for a continuous treatment.
        outcome_deviation: standard deviation of the outcome; None: of what the controls leave of it.
        known: controls to measure a confounder by; None: no benchmarks.
        times: how many times as strong as each.
    """
    estimate = fit.estimate
    near = _near_zero(estimate.interval)
    scale, _ = _scale(fit)
    deviation = float(fit.outcome.std()) if outcome_deviation is None else outcome_deviation
    measured = () if known is None else benchmarks(fit, known, times)
    robustness, of_bound = robustness_value(abs(estimate.value), scale), robustness_value(near, scale)
    passed = of_bound >= ACCEPTED
    return Sensitivity(
        e_value(abs(estimate.value * contrast) / deviation if deviation > 0 else 0.0),
        e_value(near * abs(contrast) / deviation if deviation > 0 else 0.0),
        robustness,
        of_bound,
        measured,
        passed,
        _sentence(robustness, of_bound, measured),
    )


def e_value(standardised: float) -> float:
    """The E-value of a difference in standard deviations of the outcome, 1 and up."""
    ratio = float(np.exp(min(_RATIO_PER_DEVIATION * abs(standardised), 50.0)))
    return ratio + float((ratio * (ratio - 1.0)) ** 0.5)


def e_value_of_ratio(ratio: float) -> float:
    """The E-value of a risk ratio, for a binary outcome.

    Raises:
        InvalidInput: a ratio that is not positive.
    """
    if not ratio > 0:
        raise InvalidInput(f"risk ratio {ratio} must be positive")
    above = max(ratio, 1.0 / ratio)
    return above + float((above * (above - 1.0)) ** 0.5)


def robustness_value(effect: float, scale: float) -> float:
    """RV of Cinelli and Hazlett (2020), equation 18: equal partial R² with both that moves an estimate by `effect`.

    Args:
        scale: standard error of the estimate with equal variances times the square root of its degrees of freedom.
    """
    if effect <= 0:
        return 0.0
    if scale <= 0:
        return 1.0
    f = min(effect / scale, 1e6)
    return float(0.5 * ((f**4 + 4.0 * f**2) ** 0.5 - f**2)) if f < 1e3 else float(1.0 - 1.0 / f**2)


def bias(of_treatment: float, of_outcome: float, scale: float) -> float:
    """Largest bias of a confounder with these partial R² (ibid., equation 13)."""
    return float(scale * (of_outcome * of_treatment / (1.0 - of_treatment)) ** 0.5)


def contour(fit: Fit, strengths: Sequence[float]) -> Floats:
    """(k, k) the estimate moved towards 0 by a confounder with these partial R² with treatment (rows) and outcome.

    Raises:
        InvalidInput: a strength outside [0, 1).
    """
    r = np.asarray(strengths, dtype=np.float64)
    if r.ndim != 1 or (r < 0).any() or (r >= 1).any():
        raise InvalidInput("strengths must be partial R², each at least 0 and below 1")
    moved = _scale(fit)[0] * np.sqrt(np.outer(r / (1.0 - r), r))
    return np.asarray(fit.estimate.value - np.sign(fit.estimate.value) * moved)


def benchmarks(fit: Fit, known: Known, times: Sequence[float] = (1.0, 2.0, 3.0)) -> tuple[Benchmark, ...]:
    """For a confounder some times as strong as each control with treatment and outcome (ibid., section 4.4)."""
    of_treatment, of_outcome = _partial_r2(known)
    order = np.argsort(-of_treatment * of_outcome, kind="stable")
    found = (
        _benchmark(fit, known.names[j], k, float(of_treatment[j]), float(of_outcome[j])) for j in order for k in times
    )
    return tuple(each for each in found if each is not None)


def _benchmark(fit: Fit, name: str, k: float, d: float, y: float) -> Benchmark | None:
    """None where a confounder so strong cannot be: the treatment would be determined."""
    with_treatment = k * d / (1.0 - d) if d < 1.0 else 1.0
    if with_treatment >= 1.0 or k * d >= 1.0 or y >= 1.0:
        return None
    shared = k * d**2 / ((1.0 - k * d) * (1.0 - d))
    if shared >= 1.0:
        return None
    with_outcome = min(1.0, ((k**0.5 + shared**0.5) / (1.0 - shared) ** 0.5) ** 2 * y / (1.0 - y))
    estimate = fit.estimate
    scale, degrees = _scale(fit)
    sign = float(np.sign(estimate.value)) or 1.0
    adjusted = estimate.value - sign * bias(with_treatment, with_outcome, scale)
    # A confounder that explains the outcome also takes noise away, one that explains the treatment adds some.
    spread = ((1.0 - with_outcome) / (1.0 - with_treatment) * degrees / max(degrees - 1.0, 1.0)) ** 0.5
    half = t_quantile(estimate.degrees) * estimate.se * spread
    interval = (adjusted - half, adjusted + half)
    end = interval[0] if sign > 0 else -interval[1]
    return Benchmark(name, k, with_treatment, with_outcome, adjusted, interval, end <= 0)


def _partial_r2(known: Known) -> tuple[Floats, Floats]:
    """(k,) of each control with the treatment given the others, and with the outcome given the others and treatment."""
    k = known.controls.shape[1]
    of_treatment = _with_last(np.column_stack([known.controls, known.treatment]))
    of_outcome = _with_last(np.column_stack([known.controls, known.treatment, known.outcome]))
    return of_treatment, of_outcome[:k]


def _with_last(columns: Floats) -> Floats:
    """Squared partial correlations of each column but the last with the last, given all others."""
    precision = np.linalg.pinv(np.corrcoef(columns, rowvar=False), rcond=1e-10, hermitian=True)
    own = np.maximum(np.diag(precision), 1e-300)
    return np.asarray(precision[:-1, -1] ** 2 / (own[:-1] * own[-1]))


def _near_zero(interval: tuple[float, float]) -> float:
    """Distance from 0 of the end next to it; 0 where the interval holds 0."""
    return max(interval[0], -interval[1], 0.0) if np.isfinite(interval[0]) or np.isfinite(interval[1]) else 0.0


def _scale(fit: Fit) -> tuple[float, float]:
    """Standard error with equal variances times √degrees, and the degrees."""
    slope = float(fit.treatment @ fit.outcome / (fit.treatment @ fit.treatment))
    error = fit.outcome - slope * fit.treatment
    degrees = max(len(fit.outcome) - fit.parameters, 1)
    return float((error @ error / (fit.treatment @ fit.treatment)) ** 0.5), float(degrees)


def _sentence(robustness: float, of_bound: float, known: tuple[Benchmark, ...]) -> str:
    if of_bound == 0.0:
        return "The interval holds 0 already; no hidden confounder is needed for there to be no effect."
    said = (
        f"A hidden confounder would have to explain {of_bound:.1%} of what is left of both treatment and outcome to "
        f"make the interval reach 0, {robustness:.1%} to make the estimate 0."
    )
    strongest = next((each for each in known if each.times == 1.0), None)
    if strongest is None:
        return said
    outcome = "would overturn it" if strongest.overturns else "would not overturn it"
    return f"{said} One as strong as {strongest.control} {outcome}."
