"""What joint training has to reach against a baseline, and whether it did: the whole interval must lie beyond the bar.

How a metric is compared is `scores_comparison.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cogorch_dagster.agents.comparison.comparison import Comparison
from cogorch_dagster.agents.comparison.equal_success import NotComparable


@dataclass(frozen=True)
class Bar:
    """A metric must improve by more than this share of the baseline's value."""

    metric: str
    improvement: float


BARS = (Bar("latency", 0.25), Bar("unfairness", 0.18), Bar("violations", 0.30), Bar("cost", 0.0))


@dataclass(frozen=True)
class Judged:
    """A bar and what was found.

    Attributes:
        found: share by which the metric improved, None where there is no answer.
        low, high: ends of its interval.
        reached: whether the whole interval lies at or beyond the bar, for a bar of 0 beyond it.
        verdict: a sentence for people.
    """

    bar: Bar
    found: float | None
    low: float | None
    high: float | None
    reached: bool
    verdict: str


def judged(comparisons: Mapping[str, Comparison | NotComparable]) -> list[Judged]:
    """The bars for the comparison of a controller with a baseline, as `compare_scores` gives it."""
    return [_judged(bar, comparisons[bar.metric]) for bar in BARS]


def _judged(bar: Bar, comparison: Comparison | NotComparable) -> Judged:
    if isinstance(comparison, NotComparable) or comparison.improvement is None:
        return Judged(bar, None, None, None, reached=False, verdict=comparison.verdict)
    found = comparison.improvement
    reached = found.low >= bar.improvement if bar.improvement else found.low > 0
    return Judged(bar, found.value, found.low, found.high, reached=reached, verdict=comparison.verdict)
