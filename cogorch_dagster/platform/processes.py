"""Starting and stopping child processes so that none is ever lost and none of somebody else's is ever touched.

Each child leads a session of its own and carries the installation's home in its environment. A record of it is on
disk before it begins to work, so whoever comes later, also after the starter was killed, can find it and all that
it started in turn, and can tell it from a stranger that was given the same process id.
"""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

# The home of the installation that a process belongs to; children inherit it.
MARK = "COGORCH_SUPERVISED"
# The clock of the machine may be set while a process lives, which moves its apparent time of birth.
BIRTH_TOLERANCE_S = 2.0
LOG_LIMIT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Command:
    """What to start: arguments, the whole environment, the file for its output, the working directory."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    directory: Path


@dataclass(frozen=True)
class ProcessRecord:
    """Enough to recognise a process later: its id alone is not, because ids are used again."""

    name: str
    pid: int
    created: float
    home: str

    def is_alive(self) -> bool:
        """Whether this very process (not another with its id) runs."""
        return _belongs(self.pid, self, born_later=False)


def spawn(command: Command, home: Path, remember: Callable[[ProcessRecord], None]) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own; `remember` has stored its record before it begins to work.

    Args:
        remember: writes the record to disk. If it raises, or this process is killed meanwhile, nothing is started.
    """
    command.log.parent.mkdir(parents=True, exist_ok=True)
    shorten_log(command.log)
    # The shell waits for one line and turns into the command; it ends by itself if its starter dies before that.
    waiting = ("/bin/sh", "-c", 'read -r _ && exec "$@" </dev/null', "sh", *command.argv)
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "wb") as go, os.fdopen(read_end, "rb") as wait, command.log.open("ab") as log:
        child = subprocess.Popen(
            waiting,
            stdin=wait,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**command.environment, MARK: str(home)},
            cwd=command.directory,
            start_new_session=True,
        )
        remember(ProcessRecord(command.name, child.pid, psutil.Process(child.pid).create_time(), str(home)))
        go.write(b"\n")
    return child


def members(record: ProcessRecord) -> list[psutil.Process]:
    """The recorded process and everything that it started, as far as it lives; the oldest first."""
    found = [psutil.Process(pid) for pid in psutil.pids() if _session(pid) == record.pid and _belongs(pid, record)]
    return sorted(found, key=lambda process: process.pid != record.pid)


def stop(record: ProcessRecord, *, grace_s: float = 10.0) -> bool:
    """Ask a process and all that it started to end, and kill what is left after `grace_s` seconds.

    Returns:
        Whether there was anything to stop.
    """
    running = members(record)
    for process in running:
        with suppress(psutil.Error):
            process.terminate()
    psutil.wait_procs(running, timeout=grace_s)
    # One that was being started while we asked has not heard it.
    left = members(record)
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=5)
    return bool(running)


def stop_each(records: Sequence[ProcessRecord], say: Callable[[str], None], *, grace_s: float = 10.0) -> list[str]:
    """Stop several in the reverse order of their start; returns the names of those that were running."""
    stopped = []
    for record in reversed(records):
        begun = time.monotonic()
        if stop(record, grace_s=grace_s):
            say(f"stopped {record.name} ({time.monotonic() - begun:.1f} s)")
            stopped.append(record.name)
    return stopped


def shorten_log(path: Path, limit: int = LOG_LIMIT_BYTES) -> None:
    """Keep one older part `<name>.1` and start the log afresh when it is longer than `limit` bytes.

    Copies and empties, since the process that appends to the file keeps it open.
    """
    import shutil

    with suppress(FileNotFoundError):
        if path.stat().st_size > limit:
            shutil.copyfile(path, path.with_name(path.name + ".1"))
            os.truncate(path, 0)


def log_tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    if not path.exists():
        return "(no log)"
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 16_384))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _belongs(pid: int, record: ProcessRecord, *, born_later: bool = True) -> bool:
    try:
        process = psutil.Process(pid)
        age = process.create_time() - record.created
        if age < -BIRTH_TOLERANCE_S or (age > BIRTH_TOLERANCE_S and not born_later):
            return False
        return _environment(process).get(MARK) == record.home
    except (psutil.Error, OSError):
        return False


def _environment(process: psutil.Process) -> dict[str, str]:
    for _ in range(20):
        # It is empty for a zombie, and for a moment while a process turns into another program.
        if process.status() == psutil.STATUS_ZOMBIE:
            return {}
        if environment := process.environ():
            return environment
        time.sleep(0.005)
    return {}
