"""Did the agents earn less after a change? What is compared with what, and how sure one may be.

A change is an approved version that came into force. It is compared within each process: the windows under it with
those just before, as long as no other agent's version changed, so that what one change did is never laid to another.
Neighbouring windows resemble each other; taken for independent, they would claim more than they know. So each counts
for (1 - r) / (1 + r) of one, the share that is left of the information in a series with correlation r of neighbours
(first-order autoregression; Bayley & Hammersley 1946, equation 1), r with its bias in short series undone (Marriott &
Pope 1954: E r = rho - (1 + 3 rho) / n). The bound holds at every look (`evaluation.sequential.means`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.evaluation.sequential import means
from cogorch_dagster.evaluation.sequential.moments import Moments
from cogorch_dagster.serving.returns import Earned

Floats = NDArray[np.float64]

ALPHA = 0.005
"""Probability of ever finding a drop after a change that made none."""
LEAST_DROP = 0.01
"""Of the mean reward per step: a smaller drop is left alone, however certain."""
LEAST_WINDOWS = 12
"""On each side of a change, over all processes."""
MOST_WINDOWS = 200
"""On each side, of a process: what lies further from the change says little about it."""
SPAN = 0.1
"""Of a window's return; what small samples have not seen is believed to lie within it (`means.steadied`)."""
_MOST_CORRELATION = 0.95


@dataclass(frozen=True)
class Drop:
    """What is known of a change.

    Attributes:
        difference: mean return after the change less that before; None without windows on both sides of any process.
        bound: the difference is below it with probability 1 - ALPHA, at all looks together.
        before, after: windows that were compared.
        correlation: of neighbouring windows, 0..1, the largest of all processes.
        worse: whether the change made the agents earn less, beyond chance and by LEAST_DROP at least.
    """

    difference: float | None
    bound: float | None
    before: int
    after: int
    correlation: float
    worse: bool

    def document(self) -> dict[str, Any]:
        """For the audit log."""
        return {
            "metric": "mean shared reward per step",
            "difference": self.difference,
            "bound": self.bound,
            "alpha": ALPHA,
            "least_drop": LEAST_DROP,
            "windows_before": self.before,
            "windows_after": self.after,
            "correlation": self.correlation,
        }


def around(windows: Sequence[Earned], policy_id: str, version: str, previous: str) -> tuple[list[float], list[float]]:
    """The returns of a process just before and just after it went from `previous` to `version`, in order.

    Args:
        windows: of one process, by time; those of a span in which the other agents' versions stayed are used.
    """
    first = next((at for at, each in enumerate(windows) if each.versions.get(policy_id) == version), None)
    if first is None:
        return [], []
    under = dict(windows[first].versions)
    earlier = {**under, policy_id: previous}
    after = [each.value for each in takewhile(lambda each: each.versions == under, windows[first:])]
    before = [each.value for each in takewhile(lambda each: each.versions == earlier, reversed(windows[:first]))]
    return before[:MOST_WINDOWS][::-1], after[:MOST_WINDOWS]


def judge(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Drop:
    """Compare the returns before and after a change, process by process."""
    sides = [(np.asarray(b, np.float64), np.asarray(a, np.float64)) for b, a in pairs if len(b) and len(a)]
    counts = sum(len(b) for b, _ in sides), sum(len(a) for _, a in sides)
    if not sides:
        return Drop(None, None, 0, 0, 0.0, False)
    correlations = [correlation(before, after) for before, after in sides]
    arms = [
        means.stacked([_moments(side[arm], r) for side, r in zip(sides, correlations, strict=True)]) for arm in (0, 1)
    ]
    found = means.difference(arms[0], arms[1], target=LEAST_WINDOWS / 2, span=SPAN)
    difference, bound = float(found.estimate), float(found.bounds(ALPHA)[1])
    enough = min(counts) >= LEAST_WINDOWS
    worse = enough and bound < 0 and difference <= -LEAST_DROP
    return Drop(difference, bound, *counts, max(correlations), worse)


def correlation(before: Floats, after: Floats) -> float:
    """Of neighbouring windows around the mean of their side, 0 to 0.95, its bias in short series undone."""
    products, squares = 0.0, 0.0
    for side in (before, after):
        centred = side - side.mean()
        products += float(centred[1:] @ centred[:-1])
        squares += float(centred @ centred)
    n = len(before) + len(after)
    found = products / squares if squares > 0 else 0.0
    return min(max(found + (2 + 6 * found) / n, 0.0), _MOST_CORRELATION)


def _moments(values: Floats, r: float) -> Moments:
    """As many observations as the windows are worth, at least one, with the windows' mean and variance."""
    n = max(round(len(values) * (1 - r) / (1 + r)), 1)
    return Moments(n, float(values.mean()), float(values.var(ddof=1)) if len(values) > 1 else 0.0)
