"""Between the parameters of Optuna's trials and places of the unit cube, for whole studies at once.

One dimension of ours at a time is `dimension.py`, whose places are the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cogorch_dagster.errors import InvalidInput

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cube:
    """The coordinates of Optuna's distributions: a number's on its own scale, a choice's by its place in the list.

    Attributes:
        distributions: of each parameter; numbers from below to above, whole ones and choices with as much room each
            on their scale as they have.
        low, high: of each dimension, after the logarithm where there is one, [dimensions].
        logs: which have one, [dimensions].
        choices: how many values a choice has, 0 for a number, [dimensions].
    """

    distributions: "Mapping[str, BaseDistribution]"
    low: Floats
    high: Floats
    logs: npt.NDArray[np.bool_]
    choices: tuple[int, ...]

    def places(self, params: Sequence[Mapping[str, Any]]) -> Floats:
        """Of trials' params, [trials, dimensions]; values beyond an end are at the end.

        Raises:
            InvalidInput: a value is none of a choice's.
        """
        columns = [_numbers(name, each, params) for name, each in self.distributions.items()]
        numbers = np.array(columns, dtype=np.float64).reshape(len(columns), len(params)).T
        numbers[:, self.logs] = np.log(numbers[:, self.logs])
        return np.clip((numbers - self.low) / (self.high - self.low), 0.0, 1.0)

    def params(self, place: Floats) -> dict[str, Any]:
        """What a place stands for, [dimensions]."""
        numbers = self.low + place * (self.high - self.low)
        numbers[self.logs] = np.exp(numbers[self.logs])
        return {
            name: _value(distribution, float(number))
            for (name, distribution), number in zip(self.distributions.items(), numbers, strict=True)
        }


def cube_of(distributions: "Mapping[str, BaseDistribution]") -> Cube:
    """The cube of these.

    Raises:
        InvalidInput: there is none, or one of them has a single value.
    """
    if not distributions:
        raise InvalidInput("there is no parameter to search; name at least one")
    if single := [name for name, each in distributions.items() if each.single()]:
        raise InvalidInput(f"{', '.join(single)} has a single value; leave it out of the search")
    ends = np.array([_ends(each) for each in distributions.values()], dtype=np.float64)
    logs = np.array([bool(getattr(each, "log", False)) for each in distributions.values()])
    ends[logs] = np.log(ends[logs])
    choices = tuple(len(getattr(each, "choices", ())) for each in distributions.values())
    return Cube(dict(distributions), ends[:, 0], ends[:, 1], logs, choices)


def _numbers(name: str, distribution: Any, params: Sequence[Mapping[str, Any]]) -> list[float]:
    """Of one parameter; of a choice the place in its list."""
    if not hasattr(distribution, "choices"):
        return [each[name] for each in params]
    try:
        return [distribution.to_internal_repr(each[name]) for each in params]
    except ValueError as error:
        raise InvalidInput(f"{name} has a value that is none of its choices: {error}") from error


def _ends(distribution: Any) -> tuple[float, float]:
    if hasattr(distribution, "choices"):
        # From the middle of the first one's part to that of the last one's are whole numbers.
        return -0.5, len(distribution.choices) - 0.5
    # Half a step more at either end, so that the first and the last are as likely as the others.
    slack = (distribution.step or 0) / 2
    return distribution.low - slack, distribution.high + slack


def _value(distribution: Any, number: float) -> Any:
    if hasattr(distribution, "choices"):
        return distribution.choices[min(max(round(number), 0), len(distribution.choices) - 1)]
    if distribution.step:
        number = distribution.low + round((number - distribution.low) / distribution.step) * distribution.step
    number = min(max(number, distribution.low), distribution.high)
    return round(number) if isinstance(distribution.low, int) else number
