"""How every command speaks: tables for people, or one JSON value alone on stdout for programs.

Messages, warnings and progress go to stderr in both forms.
"""

import dataclasses
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from cogorch_dagster.errors import InvalidInput, reason_of

if TYPE_CHECKING:
    from datetime import timedelta

    from cogorch_dagster.settings import Settings

JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON value on the last line of stdout, nothing else there.")
]
ActorOption = Annotated[
    str | None,
    typer.Option("--actor", envvar="COGORCH_ACTOR", help="Who does it, for the audit log; default: your login."),
]

# Beyond, a float holds no whole number exactly, and its digits fill the screen.
_DIGITS_HELD = 2**53

# With the indentation and a backslash, 80 columns.
_EXAMPLE_WIDTH = 74
_A_TIME = "2026-01-31T12:00:00Z"
# Wide, and windows before and after a time stay in the calendar.
_YEARS = (1900, 2999)
_OUTSIDE = f"lies outside the years {_YEARS[0]} to {_YEARS[1]}; give a time within"
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_SPANS = {"s": "seconds", **_UNITS}

_json_stream: TextIO | None = None


def examples(*commands: str) -> str:
    """The epilog of a command's help."""
    title = "Example:" if len(commands) == 1 else "Examples:"
    return "\b\n" + title + "\n" + "\n".join(f"  {_folded(command)}" for command in commands)


def _folded(command: str) -> str:
    """The command in lines that a shell takes for one, broken before an option."""
    cut = command.rfind(" --", 0, _EXAMPLE_WIDTH)
    if len(command) <= _EXAMPLE_WIDTH or cut < 0:
        return command
    return f"{command[:cut]} \\\n      {_folded(command[cut + 1 :])}"


class Output:
    """The output of one command; with `as_json`, whatever else is printed from here on lands on stderr."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        if as_json:
            _reserve_stdout()

    def result(self, value: object, show: Callable[[], None]) -> None:
        """Print the outcome: `value` as JSON, or for people what `show` prints."""
        if self.as_json:
            emit(value)
        else:
            show()


def say(message: str) -> None:
    """A message for people, on stderr."""
    print(message, file=sys.stderr, flush=True)


def emit(value: object) -> None:
    """Write one JSON value as one line to the real stdout."""
    stream = _json_stream or sys.stdout
    stream.write(json.dumps(_plain(value), ensure_ascii=False, allow_nan=False) + "\n")
    stream.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()) -> None:
    """Print a table: folded to the width of a terminal, one line per row in a pipe.

    Args:
        right: the columns to align on the right.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    on_terminal = sys.stdout.isatty()
    console = Console(width=None if on_terminal else 10_000, highlight=False, soft_wrap=False)
    grid = Table(box=box.SIMPLE_HEAD if on_terminal else None, pad_edge=False, padding=(0, 2, 0, 0))
    numbers = set(right)
    for column in columns:
        grid.add_column(column, overflow="fold", justify="right" if column in numbers else "left")
    for row in rows:
        grid.add_row(*(Text(text(cell)) for cell in row))
    # Rich fills every line up to the table's width; a pipe wants no trailing blanks.
    with console.capture() as capture:
        console.print(grid)
    sys.stdout.write("\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n")


def text(cell: object) -> str:
    """One cell as people read it: times to the second in UTC, four digits or whole numbers, `-` for nothing."""
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(cell, float):
        return f"{cell:,.0f}" if 10_000 <= abs(cell) < _DIGITS_HELD else f"{cell:.4g}"
    if isinstance(cell, int):
        return f"{cell:,}"
    return str(cell)


def fields(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair per line."""
    pairs = list(pairs)
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        print(f"{name:<{width}}  {text(value)}")


def load_settings() -> "Settings":
    """The settings of this process.

    Raises:
        InvalidInput: a `COGORCH_*` variable or a line of `.env` has a value that is not possible; `.env` is not text.
    """
    from pydantic import ValidationError

    from cogorch_dagster import settings

    try:
        loaded = settings.load_settings()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the file .env cannot be read: {reason_of(error)}. Write it anew.") from error
    except ValidationError as error:
        problems = [f"COGORCH_{str(e['loc'][0]).upper()}={e['input']!r}: {e['msg']}" for e in error.errors()]
        raise InvalidInput("; ".join(problems) + ". Correct the environment or the file .env.") from None
    _require_folder(loaded.home)
    return loaded


def acting(actor: str | None) -> str:
    """The name that the audit log will hold."""
    import getpass

    return actor or getpass.getuser()


def moment(text: str | None) -> datetime | None:
    """A time given on the command line; without an offset it is UTC.

    Raises:
        InvalidInput: not ISO 8601, or outside the years 1900 to 2999.
    """
    return None if text is None else _time(text, f"is not a time such as {_A_TIME}")


def when(text: str) -> datetime:
    """A time as `moment` reads it, or one that lies an age such as 90m, 24h or 7d back.

    Raises:
        InvalidInput: neither, or outside the years 1900 to 2999.
    """
    from datetime import UTC, timedelta

    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdecimal() or len(number) > 6:
        return _time(text, f"is neither an age such as 90m, 24h or 7d nor a time such as {_A_TIME}")
    now, age = datetime.now(UTC), timedelta(**{_UNITS[unit]: int(number)})
    if age > now - datetime(_YEARS[0], 1, 1, tzinfo=UTC):
        raise InvalidInput(f"{text!r} {_OUTSIDE}")
    return now - age


def span(text: str) -> "timedelta":
    """A length of time such as 10s, 5m, 1h or 1d.

    Raises:
        InvalidInput: no such text.
    """
    from datetime import timedelta

    number, unit = text[:-1], text[-1:]
    if unit not in _SPANS or not number.isdecimal() or len(number) > 6 or int(number) == 0:
        raise InvalidInput(f"{text!r} is not a length of time such as 10s, 5m or 1h")
    return timedelta(**{_SPANS[unit]: int(number)})


def _require_folder(home: Path) -> None:
    """Refuse a home that cannot be a folder: everything below it would fail, each in its own way."""
    try:
        taken = [str(each) for each in (home, *home.parents) if each.exists() and not each.is_dir()]
        why = f"{taken[0]} is no folder" if taken else None
    except OSError as error:
        why = reason_of(error)
    if why:
        raise InvalidInput(f"COGORCH_HOME={home} cannot be made: {why}. Name another folder.")


def _time(text: str, otherwise: str) -> datetime:
    from datetime import UTC

    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} {otherwise}") from error
    if not _YEARS[0] <= given.year <= _YEARS[1]:
        raise InvalidInput(f"{text!r} {_OUTSIDE}")
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)


def _reserve_stdout() -> None:
    global _json_stream  # noqa: PLW0603
    if _json_stream is None:
        sys.stdout.flush()
        # On the level of file descriptors, so that children and libraries in C are caught as well.
        # Bytes of a path that are no UTF-8 become escapes, which are those of JSON.
        _json_stream = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
        os.dup2(2, 1)


def _plain(value: Any) -> Any:  # noqa: PLR0911  one return per type
    """The value in types that JSON has; not-a-number and infinity become null."""
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case datetime():
            return value.isoformat()
        case float():
            return value if math.isfinite(value) else None
        case None | str() | int():
            return value
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        case _:
            return str(value)
