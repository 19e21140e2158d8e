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
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from cogorch_dagster.errors import CogorchError, Refused

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

EXIT_CODES = (
    "\b\nExit codes:\n"
    "  0    done\n"
    "  1    a check failed, or something unexpected happened\n"
    "  2    wrong argument, file or document\n"
    "  3    refused by a rule of the policy life cycle or of evidence\n"
    "  4    PostgreSQL, the service or a port is not available\n"
    "  130  interrupted"
)

# With the indentation and a backslash, 80 columns.
_EXAMPLE_WIDTH = 74
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
    """One cell as people read it: times to the second in UTC, four significant digits, `-` for nothing."""
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 10_000 else f"{cell:.4g}"
    if isinstance(cell, int):
        return f"{cell:,}"
    return str(cell)


def fields(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair per line."""
    pairs = list(pairs)
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        print(f"{name:<{width}}  {text(value)}")


def report_error(error: CogorchError) -> int:
    """Tell a person what went wrong, and a program too where it asked for JSON; returns the exit code."""
    reason = error.reason if isinstance(error, Refused) else None
    say(f"refused ({reason}): {error}" if reason else f"error: {error}")
    if _json_stream is not None:
        emit({"error": {"kind": _kind(error), "reason": reason, "message": str(error)}})
    return error.exit_code


def load_settings() -> "Settings":
    """The settings of this process.

    Raises:
        InvalidInput: a `COGORCH_*` variable or a line of `.env` has a value that is not possible.
    """
    from pydantic import ValidationError

    from cogorch_dagster import settings
    from cogorch_dagster.errors import InvalidInput

    try:
        return settings.load_settings()
    except ValidationError as error:
        problems = [f"COGORCH_{str(e['loc'][0]).upper()}={e['input']!r}: {e['msg']}" for e in error.errors()]
        raise InvalidInput("; ".join(problems) + ". Correct the environment or the file .env.") from None


def acting(actor: str | None) -> str:
    """The name that the audit log will hold."""
    import getpass

    return actor or getpass.getuser()


def moment(text: str | None) -> datetime | None:
    """A time given on the command line; without an offset it is UTC.

    Raises:
        InvalidInput: not ISO 8601.
    """
    from datetime import UTC

    from cogorch_dagster.errors import InvalidInput

    if text is None:
        return None
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is not a time such as 2026-01-31T12:00:00Z") from error
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)


def when(text: str) -> datetime | None:
    """A time as `moment` reads it, or one that lies an age such as 90m, 24h or 7d back.

    Raises:
        InvalidInput: neither.
    """
    from datetime import UTC, timedelta

    number, unit = text[:-1], text[-1:]
    if unit in _UNITS and number.isdecimal() and len(number) <= 6:
        return datetime.now(UTC) - timedelta(**{_UNITS[unit]: int(number)})
    return moment(text)


def span(text: str) -> "timedelta":
    """A length of time such as 10s, 5m, 1h or 1d.

    Raises:
        InvalidInput: no such text.
    """
    from datetime import timedelta

    from cogorch_dagster.errors import InvalidInput

    number, unit = text[:-1], text[-1:]
    if unit not in _SPANS or not number.isdecimal() or len(number) > 6 or int(number) == 0:
        raise InvalidInput(f"{text!r} is not a length of time such as 10s, 5m or 1h")
    return timedelta(**{_SPANS[unit]: int(number)})


def _reserve_stdout() -> None:
    global _json_stream  # noqa: PLW0603
    if _json_stream is None:
        sys.stdout.flush()
        # On the level of file descriptors, so that children and libraries in C are caught as well.
        _json_stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)


def _kind(error: CogorchError) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in type(error).__name__).lstrip("_")


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
