"""What a trial of hyperparameters came to, as it is recorded: the values of the study's objectives, or the error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.tuning.objective import Measured, Score
from cogorch_dagster.tuning.study import Objective, Plan


@dataclass(frozen=True)
class Ended:
    """A trial at its end.

    Attributes:
        number: of the trial.
        values: of the study's objectives; None: it failed.
        notes: what is recorded besides, as JSON.
    """

    number: int
    values: tuple[float, ...] | None
    notes: Mapping[str, Any]


def complete(plan: Plan, number: int, score: Score, found: Sequence[Measured], seconds: float) -> Ended:
    """A trial whose trainings were measured; raises InvalidInput where an objective of the plan was not."""
    notes = {"score": vars(score), "measured": [vars(each) for each in found], "seconds": seconds}
    return Ended(number, tuple(_value(score, objective) for objective in plan.objectives), notes)


def failed(number: int, error: str, seconds: float) -> Ended:
    """A trial whose training broke, with the error as of `journal.error_text`."""
    return Ended(number, None, {"error": error, "seconds": seconds})


def _value(score: Score, objective: Objective) -> float:
    # Below a microsecond a time is noise, which would put trials on the Pareto front.
    latency = round(score.inference_ms, 3)
    value = {"reward": score.value, "conflicts": score.conflicts, "latency": latency}[objective]
    if value is None:
        raise InvalidInput(f"the objective {objective} was not measured; conflicts need companions to act beside")
    return value
