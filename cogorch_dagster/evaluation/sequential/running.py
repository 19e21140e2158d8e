"""An interval as it ran: what would have been seen at every look at one stream, or at thousands of streams at once.

Here: looks over recorded values, for pictures, simulations and planning. Not here: the verdict on data at hand
(`verdict`).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.sequential import means
from cogorch_dagster.evaluation.sequential.boundary import Floats
from cogorch_dagster.evaluation.sequential.judgement import Verdict
from cogorch_dagster.evaluation.sequential.means import Arm, Covariates
from cogorch_dagster.evaluation.sequential.verdict import TARGET_SIZE, classify


@dataclass(frozen=True, eq=False)
class Running:
    """The difference treatment minus control at each look; looks are the last axis, streams the ones before.

    Attributes:
        looks: observations of both arms at each look.
        n_control, n_treatment, estimate, lower, upper: at each look; infinite ends below the minimum per arm.
        minimum_effect: least difference that matters.
    """

    looks: NDArray[np.int64]
    n_control: Floats
    n_treatment: Floats
    estimate: Floats
    lower: Floats
    upper: Floats
    minimum_effect: float

    @property
    def verdicts(self) -> NDArray[np.str_]:
        """The reward's verdict at each look, as values of `Verdict`."""
        return classify(self.estimate, self.lower, self.upper, self.minimum_effect)

    def first(self, *verdicts: Verdict) -> Floats:
        """Observations at the first look with one of the verdicts; infinite where there is none."""
        hit = np.isin(self.verdicts, [each.value for each in verdicts])
        return np.where(hit.any(-1), self.looks[hit.argmax(-1)], np.inf)

    def misses(self, truth: float) -> NDArray[np.bool_]:
        """Whether the interval excluded the true difference at any look."""
        return np.asarray(((self.lower > truth) | (self.upper < truth)).any(-1))


def watch(
    values: Floats,
    treated: NDArray[np.bool_],
    *,
    expected_share: float,
    every: int = 100,
    covariate: Floats | None = None,
    minimum_effect: float = 0.01,
    minimum_per_arm: int = 50,
    alpha: float = 0.05,
    target_size: int = TARGET_SIZE,
    span: float = 1.0,
) -> Running:
    """Look at recorded values after every `every` observations, as `verdict.judge` would have without guardrails.

    Args:
        values: in order of arrival on the last axis.
        treated: which arm each belongs to; same shape, as has `covariate`.

    Raises:
        InvalidInput: shapes differ, or there are fewer than `every` observations.
    """
    shapes = {np.shape(values), np.shape(treated), np.shape(values if covariate is None else covariate)}
    if len(shapes) > 1:
        raise InvalidInput(f"values, treated and covariate must have one shape, got {sorted(shapes)}")
    if not 1 <= every <= np.shape(values)[-1]:
        raise InvalidInput(f"every must lie between 1 and the {np.shape(values)[-1]} observations, got {every}")
    # Moments do not depend on the origin, but sums of squares lose digits far from it.
    shifted = values - values.mean(-1, keepdims=True)
    x = None if covariate is None else covariate - covariate.mean(-1, keepdims=True)
    treatment, control = (_arm(mask.astype(np.float64), shifted, x, every) for mask in (treated, ~treated))
    target = means.target_information(target_size, expected_share, minimum_per_arm)
    difference = means.difference(control, treatment, target=target, span=span)
    lower, upper = difference.interval(alpha)
    n_control, n_treatment = control.n[..., 0], treatment.n[..., 0]
    enough = np.minimum(n_control, n_treatment) >= minimum_per_arm
    return Running(
        looks=np.arange(1, n_control.shape[-1] + 1) * every,
        n_control=n_control,
        n_treatment=n_treatment,
        estimate=difference.estimate,
        lower=np.where(enough, lower, -np.inf),
        upper=np.where(enough, upper, np.inf),
        minimum_effect=minimum_effect,
    )


def _arm(mask: Floats, y: Floats, x: Floats | None, every: int) -> Arm:
    """Moments of the observations under the mask up to each look, with a last axis of one step."""

    def total(terms: Floats) -> Floats:
        looks = terms.shape[-1] // every
        blocks = terms[..., : looks * every].reshape(*terms.shape[:-1], looks, every)
        return np.asarray(blocks.sum(-1).cumsum(-1)[..., None], dtype=np.float64)

    n, y = total(mask), mask * y
    size, degrees = np.maximum(n, 1.0), np.maximum(n - 1, 1.0)
    mean = total(y) / size
    variance = np.maximum(total(y * y) - n * mean**2, 0.0) / degrees
    if x is None:
        return Arm(n, mean, variance)
    x = mask * x
    x_mean = total(x) / size
    x_variance = np.maximum(total(x * x) - n * x_mean**2, 0.0) / degrees
    return Arm(n, mean, variance, Covariates(x_mean, x_variance, (total(x * y) - n * x_mean * mean) / degrees))


def plot(running: Running, path: Path, *, title: str = "Difference in reward, treatment minus control") -> Path:
    """Draw one stream's estimate and interval over the looks; the suffix of `path` chooses the format.

    Raises:
        InvalidInput: several streams at once.
    """
    if running.estimate.ndim != 1:
        raise InvalidInput(f"a plot shows one stream, got an array of shape {running.estimate.shape[:-1]} of them")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 3.5), layout="constrained")
    axes = figure.subplots()
    shown = np.isfinite(running.lower) & np.isfinite(running.upper)
    axes.axhspan(-running.minimum_effect, running.minimum_effect, color="0.9", label="less than the minimum effect")
    axes.axhline(0.0, color="0.5", linewidth=0.8)
    axes.fill_between(
        running.looks[shown], running.lower[shown], running.upper[shown], alpha=0.3, label="always-valid interval"
    )
    axes.plot(running.looks[shown], running.estimate[shown], label="estimate")
    stop = float(running.first(Verdict.better, Verdict.worse, Verdict.equivalent))
    if np.isfinite(stop):
        verdict = running.verdicts[np.searchsorted(running.looks, stop)]
        axes.axvline(stop, color="0.2", linestyle="--", linewidth=1.0, label=f"{verdict} after {stop:,.0f}")
    axes.set(title=title, xlabel="observations of both arms", ylabel="difference")
    axes.legend(loc="best", fontsize="small")
    figure.savefig(path)
    return path
