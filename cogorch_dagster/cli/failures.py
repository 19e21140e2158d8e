"""How a command fails: one message for people on stderr, with --json one JSON value too, and an exit code."""

from collections.abc import Iterable

import typer

from cogorch_dagster.cli.output import Output, emit, say
from cogorch_dagster.errors import CogorchError, InvalidInput, Refused

EXIT_CODES = (
    "\b\nExit codes:\n"
    "  0    done\n"
    "  1    a check failed, or something unexpected happened\n"
    "  2    wrong argument, file or document\n"
    "  3    refused by a rule of the policy life cycle or of evidence\n"
    "  4    PostgreSQL, the service or a port is not available\n"
    "  130  interrupted"
)

# A wrong option, argument or command. Its own name is not exported by every release of typer; that of the class below
# it is.
UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]


def require_text(arguments: Iterable[str]) -> None:
    """Refuse what neither PostgreSQL nor a message can hold, before a command meets it in its midst.

    Raises:
        InvalidInput: an argument is not UTF-8.
    """
    for each in arguments:
        try:
            each.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput(f"the argument {each!a} is not UTF-8; write it so, or rename the file") from error


def report_error(error: CogorchError, as_json: bool) -> int:
    """Tell a person what went wrong, and a program too where it asked for JSON; returns the exit code."""
    reason = error.reason if isinstance(error, Refused) else None
    say(f"refused ({reason}): {error}" if reason else f"error: {error}")
    if as_json:
        _emit(_kind(error), reason, str(error))
    return error.exit_code


def report_usage(error: typer.BadParameter, as_json: bool) -> int:
    """Tell a person how the command is used, and a program in JSON that it was used wrongly; returns the exit code."""
    error.show()
    if as_json:
        _emit(_kind(InvalidInput()), None, error.format_message())
    return error.exit_code


def _emit(kind: str, reason: str | None, message: str) -> None:
    Output(as_json=True)
    emit({"error": {"kind": kind, "reason": reason, "message": message}})


def _kind(error: CogorchError) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in type(error).__name__).lstrip("_")
