"""What runs, or did when its supervisor was killed, as `<home>/run/state.json` tells every other process.

Starting and stopping it is `supervisor`'s.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from cogorch_dagster.platform import stack
from cogorch_dagster.platform.processes import BIRTH_TOLERANCE_S, ProcessRecord
from cogorch_dagster.settings import Settings


@dataclass(frozen=True)
class State:
    """What `<home>/run/state.json` holds.

    Attributes:
        phase: `starting`, `ready` or `stopping`.
        records: everything started and perhaps still alive, in the order of start.
    """

    pid: int
    created: float
    phase: str = "starting"
    urls: dict[str, str] = field(default_factory=dict)
    records: tuple[ProcessRecord, ...] = ()
    restarts: dict[str, int] = field(default_factory=dict)

    def supervisor(self) -> psutil.Process | None:
        """The supervising process, None when it is gone."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) <= BIRTH_TOLERANCE_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None

    def alive(self) -> list[ProcessRecord]:
        """The records of the processes that run now."""
        return [record for record in self.records if record.is_alive()]


def read(settings: Settings) -> State | None:
    """What is or was running, None when nothing was left behind."""
    try:
        content = json.loads(_file(settings).read_text())
        records = tuple(ProcessRecord(**record) for record in content.pop("records"))
        return State(records=records, **content)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def is_up(settings: Settings) -> bool:
    """Whether a supervisor of this installation lives."""
    state = read(settings)
    return state is not None and state.supervisor() is not None


def write(settings: Settings, state: State) -> None:
    """Tell the others; they read the old or the new state, never a part."""
    path = stack.run_directory(settings) / _file(settings).name
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(state), indent=1))
    temporary.replace(path)


def forget(settings: Settings) -> None:
    """Say that nothing runs."""
    _file(settings).unlink(missing_ok=True)


def _file(settings: Settings) -> Path:
    return settings.home / "run" / "state.json"
