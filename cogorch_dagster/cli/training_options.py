"""What commands that train have in common: the fleet to train in, and when to stop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from cogorch_dagster.cli.output import say

if TYPE_CHECKING:
    from cogorch_dagster.fleet.parameters import FleetParameters
    from cogorch_dagster.settings import Settings

Found = TypeVar("Found")

CalibrationOption = Annotated[
    str,
    typer.Option(metavar="latest|default|FILE", help="The fleet: last calibration (else the defaults), or a file."),
]


NOT_CALIBRATED = "nothing is calibrated yet, so the fleet has its documented defaults"


def parameters_of(settings: "Settings", given: str) -> "FleetParameters":
    """The fleet that an option names; says where it is the default for want of a calibration."""
    parameters, calibrated = fleet_of(settings, given)
    if not calibrated:
        say(NOT_CALIBRATED)
    return parameters


def fleet_of(settings: "Settings", given: str) -> "tuple[FleetParameters, bool]":
    """The fleet that an option names, and False where it is the default for want of a calibration."""
    from cogorch_dagster.fleet.calibration import store
    from cogorch_dagster.fleet.parameters import default_parameters
    from cogorch_dagster.fleet.parameters_file import parameters_from_file
    from cogorch_dagster.platform.database import transaction

    if given == "default":
        return default_parameters(), True
    if given != "latest":
        return parameters_from_file(Path(given)), True
    with transaction(settings) as connection:
        found = store.latest(connection)
    return (default_parameters(), False) if found is None else (found.parameters, True)


@contextmanager
def stopping(minutes: float | None) -> "Iterator[tuple[Callable[[], bool], Callable[[], bool]]]":
    """Whether to stop, by the clock or by Ctrl-C, and whether it was Ctrl-C; a second one interrupts at once."""
    import signal
    import time

    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    asked: list[int] = []

    def on_signal(number: int, _frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield lambda: bool(asked) or (deadline is not None and time.monotonic() >= deadline), lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)


def names_of(given: str) -> list[str]:
    """The names of an option, as they stand between commas."""
    return [name for each in given.split(",") if (name := each.strip())]


def first_line(error: str | None, most: int = 120) -> str:
    """The beginning of an error, for a line of progress."""
    return (error or "?").strip().partition("\n")[0][:most]


def confirmed(act: "Callable[[Callable[[int, int], None]], Found]") -> "Found | None":
    """What `act` confirms, given where to tell how far it is; None where it was stopped."""
    from cogorch_dagster.tuning.objective import Interrupted

    try:
        return act(lambda done, total: say(f"confirmed on {done} of {total} fresh seeds"))
    except Interrupted:
        say("the confirmation was stopped; there is no result yet, the same command goes on")
        return None
