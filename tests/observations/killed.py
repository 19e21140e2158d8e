"""Run by `test_kill`: does one thing and kills itself with SIGKILL at the point that its arguments name."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from cogorch_dagster.lake import catalogue, files
from cogorch_dagster.observations import append, importing, inbox, quarantine, storing
from cogorch_dagster.settings import Settings


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after(times: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call, that does not survive its n-th return."""
    returned = 0

    def calling(*args: Any, **kwargs: Any) -> Any:
        nonlocal returned
        result = call(*args, **kwargs)
        returned += 1
        if returned == times:
            die()
        return result

    return calling


def arm(point: str) -> None:
    match point:
        case "while reading":
            importing.to_table = after(2, importing.to_table)
        case "before the quarantine":
            quarantine.Quarantine.publish = die  # type: ignore[assignment]
        case "before the first file":
            files.write = die  # type: ignore[assignment]
        case "after the second file":
            files.write = after(2, files.write)
        case "after naming the second file":
            catalogue.append_files = after(2, catalogue.append_files)
        case "before the commit":
            append.store_observations = after(1, storing.store_observations)
        case "before the second commit":
            append.store_observations = after(2, storing.store_observations)
        case "after the first commit":
            importing.append = after(1, importing.append)
        case "before the inbox is emptied":
            inbox._delete = die
        case "after the inbox is emptied":
            inbox._delete = after(1, inbox._delete)
        case "after both inboxes are emptied":
            inbox._delete = after(2, inbox._delete)
        case _:
            raise SystemExit(f"no such point: {point}")


if __name__ == "__main__":
    action, point, *arguments = sys.argv[1:]
    settings = Settings()
    importing.CHUNK_ROWS = 50
    importing.MAX_ROWS = 130
    arm(point)
    if action == "import":
        importing.import_file(settings, arguments[0], source="mine")
    else:
        inbox.drain(settings)
    raise SystemExit("survived")
