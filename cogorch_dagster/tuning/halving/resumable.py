"""What can be searched by halving: trainings that can be left as bytes at any rung and taken up again.

A fleet's agents are one such (`fleet_training.py`).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cogorch_dagster.errors import InvalidInput


@dataclass(frozen=True)
class Reached:
    """What a training is worth at a rung.

    Attributes:
        score: more is better; compared with those of other trials at the same rung only.
        figures: other numbers by name, for the report.

    Raises:
        InvalidInput: one of them is not finite; such a training has failed.
    """

    score: float
    figures: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = {"score": self.score, **self.figures}
        if wrong := {name: value for name, value in found.items() if not math.isfinite(value)}:
            raise InvalidInput(f"a training came to {wrong}; only finite numbers are compared")


class Training(Protocol):
    """One trial in training."""

    def reach(self, level: int, stop: Callable[[], bool]) -> Reached | None:
        """Train on until `level` steps are done in all, and judge what was learned; None where `stop` said so.

        Schedules (learning rate, exploration) must depend on the full training's length, never on `level`: then a
        trial that was paused at every rung ends as one that was trained through, and rungs judge the same training.

        Raises:
            CogorchError: the training has failed; so has the trial then.
        """

    def checkpoint(self) -> bytes:
        """All that going on needs; from the same state the same continuation, bit for bit."""


class Resumable(Protocol):
    """How trials begin and go on."""

    def start(self, params: Mapping[str, Any]) -> Training:
        """A new training with these parameters (JSON); InvalidInput where they do not fit."""

    def resume(self, params: Mapping[str, Any], content: bytes) -> Training:
        """The training whose `checkpoint` this was; InvalidInput or Refused where it was not of these parameters."""
