"""The whole loop on real processes: what `make demo` shows, at a shorter load, and its result for programs."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cogorch_dagster.demo import DemoOptions, DemoResult
from cogorch_dagster.demo.result import Measured, Proposal
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import audit, lineage, store
from cogorch_dagster.settings import Settings


def _demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cogorch_dagster.cli", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def free_port(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port of its own for the demo's service; after `settings`, which clears the environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("COGORCH_SERVICE_PORT", str(probe.getsockname()[1]))


@pytest.mark.usefixtures("free_port")
def test_the_loop_closes_on_real_traffic(settings: Settings) -> None:
    done = _demo("--json", "--rate", "60", "--seconds", "10", "--seed", "3")
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert len(lines) == 1, "with --json nothing but the result is on stdout"
    result = json.loads(lines[0])

    proposal, measured = result["proposal"], result["measured"]
    low, high = proposal["ci95"]
    assert 0 < low < proposal["estimate"] < high, "only what clears the minimum gain is proposed"
    assert measured["diff"] == pytest.approx(measured["after"] - measured["before"])
    assert measured["diff_ci95"][0] < measured["diff"] < measured["diff_ci95"][1]
    assert min(measured["decisions"]) > 500, "every request of both loads was measured"
    assert 0 < result["switch_ms"] < 30_000
    assert Path(result["figure"]).read_bytes().startswith(b"\x89PNG")
    assert "switched to 1.0.1" in done.stderr

    with transaction(settings) as connection:
        active = store.active(connection, "router-core")
        assert active is not None
        assert active.version == proposal["version"] == "1.0.1"
        assert active.params == proposal["params"]
        assert not lineage.lineage(connection, "router-core", "1.0.1").problems
        assert audit.verify(connection).ok


def test_too_short_a_load_is_refused_with_the_remedy() -> None:
    with pytest.raises(InvalidInput, match=r"100 requests.*at least 200.*raise --rate or --seconds"):
        DemoOptions(rate=10, seconds=10)


@pytest.mark.usefixtures("free_port")
def test_the_command_names_the_remedy_too() -> None:
    done = _demo("--rate", "1", "--seconds", "5")
    assert done.returncode == 2
    assert "raise --rate or --seconds" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("interval", "sentence"),
    [((0.01, 0.09), "is better"), ((-0.09, -0.01), "is worse"), ((-0.01, 0.09), "includes 0")],
)
def test_the_verdict_follows_the_interval(interval: tuple[float, float], sentence: str) -> None:
    middle = sum(interval) / 2
    proposal = Proposal("router-core", "1.0.1", "1.0.0", {}, {}, 0.2, (0.1, 0.3), 400.0, 800)
    measured = Measured(0.5, 0.01, 0.5 + middle, 0.01, middle, interval, (900, 900))
    result = DemoResult(proposal, measured, 12.0, 0, 7, "result.png")
    assert sentence in result.verdict
    assert not result.as_estimated
