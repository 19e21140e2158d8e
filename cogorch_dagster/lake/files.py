"""The Parquet files of the lake: written once under a name that never comes back, deleted when nothing names them.

A file counts only once the catalogue names it; nothing here decides that.
"""

import os
import secrets
import time
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.lake.catalogue import Dataset, referenced_files
from cogorch_dagster.lake.hours import label
from cogorch_dagster.platform import database
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

DATASETS: tuple[Dataset, ...] = ("observations", "feedback", "rewards", "rollups")
COMPRESSION = "zstd"


def write(settings: Settings, dataset: Dataset, hour: datetime, table: "pa.Table") -> str:
    """Write a table as one new file of an hour; returns its path relative to the lake's root.

    When it returns, the file is whole and on disk: locally by a temporary name, rename and fsync, elsewhere by the
    store's own put, which is atomic.
    """
    import pyarrow.parquet as pq

    path = reserve(settings, dataset, hour)
    if not is_local(settings):
        import pyarrow as pa

        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer, compression=COMPRESSION)
        filesystem, root = _filesystem(settings)
        filesystem.pipe_file(f"{root}/{path}", buffer.getvalue().to_pybytes())
        return path
    final = Path(settings.lake_root, path)
    partial = final.with_suffix(".partial")
    pq.write_table(table, partial, compression=COMPRESSION)
    partial.rename(final)
    settle(settings, path)
    return path


def reserve(settings: Settings, dataset: Dataset, hour: datetime) -> str:
    """A relative path that no file has yet, for a writer that streams; its folder exists. Call `settle` afterwards."""
    path = f"{dataset}/hour={label(hour)}/{_uuid7()}.parquet"
    if is_local(settings):
        folder = Path(settings.lake_root, path).parent
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)  # A young folder is not cleared away, empty or not.
    return path


def settle(settings: Settings, path: str) -> None:
    """Force a streamed file to disk before the catalogue may name it; other stores have done so at their put."""
    if is_local(settings):
        file = Path(settings.lake_root, path)
        for target in (file, file.parent):
            descriptor = os.open(target, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def urls(settings: Settings, files: Iterable[str]) -> list[str]:
    """Absolute paths or URLs, as DuckDB and pyarrow open them, of paths relative to the lake's root."""
    return [f"{settings.lake_root}/{path}" for path in files]


def is_local(settings: Settings) -> bool:
    """Whether the lake is a folder of this machine."""
    return "://" not in settings.lake_root


def delete_unreferenced(settings: Settings, older_than: timedelta) -> int:
    """Delete the files that no hour names and that were last written more than `older_than` ago; returns how many.

    A writer names its files in the catalogue after it wrote them, and a reader opens them after it read the
    catalogue: `older_than` must exceed the longest such interval (a day is ample). Hours that name a file always
    keep it, whatever its age.

    Raises:
        InvalidInput: `older_than` is negative.
    """
    if older_than < timedelta(0):
        raise InvalidInput(f"older_than is {older_than}; it must not be negative.")
    filesystem, root = _filesystem(settings)
    limit = datetime.now(UTC) - older_than
    # List before reading the catalogue: a file that is committed in between is then seen as referenced.
    listed = [path for dataset in DATASETS for path in filesystem.find(f"{root}/{dataset}")]
    with database.transaction(settings) as connection:
        referenced = referenced_files(connection)
    deleted = 0
    for path in listed:
        relative = path.removeprefix(root).lstrip("/")
        if relative not in referenced and _modified(filesystem, path) < limit:
            filesystem.rm_file(path)
            deleted += 1
    if is_local(settings):
        _remove_empty_folders(Path(root), limit)
    return deleted


def _remove_empty_folders(root: Path, limit: datetime) -> None:
    for dataset in DATASETS:
        for folder in (root / dataset).glob("hour=*"):
            if folder.stat().st_mtime < limit.timestamp() and not any(folder.iterdir()):
                folder.rmdir()


def _modified(filesystem: Any, path: str) -> datetime:
    moment = cast(datetime, filesystem.modified(path))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _filesystem(settings: Settings) -> tuple[Any, str]:
    """fsspec's file system of the lake, and the root as that file system writes it."""
    from fsspec.core import url_to_fs

    filesystem, root = url_to_fs(settings.lake_root)
    return filesystem, root.rstrip("/")


def _uuid7() -> uuid.UUID:
    """RFC 9562, section 5.7: 48 bits of Unix milliseconds, then random bits, so that names sort by time."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)
