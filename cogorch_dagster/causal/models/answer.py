"""What a model answers: a change in units, with its interval over the bank and its range over the class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput

Floats = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, and its range over the members of the equivalence class (of one: a point)."""

    value: float
    interval: Interval
    range: Interval

    def document(self) -> dict[str, Any]:
        return {"value": self.value, "interval": list(self.interval), "range": list(self.range)}


@dataclass(frozen=True)
class Answer:
    """How a variable changes, in its unit.

    Attributes:
        before, after: the mean, or the value of the row that was asked about.
        interval: of `change`, over the bootstrap draws of every member of the class.
        range: of `change`, over the estimates of the members.
        warnings: sentences on what the rows do not support.
    """

    variable: str
    unit: str
    before: float
    after: float
    change: float
    interval: Interval
    range: Interval
    warnings: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "variable": self.variable,
            "unit": self.unit,
            "before": self.before,
            "after": self.after,
            "change": self.change,
            "interval": list(self.interval),
            "range": list(self.range),
            "warnings": list(self.warnings),
        }


def check_level(level: float) -> None:
    """Raises InvalidInput unless the level lies between 0.5 and 0.999."""
    if not 0.5 <= level <= 0.999:
        raise InvalidInput(f"level {level:g} of an interval; give 0.5 to 0.999")


def estimates(members: Sequence[Floats], level: float, mixture: bool) -> list[Estimate]:
    """Of k quantities.

    The interval of a member lies between the (B + 1) a / 2 and the (B + 1) (1 - a / 2) smallest of its B draws, which
    has the nominal level for finite B too (Davison and Hinkley 1997, section 5.2.3); of a class it is the hull.

    Args:
        members: of each (k, d), the estimate first, then the draws.
        mixture: whether the members after the first are resampled graphs, whose draws count as one set.
    """
    values = np.array([each[:, 0] for each in (members[:1] if mixture else members)])
    tails = [(1 - level) / 2, (1 + level) / 2]
    if mixture:
        drawn = np.concatenate([each[:, 1:] for each in members[1:]], axis=1)
        low, high = np.quantile(drawn, tails, axis=1, method="weibull")
    else:
        ends = np.array([np.quantile(each[:, 1:], tails, axis=1, method="weibull") for each in members])
        low, high = ends[:, 0].min(axis=0), ends[:, 1].max(axis=0)
    least, most = values.min(axis=0), values.max(axis=0)
    return [
        Estimate(float(values[0, k]), (float(low[k]), float(high[k])), (float(least[k]), float(most[k])))
        for k in range(values.shape[1])
    ]
