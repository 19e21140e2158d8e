"""DuckDB over the lake: a bounded connection and the SQL that reads a list of files."""

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cogorch_dagster.lake import files
from cogorch_dagster.lake.catalogue import HourEntry
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def connect(settings: Settings) -> "duckdb.DuckDBPyConnection":
    """An in-memory DuckDB for one task: limits from the settings, UTC, spilling under `<home>/spill`.

    It never loads an extension from the network.
    """
    import duckdb

    connection = duckdb.connect(
        config={
            "memory_limit": settings.duckdb_memory_limit,
            "threads": settings.duckdb_threads,
            "temp_directory": str(_spill_directory(settings)),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    if not files.is_local(settings):
        from fsspec.core import url_to_fs

        connection.register_filesystem(url_to_fs(settings.lake_root)[0])
    return connection


@contextmanager
def connected(settings: Settings) -> Iterator["duckdb.DuckDBPyConnection"]:
    """`connect`, closed at the end, its memory and spilled files given back."""
    connection = connect(settings)
    try:
        yield connection
    finally:
        connection.close()


def table(connection: "duckdb.DuckDBPyConnection", sql: str) -> "pa.Table":
    """The result of a query as an Arrow table, in memory."""
    return cast("pa.Table", connection.sql(sql).to_arrow_table())


def scan(settings: Settings, source: Iterable[HourEntry] | Iterable[str], schema: "pa.Schema | None" = None) -> str:
    """SQL text of a relation over catalogue entries or relative paths, to put after FROM.

    Args:
        schema: the dataset's schema; makes an empty list of files a relation without rows, with typed columns.

    Raises:
        ValueError: no files and no schema.
    """
    paths: list[str] = []
    for item in source:
        paths.extend(item.files if isinstance(item, HourEntry) else (item,))
    if paths:
        listed = ", ".join(quote(url) for url in files.urls(settings, paths))
        return f"read_parquet([{listed}], hive_partitioning = false)"
    if schema is None:
        raise ValueError("There is no file to scan; pass the schema of the dataset for an empty relation.")
    return empty(schema)


def empty(schema: "pa.Schema") -> str:
    """SQL text of a relation without rows that has the columns of an Arrow schema."""
    columns = ", ".join(f"CAST(NULL AS {_sql_type(field.type)}) AS {identifier(field.name)}" for field in schema)
    return f"(SELECT {columns} WHERE false)"


def quote(text: str) -> str:
    """A string literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A quoted identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def _sql_type(arrow: "pa.DataType") -> str:
    import pyarrow.types as pt

    if pt.is_list(arrow) or pt.is_large_list(arrow):
        return f"{_sql_type(arrow.value_type)}[]"
    if pt.is_map(arrow):
        return f"MAP({_sql_type(arrow.key_type)}, {_sql_type(arrow.item_type)})"
    if pt.is_struct(arrow):
        return "STRUCT(" + ", ".join(f"{identifier(f.name)} {_sql_type(f.type)}" for f in arrow.fields) + ")"
    if pt.is_timestamp(arrow):
        return "TIMESTAMP" if arrow.tz is None else "TIMESTAMPTZ"
    if pt.is_dictionary(arrow):
        return _sql_type(arrow.value_type)
    names = {
        "string": "VARCHAR",
        "large_string": "VARCHAR",
        "bool": "BOOLEAN",
        "int8": "TINYINT",
        "int16": "SMALLINT",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "float": "REAL",
        "double": "DOUBLE",
        "binary": "BLOB",
        "date32[day]": "DATE",
    }
    if str(arrow) not in names:
        raise ValueError(
            f"The lake has no column type {arrow}; use one of {', '.join(sorted(names))}, a list or a map."
        )
    return names[str(arrow)]


def _spill_directory(settings: Settings) -> Path:
    """A folder of this connection alone: two of them in one would overwrite each other's blocks."""
    root = settings.home / "spill"
    root.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(root)
    return root / f"{os.getpid()}-{uuid.uuid4().hex[:12]}"


def _remove_left_behind(root: Path) -> None:
    """DuckDB removes its folder when it closes; one of a process that was killed stays until here."""
    import psutil

    for folder in root.iterdir():
        owner = folder.name.partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            with suppress(OSError):
                shutil.rmtree(folder)
