"""For processes that a test starts: they kill themselves right after the server has executed a certain statement."""

import os
import signal
from typing import Any

import psycopg


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(words: str, nth: int) -> None:
    """From now on, end this process once the n-th statement that begins with these words was executed."""
    execute, seen = psycopg.Cursor.execute, 0

    def executed(cursor: Any, query: Any, *rest: Any, **options: Any) -> Any:
        nonlocal seen
        found = execute(cursor, query, *rest, **options)
        matches = isinstance(query, str) and query.startswith(words)
        seen += matches
        if matches and seen == nth:
            # What was sent in a pipeline has been executed when its end was waited for.
            with cursor.connection.pipeline() as pipeline:
                pipeline.sync()
            die()
        return found

    psycopg.Cursor.execute = executed  # type: ignore[method-assign]
