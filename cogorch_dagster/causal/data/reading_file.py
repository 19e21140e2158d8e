"""A file of columns as a data set: CSV, TSV, JSON lines or Parquet, with one row for each unit of observation.

How a column's cells are understood is in `cells`. A file says nothing of time unless it is told to: without a column of
time its rows are taken to be independent of one another.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath

import numpy as np

from cogorch_dagster.causal.data.cells import MOST_LEVELS, Parsed, parsed, text_of
from cogorch_dagster.causal.data.dataset import CausalDataset, Floats, Integers, SetAside, Variable
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.observations.sources.files import Unreadable, open_rows

MOST_ROWS = 1_000_000
MOST_COLUMNS = 1_000
MOST_CELLS = 20_000_000
_LATEST = 1e18


def read_file(
    path: str,
    *,
    time: str | None = None,
    group: str | None = None,
    ordered: bool = False,
    continuous: Collection[str] = (),
    discrete: Collection[str] = (),
) -> CausalDataset:
    """The data set in a file, a local path or any fsspec URL.

    Args:
        time: column of times (ISO 8601, or numbers); rows are put in its order.
        group: column that tells apart series of rows, each in order of time.
        ordered: the rows follow each other in time as they stand in the file.
        continuous, discrete: columns that are so whatever they look like.

    Raises:
        InvalidInput: no such file, an empty one, no rows, a row or cell that cannot be understood (names its line and
            column), an unknown column, more than 1,000,000 rows, 1,000 columns or 20,000,000 cells.
    """
    names, columns, lines = _cells(path)
    for each in (*continuous, *discrete, *filter(None, (time, group))):
        if each not in names:
            raise InvalidInput(f"{path} has no column {each!r}; it has {', '.join(names)}")
    both = sorted(set(continuous) & set(discrete))
    if both:
        raise InvalidInput(f"{', '.join(both)} cannot be both continuous and discrete; say one")
    variables: list[Variable] = []
    held: list[Parsed] = []
    aside: list[SetAside] = []
    for name, texts in zip(names, columns, strict=True):
        if name in {time, group}:
            continue
        kind = "continuous" if name in continuous else "discrete" if name in discrete else None
        try:
            found = parsed(name, texts, lines, kind)  # type: ignore[arg-type]
        except InvalidInput as error:
            raise InvalidInput(f"{path}: {error}") from None
        if len(found.levels) > MOST_LEVELS:
            aside.append(SetAside(name, f"has {len(found.levels)} different values that are no numbers"))
        elif found.kind == "discrete" and not found.levels:
            aside.append(SetAside(name, "has no value"))
        else:
            variables.append(Variable(name, kind=found.kind, levels=found.levels))
            held.append(found)
    if not variables:
        raise InvalidInput(f"{path} has no column that can be used: {'; '.join(f'{a.name} {a.reason}' for a in aside)}")
    at = dict(zip(names, columns, strict=True))
    times = np.arange(len(lines), dtype=np.float64) if time is None else _times(path, time, at[time], lines)
    series = _series(len(lines), None if group is None else at[group], ordered or time is not None)
    rows = np.lexsort((times, series))
    data = CausalDataset(
        scope=PurePosixPath(path).name,
        variables=tuple(variables),
        values=np.stack([each.values for each in held], axis=1)[rows],
        groups=series[rows],
        times=np.round(times[rows]).astype(np.int64),
        set_aside=tuple(aside),
    )
    return replace(data, inputs=data.digest)


def _cells(path: str) -> tuple[tuple[str, ...], list[list[str]], list[int]]:
    """Names, texts by column, and the line of each row."""
    columns: dict[str, list[str]] = {}
    lines: list[int] = []
    with open_rows(path) as source:
        if source.columns is not None:
            columns = {name: [] for name in source.columns}
            if "" in columns:
                raise InvalidInput(f"{path}: line 1 has a column without a name; name it")
        for line, row in source.rows:
            if isinstance(row, Unreadable):
                raise InvalidInput(f"{path}: line {line} {row.message}")
            for name in row:
                if name not in columns:
                    columns[name] = [""] * len(lines)
            for name, texts in columns.items():
                texts.append(text_of(row.get(name)))
            lines.append(line)
            _check_size(path, len(lines), len(columns))
    if not lines:
        raise InvalidInput(f"{path} has no rows; it needs a line for each observation")
    return tuple(columns), list(columns.values()), lines


def _check_size(path: str, rows: int, columns: int) -> None:
    for what, size, most in (
        ("rows", rows, MOST_ROWS),
        ("columns", columns, MOST_COLUMNS),
        ("cells", rows * columns, MOST_CELLS),
    ):
        if size > most:
            raise InvalidInput(f"{path} has more than {most:,} {what}; draw a sample or leave columns out")


def _times(path: str, name: str, texts: list[str], lines: list[int]) -> Floats:
    """(rows,) seconds, or the numbers that are there, with their fractions, which tell the order."""
    found = []
    for text, line in zip(texts, lines, strict=True):
        try:
            number = float(text)
            if abs(number) < _LATEST:
                found.append(number)
                continue
        except ValueError:
            pass
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            said = f"{text!r} is neither a number below {_LATEST:g} nor an ISO 8601 time" if text else "is empty"
            raise InvalidInput(f"{path}: line {line}, column {name!r}: {said}") from None
        # A time without an offset is taken as UTC; only the order matters.
        found.append((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return np.array(found, dtype=np.float64)


def _series(rows: int, texts: list[str] | None, in_time: bool) -> Integers:
    """The series of each row; rows that have no order are each their own."""
    if not in_time:
        return np.arange(rows, dtype=np.int64)
    if texts is None:
        return np.zeros(rows, dtype=np.int64)
    return np.unique(np.array(texts, dtype=object).astype(str), return_inverse=True)[1].astype(np.int64)
