"""One numeric parameter: its bounds and its largest step at each level of strictness.

Which parameters there are, and how far each may go, is in `hyperparameters`.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import Field

from cogorch_dagster.errors import InvalidInput

Level = Literal["strict", "standard", "wide"]
LEVELS: tuple[Level, ...] = get_args(Level)
Scale = Literal["linear", "log", "horizon"]
# So that a step of exactly the largest size, as a message writes it, is not refused for its last digit.
_ROUNDING = 1e-8


@dataclass(frozen=True)
class Parameter:
    """A number in a document, its bounds and its steps.

    Attributes:
        name: as in the document, camelCase.
        scale: on which steps are measured and a search draws: `linear` by differences; `log` by factors (values above
            0); `horizon` by factors of 1 / (1 - value), the number of steps that a discount looks ahead (values below
            1).
        wide, standard, strict: bounds at each level, both included; `wide` is what the schema of the kind allows.
        steps: the largest step at `strict`, `standard` and `wide`: a difference, or a factor of at least 1.
        search: the part that tuning explores, within `standard`.
        meaning: what it is, for people.
        whole: an integer.
    """

    name: str
    scale: Scale
    wide: tuple[float, float]
    standard: tuple[float, float]
    strict: tuple[float, float]
    steps: tuple[float, float, float]
    search: tuple[float, float]
    meaning: str
    whole: bool = False

    @property
    def low(self) -> float:
        """The least value that any level allows."""
        return self.wide[0]

    @property
    def high(self) -> float:
        """The largest value that any level allows."""
        return self.wide[1]

    def bounds(self, level: Level) -> tuple[float, float]:
        """The least and the largest value at a level; raises InvalidInput for an unknown level."""
        return {"strict": self.strict, "standard": self.standard, "wide": self.wide}[check_level(level)]

    def largest_step(self, level: Level) -> float:
        """The largest difference (`linear`) or factor (`log`, `horizon`); raises InvalidInput for an unknown level."""
        return self.steps[LEVELS.index(check_level(level))]

    def reach(self, current: float, level: Level) -> tuple[float, float]:
        """The values that one step from `current` may take at a level, both ends included.

        A `current` that lies outside of the level's bounds counts as the nearest bound: from there a step leads back.
        Whole parameters have whole ends.
        """
        low, high = self.bounds(level)
        step = self.largest_step(level)
        at = min(max(current, low), high)
        match self.scale:
            case "linear":
                ends = at - step, at + step
            case "log":
                ends = at / step, at * step
            case "horizon":
                # 1 / (1 - x) times or divided by the step.
                ends = 1 - (1 - at) * step, 1 - (1 - at) / step
        if self.whole:
            ends = float(math.ceil(ends[0] - _ROUNDING)), float(math.floor(ends[1] + _ROUNDING))
        return max(low, ends[0]), min(high, ends[1])

    def out_of_bounds(self, value: float, level: Level, current: float | None = None) -> str | None:
        """What is wrong with a value at a level: the value, the bound, the level and the remedy; None: nothing.

        Args:
            current: in force; the remedy is then a value that one step from there reaches, not any within the bounds.
        """
        low, high = self.bounds(level)
        if low <= value <= high:
            return None
        end, bound = ("below the least", low) if value < low else ("above the largest", high)
        since = ""
        if current is not None:
            low, high = self.reach(current, level)
            since = f", one step from the {current:.9g} in force"
        return (
            f"{self.name} {value:.9g} is {end} at level {level}, {bound:.9g}: "
            f"choose {low:.9g} to {high:.9g}{since}{widen(level)}"
        )

    def too_large_step(self, current: float, value: float, level: Level) -> str | None:
        """What is wrong with going from `current` to `value` at a level, in the same manner; None: nothing."""
        low, high = self.reach(current, level)
        margin = _ROUNDING * max(abs(low), abs(high))
        if low - margin <= value <= high + margin:
            return None
        step = self.largest_step(level)
        largest = {"linear": f"{step:.9g}", "log": f"x{step:.9g}", "horizon": f"x{step:.9g} of 1 / (1 - {self.name})"}
        return (
            f"{self.name} {value:.9g} is too far from the {current:.9g} in force: the largest step at level {level} "
            f"is {largest[self.scale]}: choose {low:.9g} to {high:.9g}, and go on from there{widen(level)}"
        )

    def field(self) -> Any:
        """A required field of a pydantic model with the bounds of level `wide`."""
        return Field(ge=self.low, le=self.high, description=self.meaning)


def check_level(level: str) -> Level:
    """The level; raises InvalidInput unless it is one of `LEVELS`."""
    for each in LEVELS:
        if each == level:
            return each
    raise InvalidInput(f"strictness {level!r} is none of {', '.join(LEVELS)}")


def widen(level: Level) -> str:
    """The other remedy, for the end of a message: another level, where there is a wider one."""
    if level == "wide":
        return ""
    wider = " or ".join(LEVELS[LEVELS.index(level) + 1 :])
    return f", or set level {wider} with `cogorch policy strictness`"
