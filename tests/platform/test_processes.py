"""Child processes: recorded before they work, recognised later, stopped with all they started, no stranger harmed."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cogorch_dagster.platform import processes
from cogorch_dagster.platform.processes import Command, ProcessRecord

# Its child ignores SIGTERM.
STUBBORN_PARENT = """
import subprocess, sys, time
code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", code])
time.sleep(60)
"""


def _command(tmp_path: Path, code: str, name: str = "part") -> Command:
    argv = (sys.executable, "-u", "-c", textwrap.dedent(code))
    return Command(name, argv, dict(os.environ), tmp_path / "logs" / f"{name}.log", tmp_path)


def _until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., ProcessRecord]]:
    """Starts code as a recorded process; whatever is left of it is killed at the end."""
    records: list[ProcessRecord] = []

    def start(code: str, name: str = "part") -> ProcessRecord:
        processes.spawn(_command(tmp_path, code, name), tmp_path, records.append)
        return records[-1]

    yield start
    for record in records:
        processes.stop(record, grace_s=0)


def test_a_process_is_recorded_before_it_begins_to_work(tmp_path: Path) -> None:
    file = tmp_path / "worked"
    seen: list[bool] = []

    def remember(record: ProcessRecord) -> None:
        time.sleep(0.3)
        seen.append(file.exists())

    child = processes.spawn(_command(tmp_path, f"open({str(file)!r}, 'w')"), tmp_path, remember)
    assert child.wait(20) == 0
    assert seen == [False]
    assert file.exists()


def test_nothing_is_started_when_the_record_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "worked"
    pids: list[int] = []

    def remember(record: ProcessRecord) -> None:
        pids.append(record.pid)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        processes.spawn(_command(tmp_path, f"open({str(file)!r}, 'w')"), tmp_path, remember)
    assert _until(lambda: not psutil.pid_exists(pids[0]) or psutil.Process(pids[0]).status() == psutil.STATUS_ZOMBIE)
    assert not file.exists()


def test_a_starter_that_is_killed_before_the_record_leaves_no_process(tmp_path: Path) -> None:
    code = f"""
    import os
    from pathlib import Path
    from cogorch_dagster.platform import processes
    command = processes.Command("part", ("sleep", "60"), dict(os.environ), Path({str(tmp_path)!r}) / "log", Path("/"))
    def remember(record):
        print(record.pid, flush=True)
        os.kill(os.getpid(), 9)
    processes.spawn(command, Path({str(tmp_path)!r}), remember)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert killed.returncode == -9
    pid = int(killed.stdout)
    assert _until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_stop_ends_a_process_and_a_child_that_ignores_sigterm(
    started: Callable[..., ProcessRecord], tmp_path: Path
) -> None:
    record = started(STUBBORN_PARENT)
    log = tmp_path / "logs" / "part.log"
    assert _until(lambda: "up" in log.read_text())
    family = processes.members(record)
    assert len(family) == 2
    assert family[0].pid == record.pid
    assert processes.stop(record, grace_s=0.5)
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)
    assert not processes.stop(record)


def test_children_of_a_killed_process_are_still_found(started: Callable[..., ProcessRecord], tmp_path: Path) -> None:
    record = started(STUBBORN_PARENT)
    assert _until(lambda: "up" in (tmp_path / "logs" / "part.log").read_text())
    psutil.Process(record.pid).kill()
    assert _until(lambda: not record.is_alive())
    orphans = processes.members(record)
    assert len(orphans) == 1
    assert processes.stop(record, grace_s=0.2)
    assert processes.members(record) == []


@pytest.mark.parametrize("change", ["created", "home"])
def test_a_stranger_with_a_recorded_id_is_left_alone(
    started: Callable[..., ProcessRecord], tmp_path: Path, change: str
) -> None:
    record = started("import time; print('up'); time.sleep(60)")
    assert _until(lambda: "up" in (tmp_path / "logs" / "part.log").read_text())
    values = {"created": record.created + 3600} if change == "created" else {"home": str(tmp_path / "other")}
    other = replace(record, **values)
    assert not other.is_alive()
    assert not processes.stop(other, grace_s=0)
    assert record.is_alive()


def test_a_process_is_recognised_from_the_first_moment_on(started: Callable[..., ProcessRecord]) -> None:
    for number in range(20):
        assert started("import time; time.sleep(60)", f"part-{number}").is_alive()


def test_several_are_stopped_in_reverse_order(started: Callable[..., ProcessRecord]) -> None:
    records = [started("import time; time.sleep(60)", name) for name in ("first", "second")]
    said: list[str] = []
    assert processes.stop_each(records, said.append) == ["second", "first"]
    assert len(said) == 2


def test_a_long_log_is_cut_and_its_older_part_kept(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    with log.open("ab") as stream:
        stream.write(b"old\n" * 100)
        stream.flush()
        processes.shorten_log(log, limit=200)
        stream.write(b"new\n")
    assert log.read_text() == "new\n"
    assert (tmp_path / "part.log.1").read_text() == "old\n" * 100
    processes.shorten_log(tmp_path / "absent.log")


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    assert processes.log_tail(log) == "(no log)"
    log.write_text("\n".join(str(number) for number in range(5000)))
    assert processes.log_tail(log, lines=2) == "4998\n4999"
