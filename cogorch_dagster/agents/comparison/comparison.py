"""Is a controller better than a baseline? Differences and ratios over seeds that both met, with their intervals.

Resampling is `bootstrap.py`, where a metric means something only at equal success `equal_success.py`, the picture
`comparison_figure.py`. Each interval is about its own metric: twenty of them err more often than one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np

from cogorch_dagster.agents.comparison.better_share import paired_share, unpaired_share
from cogorch_dagster.agents.comparison.bootstrap import (
    LEVEL,
    RESAMPLES,
    Estimate,
    Floats,
    Statistic,
    interval,
    replicates,
    resampled,
    summarised,
)
from cogorch_dagster.errors import InvalidInput

# Which way a metric gets better.
Direction = Literal["lower", "higher"]


class Answer(StrEnum):
    """What the interval of a difference says about the treated controller."""

    better = "better"
    worse = "worse"
    undecided = "undecided"


@dataclass(frozen=True)
class Metric:
    """What is measured: its name, its unit and which way is better."""

    name: str
    unit: str
    direction: Direction


@dataclass(frozen=True)
class Comparison:
    """Two controllers in one metric.

    Attributes:
        seeds: how many both were measured on.
        statistic: over the seeds.
        level: of all intervals.
        baseline, treated: in the metric's unit.
        difference: treated minus baseline.
        relative: difference by baseline, as a share; None where some resample of the baseline is not above 0.
        probability: that the treated does better on a seed (Agarwal et al. 2021, section 4.3), a tie counted as half.
    """

    metric: Metric
    seeds: int
    statistic: Statistic
    level: float
    baseline: Estimate
    treated: Estimate
    difference: Estimate
    relative: Estimate | None
    probability: Estimate

    @property
    def improvement(self) -> Estimate | None:
        """The relative difference, positive where the treated is better: .25 is a latency that is 25 % lower."""
        if self.relative is None or self.metric.direction == "higher":
            return self.relative
        return self.relative.mirrored

    @property
    def answer(self) -> Answer:
        """Better or worse where the interval of the difference leaves out 0."""
        difference = self.difference if self.metric.direction == "higher" else self.difference.mirrored
        if difference.low > 0:
            return Answer.better
        return Answer.worse if difference.high < 0 else Answer.undecided

    @property
    def verdict(self) -> str:
        """One sentence for people."""
        name, unit, difference = self.metric.name, self.metric.unit, self.difference
        sizes = f"{self.treated.value:.4g} against {self.baseline.value:.4g} {unit}"
        if difference.low == difference.high == 0:
            return f"{name} no different: {sizes} on each of {self.seeds} seeds"
        way = "lower" if difference.value < 0 else "higher"
        if self.relative is not None:
            low, high = sorted((abs(self.relative.low), abs(self.relative.high)))
            size = f"{abs(self.relative.value):.1%}"
            ends = f"{low:.1%} to {high:.1%}"
            if self.relative.low < 0 < self.relative.high:
                ends = f"{self.relative.low:+.1%} to {self.relative.high:+.1%}"
        else:
            size = f"{abs(difference.value):.4g} {unit}"
            ends = f"{difference.low:+.4g} to {difference.high:+.4g}"
        known = {Answer.better: "better", Answer.worse: "worse", Answer.undecided: "not told apart"}[self.answer]
        return f"{name} {size} {way} ({self.level:.0%} interval {ends}; {sizes}; {self.seeds} seeds): {known}"


def compare(
    metric: Metric,
    baseline: Sequence[float] | Floats,
    treated: Sequence[float] | Floats,
    *,
    paired: bool = True,
    strata: Sequence[int] | None = None,
    statistic: Statistic = "interquartile mean",
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Comparison:
    """Compare two controllers in one metric; see `compare_all`."""
    found = compare_all(
        [metric],
        {metric.name: np.asarray(baseline, dtype=np.float64)},
        {metric.name: np.asarray(treated, dtype=np.float64)},
        paired=paired,
        strata=strata,
        statistic=statistic,
        resamples=resamples,
        level=level,
        seed=seed,
    )
    return found[metric.name]


def compare_all(
    metrics: Sequence[Metric],
    baseline: Mapping[str, Floats],
    treated: Mapping[str, Floats],
    *,
    paired: bool = True,
    strata: Sequence[int] | None = None,
    statistic: Statistic = "interquartile mean",
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Comparison]:
    """Compare two controllers in several metrics, by the metrics' names.

    Args:
        baseline, treated: by metric one value per seed, float64 [n]; position i of both is the same seed.
        paired: resample both by the same positions, as common random numbers ask for. Without it they are resampled
            independently, which is right only where position i of one has nothing to do with position i of the other.
        strata: of the n seeds, see `bootstrap.resampled`.
        resamples: of the bootstrap, 100 to 1,000,000.
        level: of the intervals, between 0 and 1.
        seed: of the resampling.

    Raises:
        InvalidInput: no metric, one that a controller lacks, values that are not finite or not equally many, or a
            number outside of its range.
    """
    if not metrics:
        raise InvalidInput("a comparison needs at least one metric, got none")
    before, after = _stacked(metrics, baseline, "baseline"), _stacked(metrics, treated, "treated")
    if before.shape != after.shape:
        raise InvalidInput(
            f"the baseline has {before.shape[1]} seeds, the treated {after.shape[1]}; evaluate both on the same seeds"
        )
    n = before.shape[1]
    positions = resampled(n, count=resamples, seed=seed, strata=strata)
    others = positions if paired else resampled(n, count=resamples, seed=seed + 1, strata=strata)
    replicated = replicates(before, positions, statistic), replicates(after, others, statistic)
    values = summarised(before, statistic), summarised(after, statistic)
    signs = np.array([1.0 if metric.direction == "higher" else -1.0 for metric in metrics])[:, None]
    better = (
        paired_share(signs * (after - before), positions)
        if paired
        else unpaired_share(signs * before, signs * after, positions, others, strata=strata)
    )
    return {
        metric.name: Comparison(
            metric=metric,
            seeds=n,
            statistic=statistic,
            level=level,
            baseline=_estimate(values[0][row], replicated[0][row], level),
            treated=_estimate(values[1][row], replicated[1][row], level),
            difference=_estimate(values[1][row] - values[0][row], replicated[1][row] - replicated[0][row], level),
            relative=_ratio(values[0][row], values[1][row], replicated[0][row], replicated[1][row], level),
            probability=_estimate(better[0][row], better[1][row], level),
        )
        for row, metric in enumerate(metrics)
    }


def _stacked(metrics: Sequence[Metric], values: Mapping[str, Floats], whose: str) -> Floats:
    """One row per metric: [metrics, n]."""
    rows = []
    for metric in metrics:
        if metric.name not in values:
            raise InvalidInput(f"the {whose} has no {metric.name!r}, only {sorted(values)}; measure it on both")
        row = np.asarray(values[metric.name], dtype=np.float64)
        if row.ndim != 1:
            raise InvalidInput(f"{metric.name!r} of the {whose} must have one value per seed, got shape {row.shape}")
        if not np.isfinite(row).all():
            where = np.flatnonzero(~np.isfinite(row))[:5].tolist()
            raise InvalidInput(f"{metric.name!r} of the {whose} is not a number at positions {where}; leave it out")
        rows.append(row)
    if len({len(row) for row in rows}) > 1:
        raise InvalidInput(f"metrics of the {whose} have different numbers of seeds: {[len(row) for row in rows]}")
    return np.stack(rows)


def _estimate(value: Floats, replicated: Floats, level: float) -> Estimate:
    low, high = interval(replicated, level)
    return Estimate(float(value), float(low), float(high))


def _ratio(
    before: Floats, after: Floats, resampled_before: Floats, resampled_after: Floats, level: float
) -> Estimate | None:
    """Treated by baseline less 1; None where the baseline does not keep clear of 0."""
    if before <= 0 or resampled_before.min() <= 0:
        return None
    return _estimate(after / before - 1, resampled_after / resampled_before - 1, level)
