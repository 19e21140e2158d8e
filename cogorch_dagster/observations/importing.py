"""A file becomes observations: read, mapped, validated, then stored hour by hour; bad rows go to quarantine.

Nothing is stored before the whole file was read, so a file that turns out to be broken leaves no trace. The rows are
staged on local disk meanwhile, which bounds the memory and lets each hour be written once however the file is ordered.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.observations.append import MAX_ROWS, Appended, append
from cogorch_dagster.observations.parsing import Rejection, parse, suggestion, unknown_names
from cogorch_dagster.observations.quarantine import Quarantine
from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA, Observation, to_table
from cogorch_dagster.observations.sources.applying import Problem, Translator
from cogorch_dagster.observations.sources.files import Rows, Unreadable, open_rows
from cogorch_dagster.observations.sources.mapping import FileMapping, load
from cogorch_dagster.observations.storing import MAX_HOURS
from cogorch_dagster.settings import Settings

CHUNK_ROWS = 10_000
MAX_PART_BYTES = 256 * 1024 * 1024
SHOWN_REJECTIONS = 20
Progress = Callable[[int], None]


@dataclass(frozen=True)
class ImportReport:
    """What became of a file: read = added + duplicates + sampled_out + expired + rejected.

    `by_outcome` counts the added rows, `rejections` holds the first 20, `quarantine` is where all of them are.
    """

    read: int
    added: int
    duplicates: int
    sampled_out: int
    expired: int
    rejected: int
    by_outcome: dict[str, int]
    hours: list[datetime]
    quarantine: str | None
    rejections: tuple[Rejection, ...]


def import_file(
    settings: Settings,
    path: str | Path,
    preset: str | Path | None = None,
    source: str | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Store the observations of a CSV, JSONL or Parquet file; what is there already is left as it is.

    An import that is interrupted has stored nothing, or whole hours; the same call then stores the rest.

    Args:
        path: local or any fsspec URL; `.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.json`, `.parquet`, compressed or not.
        preset: the name of a mapping that comes with cogorch, or the path of a mapping file; without one the file
            uses the names of observations or their aliases.
        source: overrides the source that the mapping or the rows name.
        progress: called with the number of rows read so far.

    Raises:
        InvalidInput: the file or the mapping cannot be used; nothing was stored.
    """
    path = str(path)
    mapping = None if preset is None else load(preset)
    with _staging(settings) as folder, Quarantine(settings, path, folder) as quarantine:
        staged = folder / "rows.parquet"
        reading = _Reading(quarantine)
        with (
            open_rows(
                path,
                encoding=mapping.encoding if mapping else "utf-8",
                delimiter=mapping.delimiter if mapping else None,
            ) as rows,
            pq.ParquetWriter(staged, OBSERVATION_SCHEMA, compression="lz4") as writer,
        ):
            _check_columns(path, rows, mapping, source)
            for table in reading.tables(rows, mapping, source):
                writer.write_table(table)
                if progress is not None:
                    progress(reading.read)
        # Before the first commit: whoever sees the rows can also see what is missing.
        kept = quarantine.publish()
        appended = Appended()
        for part in _parts(staged):
            appended += append(settings, part)
    return ImportReport(
        read=reading.read,
        added=appended.added,
        duplicates=appended.duplicates,
        sampled_out=appended.sampled_out,
        expired=appended.expired,
        rejected=reading.rejected,
        by_outcome=appended.by_outcome,
        hours=appended.hours,
        quarantine=kept,
        rejections=tuple(reading.rejections),
    )


_BadRow = tuple[list[Rejection], Mapping[str, Any] | str]


class _Reading:
    """One pass over a file: valid rows come out as tables, the others go to quarantine and are counted."""

    def __init__(self, quarantine: Quarantine) -> None:
        self.read = 0
        self.rejected = 0
        self.rejections: list[Rejection] = []
        self._quarantine = quarantine

    def tables(self, rows: Rows, mapping: FileMapping | None, source: str | None) -> Iterator[pa.Table]:
        translator = None if mapping is None else Translator(mapping)
        constants = {} if source is None else {"source": source}
        numbered = iter(rows.rows)
        while chunk := list(islice(numbered, CHUNK_ROWS)):
            self.read += len(chunk)
            good: list[tuple[int, Mapping[str, Any]]] = []
            bad: list[_BadRow] = []
            for line, row in chunk:
                if isinstance(row, Unreadable):
                    # What a mapping does not name is never stored, not even here.
                    shown = row.value if translator is None else ""
                    bad.append(([Rejection(line, "", shown, f"the row {row.message}")], shown))
                elif translator is None:
                    good.append((line, row))
                else:
                    values, problems = translator.translate(row)
                    if problems:
                        bad.append((_untranslated(line, values, problems, constants), values))
                    else:
                        good.append((line, values))
            parsed = parse(Observation, good, constants)
            self._reject(bad + _invalid(parsed.rejections, good))
            yield to_table(parsed.records)

    def _reject(self, bad: list[_BadRow]) -> None:
        """Report and quarantine rows in the order of the file, wherever they failed."""
        for rejections, row in sorted(bad, key=lambda each: each[0][0].line):
            self.rejected += 1
            self.rejections += rejections[: max(0, SHOWN_REJECTIONS - len(self.rejections))]
            self._quarantine.add(rejections, row)


def _invalid(rejections: Sequence[Rejection], rows: list[tuple[int, Mapping[str, Any]]]) -> list[_BadRow]:
    """The rows that are no valid observation, each with all that is wrong with it."""
    problems: dict[int, list[Rejection]] = {}
    for rejection in rejections:
        problems.setdefault(rejection.line, []).append(rejection)
    by_line = dict(rows) if problems else {}
    return [(found, by_line[line]) for line, found in problems.items()]


def _untranslated(
    line: int, values: Mapping[str, Any], problems: Sequence[Problem], constants: Mapping[str, object]
) -> list[Rejection]:
    """Everything that is wrong with a row which the mapping could not translate whole."""
    fields = {problem.field for problem in problems}
    found = [
        Rejection(line, problem.field, str(problem.value), f"{problem.field}: {problem.value!r} {problem.message}")
        for problem in problems
    ]
    others = parse(Observation, [(line, values)], constants).rejections
    return found + [other for other in others if other.field not in fields]


def _check_columns(path: str, rows: Rows, mapping: FileMapping | None, source: str | None) -> None:
    """Refuse a file as a whole whose columns cannot be meant."""
    if mapping is not None:
        if source is None and mapping.source is None and "source" not in mapping.columns:
            raise InvalidInput("The mapping names no source; add `source: NAME` to it or give one with the import.")
        if rows.columns is not None:
            mapping.check_columns(path, rows.columns)
        return
    if rows.columns is None:
        return
    unknown = unknown_names(Observation, rows.columns)
    if unknown:
        listed = "; ".join(f"{name!r}: {suggestion(Observation, name)}" for name in unknown[:5])
        raise InvalidInput(
            f"{path} has columns that are no fields of an observation ({len(unknown)}: {listed}). "
            "Rename them, or say with a mapping (`--preset`) what they mean."
        )


@contextmanager
def _staging(settings: Settings) -> Iterator[Path]:
    """A folder of this import alone; those of imports that were killed are removed."""
    import psutil

    root = settings.home / "staging"
    root.mkdir(parents=True, exist_ok=True)
    for left in root.iterdir():
        owner = left.name.partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=root) as folder:
        yield Path(folder)


def _parts(staged: Path) -> Iterator[pa.Table]:
    """The staged rows in order of their hours, in parts that `append` stores in one transaction each."""
    rows = ds.dataset(staged, format="parquet")
    counts = _rows_by_hour(rows)
    hours = sorted(counts)
    start = 0
    while start < len(hours):
        end, size = start + 1, counts[hours[start]]
        while end < len(hours) and end - start < MAX_HOURS and size + counts[hours[end]] <= MAX_ROWS:
            size += counts[hours[end]]
            end += 1
        after = hours[end - 1] + timedelta(hours=1)
        yield from _bounded(rows, (ds.field("occurred_at") >= hours[start]) & (ds.field("occurred_at") < after))
        start = end


def _rows_by_hour(rows: ds.Dataset) -> dict[datetime, int]:
    counts: dict[datetime, int] = {}
    for batch in rows.to_batches(columns=["occurred_at"]):
        for item in pc.value_counts(pc.floor_temporal(batch["occurred_at"], unit="hour")).to_pylist():
            counts[item["values"]] = counts.get(item["values"], 0) + item["counts"]
    return counts


def _bounded(rows: ds.Dataset, chosen: ds.Expression) -> Iterator[pa.Table]:
    """The chosen rows in tables of about `MAX_ROWS` or `MAX_PART_BYTES` at most, whatever a single hour holds."""
    held: list[pa.RecordBatch] = []
    size = size_bytes = 0
    for batch in rows.to_batches(filter=chosen):
        held.append(batch)
        size += batch.num_rows
        size_bytes += batch.nbytes
        if size >= MAX_ROWS or size_bytes >= MAX_PART_BYTES:
            yield pa.Table.from_batches(held, schema=OBSERVATION_SCHEMA)
            held, size, size_bytes = [], 0, 0
    if size:
        yield pa.Table.from_batches(held, schema=OBSERVATION_SCHEMA)
