"""How well rewards are predicted that the prediction has not seen: error, explained share, calibration, with intervals.

Rewards of neighbouring decisions are alike, so that intervals come from whole stretches of time: the statistic is
computed again without each of 20 of them, and Student's t with 19 degrees of freedom holds for the spread (the
delete-a-group jackknife; Shao and Tu 1995, section 2.3).
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.intervals import quantile
from cogorch_dagster.evaluation.patterns import Floats

GROUPS = 20
FEWEST = 5 * GROUPS
"""Decisions below which nothing is said."""
BINS = 10
_LEAST = 1e-12
_FLAT = 1e-6
"""Variance of predictions below which they have no slope."""


@dataclass(frozen=True)
class Figure:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


@dataclass(frozen=True)
class Quality:
    """Of predictions, and of the simplest ones beside them: the mean reward of the arm that was drawn.

    Attributes:
        rmse, rmse_by_arm: root of the mean squared error, in units of the reward.
        r2, r2_by_arm: explained share of the variance; below 0 where the plain mean would have been better.
        saved: share of the squared error of the means by arm that the predictions save.
        bias: mean of what was observed less what was predicted.
        slope: of what was observed by what was predicted, 1 where it is calibrated; 1 too where predictions are all
            the same.
    """

    decisions: int
    rmse: Figure
    rmse_by_arm: Figure
    r2: Figure
    r2_by_arm: Figure
    saved: Figure
    bias: Figure
    slope: Figure

    def metrics(self, prefix: str = "") -> dict[str, float]:
        """Every figure by its name, its interval's ends as `_low` and `_high`."""
        found: dict[str, float] = {f"{prefix}decisions": float(self.decisions)}
        for name, figure in asdict(self).items():
            if name != "decisions":
                found |= {
                    f"{prefix}{name}": figure["value"],
                    f"{prefix}{name}_low": figure["low"],
                    f"{prefix}{name}_high": figure["high"],
                }
        return found


def quality(observed: Floats, predicted: Floats, by_arm: Floats, weight: Floats) -> Quality:
    """Judge predictions of decisions in the order of time; every argument is (n,).

    Args:
        by_arm: the simpler predictions.
        weight: sample weight of each decision.

    Raises:
        InvalidInput: fewer than 100 decisions.
    """
    w, y, q = weight, observed, predicted
    terms = np.stack([w, w * y, w * y * y, w * q, w * q * q, w * q * y, w * (y - q) ** 2, w * (y - by_arm) ** 2])
    sums = _sums(terms)

    def variance(s: Floats) -> Floats:
        return np.asarray(np.maximum(s[2] / s[0] - (s[1] / s[0]) ** 2, _LEAST))

    def slope(s: Floats) -> Floats:
        spread = s[4] / s[0] - (s[3] / s[0]) ** 2
        together = s[5] / s[0] - s[3] * s[1] / s[0] ** 2
        return np.asarray(np.divide(together, spread, out=np.ones_like(together), where=spread > _FLAT))

    return Quality(
        decisions=len(y),
        rmse=_figure(sums, lambda s: np.sqrt(s[6] / s[0])),
        rmse_by_arm=_figure(sums, lambda s: np.sqrt(s[7] / s[0])),
        r2=_figure(sums, lambda s: 1.0 - s[6] / s[0] / variance(s)),
        r2_by_arm=_figure(sums, lambda s: 1.0 - s[7] / s[0] / variance(s)),
        saved=_figure(sums, lambda s: 1.0 - s[6] / np.maximum(s[7], _LEAST)),
        bias=_figure(sums, lambda s: (s[1] - s[3]) / s[0]),
        slope=_figure(sums, slope),
    )


def saved(observed: Floats, predicted: Floats, other: Floats, weight: Floats) -> Figure:
    """Share of the squared error of other predictions that these save, on the same decisions; as in `quality`."""
    terms = np.stack([weight * (observed - each) ** 2 for each in (predicted, other)])
    return _figure(_sums(terms), lambda s: 1.0 - s[0] / np.maximum(s[1], _LEAST))


@dataclass(frozen=True)
class Bin:
    """Decisions whose predictions are neighbours: the means of both, and the standard error of what was observed."""

    predicted: float
    observed: float
    se: float
    decisions: int


def bins(observed: Floats, predicted: Floats, weight: Floats) -> tuple[Bin, ...]:
    """Up to 10 bins of about as many decisions each, by rising prediction; equal predictions share a bin."""
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, BINS + 1)[1:-1])) if len(predicted) else np.empty(0)
    place = np.searchsorted(edges, predicted, side="right")
    found = []
    for number in np.unique(place):
        here = place == number
        w, y = weight[here], observed[here]
        mean = float(np.average(y, weights=w))
        se = float(np.sqrt(np.sum(w * w * (y - mean) ** 2)) / w.sum())
        found.append(Bin(float(np.average(predicted[here], weights=w)), mean, se, int(here.sum())))
    return tuple(found)


def _sums(terms: Floats) -> Floats:
    """(m, 1 + groups): the sums of (m, n) terms over all, then without each stretch of time."""
    n = terms.shape[1]
    if n < FEWEST:
        raise InvalidInput(f"{n} decisions; predictions are judged by at least {FEWEST}, so widen the period")
    total = terms.sum(axis=1, keepdims=True)
    begins = np.arange(GROUPS) * n // GROUPS
    return np.concatenate([total, total - np.add.reduceat(terms, begins, axis=1)], axis=1)


def _figure(sums: Floats, statistic: Callable[[Floats], Floats]) -> Figure:
    found = statistic(sums)
    value, without = float(found[0]), found[1:]
    se = float(np.sqrt((GROUPS - 1) / GROUPS * np.sum((without - without.mean()) ** 2)))
    margin = float(quantile(GROUPS)) * se
    return Figure(value, value - margin, value + margin)
