"""`cogorch setup`: everything that is missing, nothing twice, nothing of the user's overwritten."""

import os
import stat
from pathlib import Path

import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.service import tokens
from cogorch_dagster.settings import Settings
from cogorch_dagster.setup import local_token_file, setup, write_env_file
from tests.cli.conftest import Run


def test_setup_twice(cogorch: Run, settings: Settings) -> None:
    first = cogorch("setup", "--json")
    assert first.code == 0, first.err
    seeded = [each.partition("@")[0] for each in first.json["seeded"]]
    assert seeded[:3] == ["reward-default", "reward-llm_router", "router-core"]
    assert seeded[3:] == ["agent-policy", "agent-consensus", "agent-ethical", "agent-resource"]
    assert (settings.home / "dagster" / "dagster.yaml").is_file()
    file = local_token_file(settings)
    secret = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert secret.strip() not in first.out + first.err
    second = cogorch("setup", "--json")
    assert (second.code, second.json["seeded"], file.read_text()) == (0, [], secret)


def test_a_revoked_or_foreign_local_token_is_issued_again(settings: Settings, tmp_path: Path) -> None:
    said: list[str] = []
    setup(settings, tmp_path / ".env", said.append)
    file = local_token_file(settings)
    for spoil in ("revoked", "foreign"):
        before = file.read_text()
        if spoil == "revoked":
            with transaction(settings) as connection:
                tokens.revoke(connection, "local")
        else:
            file.write_text("of another installation")
        setup(settings, tmp_path / ".env", said.append)
        with transaction(settings) as connection:
            token = tokens.verify(connection, file.read_text().strip())
        assert token is not None
        assert token.revoked_at is None
        assert token.scopes == {"ingest", "read", "approve"}
        assert file.read_text() != before


def test_the_env_file_gets_what_it_lacks_and_keeps_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COGORCH_HOME", raising=False)
    settings = Settings(home=tmp_path / "home", _env_file=None)
    file = tmp_path / ".env"
    assert write_env_file(settings, file) == ["COGORCH_HOME", "DAGSTER_HOME"]
    assert write_env_file(settings, file) == []
    assert Settings(_env_file=file).home == tmp_path / "home"
    file.write_text("# mine\nexport COGORCH_HOME=/elsewhere\nCOGORCH_SERVICE_PORT=9000")
    assert write_env_file(settings, file) == ["DAGSTER_HOME"]
    assert file.read_text().startswith("# mine\nexport COGORCH_HOME=/elsewhere\nCOGORCH_SERVICE_PORT=9000\n")
    assert Settings(_env_file=file).service_port == 9000


def test_a_home_from_the_environment_is_not_written_down(cogorch: Run, settings: Settings, tmp_path: Path) -> None:
    assert "COGORCH_HOME" in os.environ
    assert write_env_file(settings, tmp_path / ".env") == []
    assert not (tmp_path / ".env").exists()


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(home=tmp_path / "file" / "home", _env_file=None)
    with pytest.raises(InvalidInput, match=r"COGORCH_HOME=.*file/home cannot be made"):
        setup(settings, tmp_path / ".env", lambda _: None)
