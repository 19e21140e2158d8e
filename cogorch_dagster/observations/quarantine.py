"""Rejected rows, kept as JSONL beside the lake: what was wrong with each, and the row as it was read.

A file holds one object per row: `line`, `problems` (each with `field`, `value`, `message`) and `row`. It appears whole
or not at all, under a name that follows from its content: importing the same file again leaves one quarantine.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Any, Self

from cogorch_dagster.observations.parsing import Rejection
from cogorch_dagster.settings import Settings


class Quarantine:
    """Collects the rejected rows of one file in a local folder and publishes them at the end."""

    def __init__(self, settings: Settings, origin: str, folder: Path) -> None:
        self._root = f"{settings.lake_root}/quarantine"
        self._origin = PurePosixPath(origin).name
        self._local = folder / "quarantine.jsonl"
        self._digest = hashlib.sha256(self._origin.encode())
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, rejections: Sequence[Rejection], row: Mapping[str, Any] | str) -> None:
        """Keep one row with everything that is wrong with it."""
        if self._file is None:
            self._file = self._local.open("wb")
        problems = [{name: value for name, value in asdict(item).items() if name != "line"} for item in rejections]
        # json, not orjson: it escapes the bytes that did not decode instead of refusing them.
        line = json.dumps({"line": rejections[0].line, "problems": problems, "row": row}, default=str).encode() + b"\n"
        self._digest.update(line)
        self._file.write(line)

    def publish(self) -> str | None:
        """Put the file under `<lake>/quarantine/`; returns its path, None when no row was rejected."""
        if self._file is None:
            return None
        from fsspec.core import url_to_fs

        self._file.flush()
        os.fsync(self._file.fileno())
        filesystem, root = url_to_fs(self._root)
        filesystem.makedirs(root, exist_ok=True)
        stem = self._origin.partition(".")[0] or "rows"
        name = f"{stem}-{self._digest.hexdigest()[:16]}.jsonl"
        partial = f"{root}/.{uuid.uuid4().hex}.partial"
        filesystem.put_file(str(self._local), partial)
        filesystem.mv(partial, f"{root}/{name}")
        return f"{self._root}/{name}"


def delete_quarantine(settings: Settings, before: datetime) -> int:
    """Delete the quarantine files that were written before a moment; returns how many."""
    from fsspec.core import url_to_fs

    filesystem, root = url_to_fs(f"{settings.lake_root}/quarantine")
    if not filesystem.exists(root):
        return 0
    deleted = 0
    for path in filesystem.find(root):
        written = filesystem.modified(path)
        if written.replace(tzinfo=written.tzinfo or UTC) < before:
            filesystem.rm_file(path)
            deleted += 1
    return deleted
