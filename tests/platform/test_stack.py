"""Where the code server's socket lies, and which processes there are."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.platform import stack
from cogorch_dagster.settings import Settings


def _settings(home: Path) -> Settings:
    return Settings(home=home, _env_file=None)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of the test, short enough itself."""
    with tempfile.TemporaryDirectory(prefix="c") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_it_lies_under_a_short_home(temporary: Path) -> None:
    socket = stack.code_socket(_settings(temporary / "home"))
    assert socket == temporary / "home" / "run" / "code-server.sock"
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


def test_a_long_home_has_one_of_its_own_in_a_private_folder(tmp_path: Path, temporary: Path) -> None:
    homes = [tmp_path / ("x" * 100) / name for name in ("one", "two")]
    sockets = [stack.code_socket(_settings(home)) for home in homes]
    assert sockets == [stack.code_socket(_settings(home)) for home in homes]
    assert len(set(sockets)) == 2
    for socket in sockets:
        assert len(os.fsencode(socket)) <= stack.SOCKET_PATH_BYTES
        assert socket.is_relative_to(temporary)
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


def test_a_folder_that_somebody_else_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    somebody = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: somebody)
    with pytest.raises(Unavailable, match="belongs to another user"):
        stack.code_socket(_settings(tmp_path / ("x" * 100)))


def test_agents_run_only_when_asked_for_after_the_service(temporary: Path) -> None:
    settings = _settings(temporary / "home")
    plain, found = stack.parts(settings), stack.parts(settings, agents=True)
    assert [part.name for part in plain] == ["service", "code-server", "webserver", "daemon"]
    assert [part.name for part in found] == [*(part.name for part in plain), "agents"]
    service, *_, agents = found
    assert agents.stage > service.stage and agents.command.argv[-2:] == ("agents", "serve")
    assert agents.command.log == temporary / "home" / "logs" / "agents.log"
    assert agents.command.environment["COGORCH_HOME"] == str(settings.home)
