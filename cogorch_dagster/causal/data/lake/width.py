# ruff: noqa: S608  SQL is composed of numbers of our own.
"""How wide a bucket of time is: wide enough to be a mean of several observations, narrow enough to leave many rows."""

from datetime import timedelta
from typing import TYPE_CHECKING

from cogorch_dagster.causal.data.lake.seen import FEWEST
from cogorch_dagster.errors import InvalidInput

if TYPE_CHECKING:
    import duckdb

WIDTHS_S = (3600, 1800, 1200, 900, 600, 300, 120, 60, 30, 15, 10, 5, 2, 1)
"""What is chosen from; each divides a day."""

ENOUGH_ROWS = 1000
MOST_ROWS = 200_000
_DAY_S = 86_400


def checked(width: timedelta) -> int:
    """Seconds of a given width.

    Raises:
        InvalidInput: it is no whole number of seconds that divides a day.
    """
    seconds = round(width.total_seconds())
    if seconds < 1 or timedelta(seconds=seconds) != width or _DAY_S % seconds:
        raise InvalidInput(f"a bucket of {width} does not divide a day; take 10 seconds, 5 minutes or 1 hour")
    return seconds


def chosen(duck: "duckdb.DuckDBPyConnection") -> int:
    """Seconds of the widest bucket that makes 1,000 rows of 5 scored observations; if none does, of that with most."""
    best, most = WIDTHS_S[0], -1
    for width in WIDTHS_S:
        rows = _rows(duck, width)
        if rows >= ENOUGH_ROWS:
            return width
        if rows > most:
            best, most = width, rows
    return best


def _rows(duck: "duckdb.DuckDBPyConnection", width: int) -> int:
    sql = f"""SELECT count(*) FROM (SELECT s // {width} AS b FROM seen WHERE scored GROUP BY b
              HAVING count(*) >= {FEWEST})"""
    return int(duck.execute(sql).fetchall()[0][0])
