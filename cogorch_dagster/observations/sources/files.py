"""Rows of CSV, JSONL and Parquet files, each with its line number, read in constant memory from any fsspec path.

What a column means is not known here: `mapping` and `parsing` say so.
"""

import codecs
import csv
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import fsspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from cogorch_dagster.errors import InvalidInput

MAX_LINE_BYTES = 4 * 1024 * 1024
MAX_FIELD_CHARACTERS = 16 * 1024 * 1024
_COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_WIDE_BOMS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Unreadable:
    """A row that is no set of named values; `value` is what could be read of it."""

    value: str
    message: str


@dataclass(frozen=True)
class Rows:
    """A file's rows with their lines (Parquet: row numbers), from 1; `columns` is None where each row names its own."""

    columns: tuple[str, ...] | None
    rows: Iterator[tuple[int, dict[str, Any] | Unreadable]]


@contextmanager
def open_rows(path: str, *, encoding: str = "utf-8", delimiter: str | None = None) -> Iterator[Rows]:
    """The rows of a file while the context lasts; the end of its name says the format, and whether it is compressed.

    Args:
        path: a local path or any fsspec URL.
        encoding: of a CSV file. Bytes that do not decode spoil their row only.
        delimiter: of a CSV file; a comma, or a tab for `.tsv`, unless given.

    Raises:
        InvalidInput: the file cannot be opened or read, is empty, or is of another format than its name says.
    """
    if _is_folder(path):
        raise InvalidInput(_folder(path))
    kind = _format(path)
    try:
        opened = fsspec.open(path, "rb", compression="infer")
    except (ImportError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be opened ({error}).") from None
    try:
        with opened as file:
            if kind == "parquet":
                yield _parquet(path, file)
            elif kind == "jsonl":
                yield Rows(None, _readable(path, _jsonl(path, file)))
            else:
                yield _csv(path, file, encoding, delimiter or ("\t" if kind == "tsv" else ","))
    except FileNotFoundError:
        raise InvalidInput(f"{path}: there is no such file; check the path.") from None
    except IsADirectoryError:
        raise InvalidInput(_folder(path)) from None
    except PermissionError:
        raise InvalidInput(f"{path} may not be read by this user; check its permissions.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(f"{path} cannot be read to its end ({error}); is it complete?") from error


def _is_folder(path: str) -> bool:
    try:
        return path != "" and Path(path.removeprefix("file://")).is_dir()
    except OSError:
        # What is wrong with the path is told where it is opened.
        return False


def _folder(path: str) -> str:
    return f"{path} is a folder; give a file of it, one import each: CSV, JSONL or Parquet, compressed or not."


def _format(path: str) -> str:
    name = PurePosixPath(path.lower())
    suffix = PurePosixPath(name.stem).suffix if name.suffix in _COMPRESSIONS else name.suffix
    if suffix not in _FORMATS:
        said = f"the ending {suffix}" if suffix else "no ending"
        raise InvalidInput(
            f"{path or repr(path)} has {said}, which says no known format; use one of {', '.join(_FORMATS)}."
        )
    return _FORMATS[suffix]


def _csv(path: str, file: IO[bytes], encoding: str, delimiter: str) -> Rows:
    text = _text(path, file, encoding)
    # Exported prompts exceed the default of 128 KiB; the limit is one of the whole process.
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        header = next(reader, None)
    except csv.Error as error:
        raise InvalidInput(f"{path}: line 1 is no CSV header ({error}).") from None
    if header is None:
        raise InvalidInput(f"{path} is empty; a CSV file begins with a line of column names.")
    columns = tuple(name.strip() for name in header)
    if any("\0" in name or not name.isprintable() for name in columns):
        raise InvalidInput(f"{path}: line 1 holds no readable column names; is it a CSV file in {encoding}?")
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise InvalidInput(f"{path}: line 1 names {', '.join(map(repr, repeated))} more than once; rename the columns.")
    return Rows(columns, _csv_rows(path, reader, columns))


def _text(path: str, file: IO[bytes], encoding: str) -> io.TextIOWrapper:
    buffered = io.BufferedReader(file, 1 << 20)  # type: ignore[type-var]
    wide = _WIDE_BOMS.get(buffered.peek(2)[:2])
    if wide and not encoding.lower().startswith(wide):
        raise InvalidInput(f"{path} is {wide.upper()}, not {encoding}; state `encoding: {wide}` in its mapping.")
    try:
        codec = codecs.lookup(encoding).name
    except LookupError:
        raise InvalidInput(f"The encoding {encoding!r} is not known; try `utf-8` or `latin-1`.") from None
    return io.TextIOWrapper(
        buffered, encoding="utf-8-sig" if codec == "utf-8" else codec, errors="surrogateescape", newline=""
    )


def _csv_rows(path: str, reader: Any, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
    width = len(columns)
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # An open quote has swallowed everything after it, so nothing behind this line can be trusted.
            if "unexpected end" in str(error) or "field larger" in str(error):
                raise InvalidInput(
                    f"{path}: a quote that opens at or after line {line} is never closed ({error}); close it."
                ) from None
            yield line, Unreadable("", f"is not a row of CSV ({error}); check its quotes")
            continue
        if len(values) == width:
            yield line, dict(zip(columns, values, strict=True))
        elif values:
            message = f"has {len(values)} values and the header {width}; quote values that contain the delimiter"
            yield line, Unreadable(repr(values), message)


def _jsonl(path: str, file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
    line = 0
    while text := file.readline(MAX_LINE_BYTES + 1):
        line += 1
        if line == 1:
            text = text.removeprefix(codecs.BOM_UTF8)
            if text.lstrip().startswith(b"["):
                raise InvalidInput(f"{path} is one JSON list; write one object per line (`jq -c '.[]'`).")
        if len(text) > MAX_LINE_BYTES:
            raise InvalidInput(f"{path}: line {line} is longer than {MAX_LINE_BYTES} bytes; write one object per line.")
        if text.isspace():
            continue
        try:
            row = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            yield line, Unreadable(_excerpt(text), f"is not valid JSON ({error})")
            continue
        if isinstance(row, dict):
            yield line, row
        else:
            yield line, Unreadable(_excerpt(text), "is not a JSON object")
    if line == 0:
        raise InvalidInput(f"{path} is empty; a JSONL file holds one object per line.")


def _parquet(path: str, file: IO[bytes]) -> Rows:
    try:
        parquet = pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise InvalidInput(f"{path} is not a Parquet file ({error}).") from None

    def rows() -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
        number = 0
        for batch in parquet.iter_batches(batch_size=8192):
            for row in batch.to_pylist():
                number += 1
                yield number, row

    return Rows(tuple(parquet.schema_arrow.names), _readable(path, rows()))


def _readable(
    path: str, rows: Iterator[tuple[int, dict[str, Any] | Unreadable]]
) -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
    try:
        yield from rows
    except pa.ArrowInvalid as error:
        raise InvalidInput(f"{path} cannot be read to its end ({error}); is it complete?") from error


def _excerpt(text: bytes) -> str:
    return text[:120].decode("utf-8", "backslashreplace").strip()
