"""One number or one choice that a search varies: its ends, its scale, its place in the unit interval.

Which dimensions an agent's search has is `space.py`; what a number may be at all is `policies.parameter`.
"""

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies.parameter import Scale

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution

# Digits of the values in a document: enough for any search, and people can read them.
_DIGITS = 5


@dataclass(frozen=True)
class Dimension:
    """A number between two ends.

    Attributes:
        name: of the parameter.
        low, high: in the parameter's unit, both included, low below high.
        scale: on which it is drawn evenly: linear, log, or horizon (log of 1 / (1 - value)).
        whole: an integer.

    Raises:
        InvalidInput: ends that are not in order, or not on the scale.
    """

    name: str
    low: float
    high: float
    scale: Scale = "linear"
    whole: bool = False

    def __post_init__(self) -> None:
        on_scale = {"linear": True, "log": self.low > 0, "horizon": self.high < 1}[self.scale]
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high and on_scale):
            raise InvalidInput(
                f"{self.name} cannot be searched from {self.low} to {self.high} on a {self.scale} scale: "
                "give two finite ends in order (log: above 0, horizon: below 1)"
            )

    def value(self, unit: float) -> float | int:
        """The value at a place of the unit interval; places outside of it count as its ends."""
        low, high = self._ends()
        return self.rounded(self._back(low + min(max(unit, 0.0), 1.0) * (high - low)))

    def unit(self, value: float) -> float:
        """The place of a value, 0..1; values beyond an end are at the end."""
        low, high = self._ends()
        inside = min(max(value, self.low), self.high)
        return (self._forth(inside) - low) / (high - low)

    def rounded(self, value: float) -> float | int:
        """As it stands in a document: whole, or with five significant digits, and within the ends."""
        if self.whole:
            return int(min(max(round(value), math.ceil(self.low)), math.floor(self.high)))
        return min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)

    def distribution(self) -> "BaseDistribution":
        """For Optuna: a number even of integers, whose densities cost it many times as much."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(*self._internal_ends(), log=self.scale != "linear")

    def suggest(self, trial: "Trial") -> float | int:
        """The value that a trial of Optuna's tries."""
        low, high = self._internal_ends()
        return self.external(trial.suggest_float(self.name, low, high, log=self.scale != "linear"))

    def external(self, found: float) -> float | int:
        """The value that a number of Optuna's stands for."""
        return self.rounded(1 - 1 / found if self.scale == "horizon" else found)

    def internal(self, value: float) -> float:
        """The number of Optuna's that stands for a value, the horizon for a discount; ends for values beyond them."""
        inside = min(max(value, self.low), self.high)
        return 1 / (1 - inside) if self.scale == "horizon" else inside

    def grid(self, points: int) -> list[float | int]:
        """At most so many values, spread evenly over the scale, each once."""
        places = [0.5] if points == 1 else [i / (points - 1) for i in range(points)]
        return list(dict.fromkeys(self.value(place) for place in places))

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"name": self.name, "low": self.low, "high": self.high, "scale": self.scale, "whole": self.whole}

    def _internal_ends(self) -> tuple[float, float]:
        # Half a unit more at either end, so that the first and the last integer are as likely as the others.
        slack = 0.5 if self.whole else 0.0
        return self.internal(self.low) - slack, self.internal(self.high) + slack

    def _ends(self) -> tuple[float, float]:
        slack = 0.5 if self.whole else 0.0
        return self._forth(self.low - slack), self._forth(self.high + slack)

    def _forth(self, value: float) -> float:
        if self.scale == "log":
            return math.log(value)
        return -math.log(1 - value) if self.scale == "horizon" else value

    def _back(self, value: float) -> float:
        if self.scale == "log":
            return math.exp(value)
        return 1 - math.exp(-value) if self.scale == "horizon" else value


@dataclass(frozen=True)
class Choice:
    """One of several values that have no order, each as JSON (a list of widths, a name).

    Raises:
        InvalidInput: fewer than two choices, or the same twice.
    """

    name: str
    choices: tuple[Any, ...]

    def __post_init__(self) -> None:
        if len(self.choices) < 2 or len(set(self._texts())) < len(self.choices):
            raise InvalidInput(
                f"{self.name} cannot be searched among {list(self.choices)}: give two or more, each once"
            )

    def value(self, unit: float) -> Any:
        """The choice at a place of the unit interval, each as long as the others."""
        return self.choices[min(int(min(max(unit, 0.0), 1.0) * len(self.choices)), len(self.choices) - 1)]

    def unit(self, value: Any) -> float:
        """The middle of a choice's place; raises InvalidInput for another value."""
        return (self._texts().index(self.internal(value)) + 0.5) / len(self.choices)

    def distribution(self) -> "BaseDistribution":
        """For Optuna: of the choices' JSON."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self._texts())

    def suggest(self, trial: "Trial") -> Any:
        """The choice that a trial of Optuna's tries."""
        return self.external(trial.suggest_categorical(self.name, self._texts()))

    def external(self, found: str) -> Any:
        """The choice that a text of Optuna's stands for."""
        return self.choices[self._texts().index(found)]

    def internal(self, value: Any) -> str:
        """The text of Optuna's that stands for a choice; raises InvalidInput for another value."""
        text = json.dumps(value)
        if text not in self._texts():
            raise InvalidInput(f"{self.name} {value!r} is none of {list(self.choices)}")
        return text

    def grid(self, points: int) -> list[Any]:  # noqa: ARG002  as a number has it
        """All choices, however many points."""
        return list(self.choices)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"name": self.name, "choices": list(self.choices)}

    def _texts(self) -> list[str]:
        return [json.dumps(list(each) if isinstance(each, tuple) else each) for each in self.choices]
