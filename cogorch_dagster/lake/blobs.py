"""Files of the lake that are no tables: each is written whole under a name that its writer chose, and read whole.

What they mean, and which of them still count, is a matter of the package that wrote them.
"""

import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

PARTIAL = ".partial"


def write(url: str, content: bytes) -> None:
    """Put a file there at once: whoever reads, and whenever this process dies, finds the old content or the new.

    Locally by a temporary name beside it, fsync and rename; elsewhere by the store's own put, which is atomic.

    Args:
        url: a local path or any fsspec URL; missing folders are made.
    """
    filesystem, path = _open(url)
    if not _is_local(filesystem):
        filesystem.pipe_file(path, content)
        return
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{final.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(final)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(final.parent)


def read(url: str) -> bytes:
    """The content of a file.

    Raises:
        FileNotFoundError: there is none.
    """
    filesystem, path = _open(url)
    return cast(bytes, filesystem.cat_file(path))


def written(url: str) -> dict[str, datetime]:
    """The files below a folder with the moment (UTC) at which each was last written; empty if there is no folder.

    Names are relative to the folder; what a killed writer left (`*.partial`) is among them.
    """
    filesystem, folder = _open(url)
    filesystem.invalidate_cache()
    if not filesystem.exists(folder):
        return {}
    found = {}
    for path in filesystem.find(folder):
        try:
            moment = cast(datetime, filesystem.modified(path))
        except FileNotFoundError:  # Its writer has renamed it since, or somebody else cleared it away.
            continue
        name = path.removeprefix(folder).lstrip("/")
        found[name] = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return found


def delete(url: str) -> None:
    """Delete a file; nothing happens if there is none."""
    filesystem, path = _open(url)
    try:
        filesystem.rm_file(path)
    except FileNotFoundError:
        return


def delete_folder(url: str) -> None:
    """Delete a folder with all files in it; nothing happens if there is none. Killed meanwhile, it leaves some."""
    filesystem, path = _open(url)
    try:
        filesystem.rm(path, recursive=True)
    except FileNotFoundError:
        return


def _open(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    filesystem, path = url_to_fs(url)
    return filesystem, path.rstrip("/")


def _is_local(filesystem: Any) -> bool:
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(filesystem, LocalFileSystem)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
