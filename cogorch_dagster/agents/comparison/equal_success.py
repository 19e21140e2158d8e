"""A metric that means something only at equal success: who answers fewer requests easily answers them sooner.

The comparison itself is `comparison.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cogorch_dagster.agents.comparison.bootstrap import LEVEL, RESAMPLES, Floats, Statistic
from cogorch_dagster.agents.comparison.comparison import Comparison, Metric, compare_all
from cogorch_dagster.errors import InvalidInput


class Reason(StrEnum):
    """Why two controllers cannot be compared."""

    success_lower = "success_lower"
    success_undecided = "success_undecided"


@dataclass(frozen=True)
class NotComparable:
    """The answer where success is not shown to be as high as the baseline's.

    Attributes:
        metric: that was asked about.
        reason: success is lower by more than the tolerance, or its interval reaches both sides of that bound.
        success: the comparison of success itself.
        tolerance: in the unit of success.
    """

    metric: Metric
    reason: Reason
    success: Comparison
    tolerance: float

    @property
    def verdict(self) -> str:
        """One sentence for people."""
        difference = self.success.difference
        why = {
            Reason.success_lower: "success is lower than the tolerance allows",
            Reason.success_undecided: "success may be lower than the tolerance allows; more seeds would tell",
        }[self.reason]
        return (
            f"{self.metric.name} not comparable: {why} (difference {difference.value:+.4f}, "
            f"{self.success.level:.0%} interval {difference.low:+.4f} to {difference.high:+.4f}, "
            f"tolerance {self.tolerance:.4f})"
        )


def compare_at_equal_success(
    metric: Metric,
    success: Metric,
    baseline: Mapping[str, Floats],
    treated: Mapping[str, Floats],
    *,
    tolerance: float,
    paired: bool = True,
    strata: Sequence[int] | None = None,
    statistic: Statistic = "interquartile mean",
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Comparison | NotComparable:
    """Compare a metric if the treated's success is not inferior: its whole interval lies above minus the tolerance.

    Args:
        metric: such as the mean latency of the answered.
        success: such as the share of requests with a useful answer; more must be better.
        baseline, treated: values of both metrics per seed, float64 [n], by name.
        tolerance: loss of success that still counts as equal, in its unit, 0 or more.
        paired, strata, statistic, resamples, level, seed: see `comparison.compare_all`.

    Raises:
        InvalidInput: a negative tolerance, a success of which less is better, or what `compare_all` refuses.
    """
    if not 0 <= tolerance < float("inf"):
        raise InvalidInput(f"the tolerance must be 0 or more, got {tolerance}")
    if success.direction != "higher":
        raise InvalidInput(f"of success more must be better, but {success.name!r} is said to be better when lower")
    both = compare_all(
        [metric, success],
        baseline,
        treated,
        paired=paired,
        strata=strata,
        statistic=statistic,
        resamples=resamples,
        level=level,
        seed=seed,
    )
    difference = both[success.name].difference
    if difference.low >= -tolerance:
        return both[metric.name]
    reason = Reason.success_lower if difference.high < -tolerance else Reason.success_undecided
    return NotComparable(metric, reason, both[success.name], tolerance)
