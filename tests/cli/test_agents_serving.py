"""`cogorch agents serve` and `updates`: a process that ends cleanly when told, and goes on after any end."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cogorch_dagster.agents import checkpoints
from cogorch_dagster.cli import agents_serving
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.platform.tables import acknowledgements
from cogorch_dagster.serving import kept
from cogorch_dagster.serving.process import LOCK, Progress
from cogorch_dagster.serving.reload import Reload
from cogorch_dagster.serving.reports import Reports
from cogorch_dagster.settings import Settings
from tests.cli.conftest import Run
from tests.service.processes import free_port
from tests.serving.hyperparameters import into_force, rows
from tests.serving.test_watching import earn

SERVE = ("agents", "serve", "--agents", "consensus", "--fleets", "2", "--checkpoint-every", "0.2", "--json")


def test_a_process_is_killed_or_told_to_end_and_the_next_goes_on(cogorch: Run, seeded: Settings) -> None:
    # Nobody answers there: the agents run all the same.
    away = {"COGORCH_SERVICE_PORT": str(free_port())}
    path = Path(kept.path_of(seeded, "agents"))
    with sent_at_the_next_checkpoint(seeded, path, signal.SIGKILL):
        assert cogorch(*SERVE, **away).code == -signal.SIGKILL
    steps = checkpoints.read(path).steps // 2
    assert steps > 0
    with sent_at_the_next_checkpoint(seeded, path, signal.SIGTERM):
        ended = cogorch(*SERVE, **away)
    assert ended.code == 0, ended.err
    assert f"runs in 2 fleets from step {steps}: consensus kept" in ended.err
    assert ended.json["steps"] == checkpoints.read(path).steps // 2 - steps > 0
    assert ended.json["path"] == str(path)
    assert rows(seeded, acknowledgements) == []


@contextmanager
def sent_at_the_next_checkpoint(settings: Settings, path: Path, number: signal.Signals) -> Iterator[None]:
    """Send a signal to the agents of this installation as soon as they have written their file."""
    written = path.stat().st_mtime_ns if path.exists() else 0

    def send() -> None:
        deadline = time.monotonic() + 60
        while not path.exists() or path.stat().st_mtime_ns == written:
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)
        os.kill(int((settings.home / "serving" / "agents" / LOCK).read_text()), number)

    sender = threading.Thread(target=send)
    sender.start()
    yield
    sender.join()


def test_updates_are_shown(cogorch: Run, seeded: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    agents_serving.updates("ethical", 20, as_json=False)
    assert "agent-ethical@1.0.0" in capsys.readouterr().out
    done = into_force(seeded, "ethical", clip=0.25)
    agents_serving.updates("ethical", 20, as_json=False)
    shown = capsys.readouterr().out
    assert f"agent-ethical@{done.version}" in shown and "approve by ada" in shown
    found = cogorch("agents", "updates", "--json").json
    assert len(found["history"]) == 5 and found["history"][0]["version"] == done.version
    assert found["pending"] == [] and found["statistics"]["p99_ms"] is None
    earn(seeded, 0.9, 3, seconds=-0.5)
    version = into_force(seeded, "ethical", hidden=[64, 32]).version
    earn(seeded, 0.9, 2)
    with Reports(seeded, "x") as reports:
        reports.acknowledge(Reload("agent-ethical", version, False, "other layers", 3))
        assert reports.flush(20)
    agents_serving.updates("ethical", 20, as_json=False)
    shown = capsys.readouterr().out
    assert "1 (most)" in shown and "most: more processes refuse the version" in shown
    assert "\n\nrefused " in shown and "other layers" in shown
    assert " (3)" in shown and " (2)" in shown and "(windows)" in shown


def test_where_a_process_is_fits_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    agents_serving._show_progress(Progress(20, None, 100, {}))
    agents_serving._show_progress(Progress(240, 0.91234, 100, {"agent-policy": "1.0.2"}))
    assert capsys.readouterr().err.splitlines() == [
        "step 20: no window yet, recorded from step 100; no version yet",
        "step 240: reward 0.9123 per step in the last window; agent-policy@1.0.2",
    ]


def test_agents_that_are_unknown_are_told_with_those_that_are() -> None:
    assert agents_serving._agents("resource, policy") == ("policy", "resource")
    with pytest.raises(InvalidInput, match="there is no agent 'pilot'; the agents are policy, consensus"):
        agents_serving._agents("policy,pilot")


def test_steps_are_a_number_or_forever() -> None:
    assert agents_serving._steps("forever") is None and agents_serving._steps("12") == 12
    for text in ("never", "0", "-1", "1.5", "10000000000"):
        with pytest.raises(InvalidInput, match="forever"):
            agents_serving._steps(text)
