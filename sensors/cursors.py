"""What a sensor remembers between its ticks, and for how long one tick may look."""

import time
from collections.abc import Sequence
from typing import TypeVar

import dagster as dg
from pydantic import BaseModel, ValidationError

# Dagster ends a tick after 60 s, and loses what it had found.
BUDGET_S = 20.0

State = TypeVar("State", bound=BaseModel)
Item = TypeVar("Item")


def read(context: dg.SensorEvaluationContext, model: type[State]) -> State:
    """The state in the cursor; a new one when there is none, or when it cannot be read."""
    if not context.cursor:
        return model()
    try:
        return model.model_validate_json(context.cursor)
    except ValidationError as error:
        context.log.warning(f"The cursor cannot be read ({error.error_count()} problems); beginning afresh.")
        return model()


def write(context: dg.SensorEvaluationContext, state: BaseModel) -> None:
    """Remember the state for the next tick."""
    context.update_cursor(state.model_dump_json())


def page(keyed: Sequence[tuple[str, Item]], after: str, size: int) -> list[tuple[str, Item]]:
    """The next `size` items by key after `after`; from the beginning again when none is left there.

    One that needs attention for ever cannot keep the others from their turn.
    """
    ordered = sorted(keyed, key=lambda pair: pair[0])
    following = [pair for pair in ordered if pair[0] > after]
    return (following or ordered)[:size]


class Budget:
    """The time of one tick."""

    def __init__(self, seconds: float = BUDGET_S) -> None:
        self._deadline = time.monotonic() + seconds

    @property
    def spent(self) -> bool:
        return time.monotonic() > self._deadline
