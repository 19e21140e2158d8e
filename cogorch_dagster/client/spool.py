"""Rows that wait for delivery, in bounded segment files that outlive the process and a dead service.

A row is one line, `<kind> <crc32> <json>`. Lines are appended to the newest segment only; a full segment is left as it
is and the next one begun, so that rotation is the creation of a file. A segment disappears once every row of it was
delivered, the newest one is emptied instead.

Durability: `append` writes to the kernel before it returns and never calls fsync. A row therefore survives `kill -9` of
the process, while a power failure may lose the last seconds of rows that were not yet delivered. An fsync would make
the caller wait for the disk, and a router must not. After a crash the rest of one segment may be delivered twice; the
service drops what it knows.
"""

import fcntl
import os
import re
import threading
import zlib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

MAX_ROW_BYTES = 1 << 20
_READ_BYTES = 4 << 20
_SEGMENT_BYTES = 1 << 20
_SMALLEST_SPOOL = 64 << 10
_NAME = re.compile(r"segment-(\d{12})\.jsonl")
_LINE_PARTS = 3

OBSERVATION = b"o"
FEEDBACK = b"f"


@dataclass(eq=False)
class _Segment:
    number: int
    path: Path
    size: int = 0
    rows: int = 0
    delivered_bytes: int = 0
    delivered_rows: int = 0


@dataclass(frozen=True)
class Batch:
    """Consecutive lines of one segment: the JSON of each sound row, by kind."""

    segment: int
    end: int
    lines: int
    observations: list[bytes] = field(default_factory=list)
    feedback: list[bytes] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.observations) + len(self.feedback)


class Spool:
    """Bounded, ordered rows on disk; any thread appends, one thread reads and acknowledges.

    Args:
        directory: of this process alone; created with its parents.
        max_bytes: bound of all segments together, at least 64 KiB; past it the oldest segment is dropped whole.

    Raises:
        RuntimeError: another process uses the directory.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        if max_bytes < _SMALLEST_SPOOL:
            raise ValueError(f"max_spool_bytes is {max_bytes}; it must be at least {_SMALLEST_SPOOL}")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._max_bytes = max_bytes
        # The bound is kept by dropping whole segments, so a segment is at most an eighth of it.
        self._segment_bytes = min(_SEGMENT_BYTES, max_bytes // 8)
        self._lock = threading.Lock()
        self._guard = _hold(directory)
        self.dropped = 0
        self.corrupted = 0
        self._segments = deque(_found(directory))
        self._bytes = sum(segment.size for segment in self._segments)
        self._rows = sum(segment.rows for segment in self._segments)
        self._fd = -1
        self._begin_segment()

    @property
    def rows(self) -> int:
        """Rows not yet delivered."""
        return self._rows

    @property
    def size(self) -> int:
        """Bytes that the segments take on disk."""
        return self._bytes

    @property
    def max_row_bytes(self) -> int:
        return min(MAX_ROW_BYTES, self._segment_bytes) - 64

    def append(self, kind: bytes, row: bytes) -> None:
        """Keep one row of at most `max_row_bytes`; drops the oldest segment when the bound would be passed.

        Raises:
            OSError: the disk refuses; what was there before stays readable.
        """
        line = b"%s %08x %s\n" % (kind, zlib.crc32(row), row)
        with self._lock:
            newest = self._segments[-1]
            if newest.size and newest.size + len(line) > self._segment_bytes:
                newest = self._begin_segment()
            while self._bytes + len(line) > self._max_bytes and len(self._segments) > 1:
                self._drop_oldest()
            written = os.write(self._fd, line)
            if written != len(line):
                os.ftruncate(self._fd, newest.size)
                raise OSError(f"only {written} of {len(line)} bytes fitted on the disk of {self._directory}")
            newest.size += written
            newest.rows += 1
            self._bytes += written
            self._rows += 1

    def read(self, max_rows: int) -> Batch | None:
        """The oldest undelivered rows, at most `max_rows` and about 4 MiB; None when there are none."""
        with self._lock:
            oldest = next((s for s in self._segments if s.delivered_bytes < s.size), None)
            if oldest is None:
                return None
            start, end = oldest.delivered_bytes, oldest.size
        try:
            with oldest.path.open("rb") as file:
                file.seek(start)
                data = file.read(min(end - start, _READ_BYTES))
        except FileNotFoundError:
            # Dropped for the bound a moment ago, or removed by somebody's hand.
            self._forget(oldest)
            return self.read(max_rows)
        lines = data.split(b"\n")
        tail = lines.pop()
        if tail and (start + len(data) == end or not lines):
            # A process was killed inside a write, or this is no file of ours: what has no newline is no row.
            lines.append(tail)
        lines = lines[:max_rows]
        length = min(sum(map(len, lines)) + len(lines), len(data))
        batch = Batch(oldest.number, start + length, len(lines))
        for line in lines:
            parts = line.split(b" ", _LINE_PARTS - 1)
            if len(parts) == _LINE_PARTS and parts[1] == b"%08x" % zlib.crc32(parts[2]):
                if parts[0] == OBSERVATION:
                    batch.observations.append(parts[2])
                elif parts[0] == FEEDBACK:
                    batch.feedback.append(parts[2])
        return batch

    def acknowledge(self, batch: Batch) -> None:
        """The service holds the batch: forget it."""
        with self._lock:
            segment = next((s for s in self._segments if s.number == batch.segment), None)
            self.corrupted += batch.lines - batch.rows
            if segment is None:
                # Dropped, and counted so, while the batch was on its way.
                self.dropped -= batch.lines
                return
            segment.delivered_bytes = batch.end
            segment.delivered_rows += batch.lines
            self._rows -= batch.lines
            if segment.delivered_bytes < segment.size:
                return
            # Garbage may hold more or fewer lines than were counted when the file was found.
            self._rows -= segment.rows - segment.delivered_rows
            self._bytes -= segment.size
            if segment is self._segments[-1]:
                os.ftruncate(self._fd, 0)
                segment.size = segment.rows = segment.delivered_bytes = segment.delivered_rows = 0
            else:
                self._segments.remove(segment)
                segment.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the directory; undelivered rows stay in it."""
        with self._lock:
            if self._fd < 0:
                return
            os.close(self._fd)
            self._fd = -1
            if not self._segments[-1].size:
                self._segments[-1].path.unlink(missing_ok=True)
            os.close(self._guard)

    def _begin_segment(self) -> _Segment:
        number = self._segments[-1].number + 1 if self._segments else 1
        path = self._directory / f"segment-{number:012d}.jsonl"
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._segments.append(_Segment(number, path))
        return self._segments[-1]

    def _drop_oldest(self) -> None:
        segment = self._segments.popleft()
        self._count_lost(segment)
        segment.path.unlink(missing_ok=True)

    def _forget(self, segment: _Segment) -> None:
        """Count the rows of a segment whose file is gone."""
        with self._lock:
            if segment not in self._segments:
                return
            if segment is self._segments[-1]:
                self._begin_segment()
            self._segments.remove(segment)
            self._count_lost(segment)

    def _count_lost(self, segment: _Segment) -> None:
        lost = segment.rows - segment.delivered_rows
        self.dropped += lost
        self._rows -= lost
        self._bytes -= segment.size


def _hold(directory: Path) -> int:
    """Lock the directory for this process; the kernel releases the lock when the process ends in any way."""
    fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise RuntimeError(f"the spool {directory} is in use; give each client its own directory") from error
    return fd


def _found(directory: Path) -> list[_Segment]:
    """The segments that an earlier process left, oldest first; empty ones are removed."""
    segments = []
    for path in sorted(directory.glob("segment-*.jsonl")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        data = path.read_bytes()
        if not data:
            path.unlink()
            continue
        rows = data.count(b"\n") + (0 if data.endswith(b"\n") else 1)
        segments.append(_Segment(int(match.group(1)), path, len(data), rows))
    return segments
