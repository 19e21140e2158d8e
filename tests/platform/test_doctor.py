"""The doctor: sound installations pass, each ailment is found and has a remedy, nothing is changed by looking."""

import socket
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from cogorch_dagster.doctor import diagnose
from cogorch_dagster.platform import doctor, migrate, postgres
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.platform.doctor import Check
from cogorch_dagster.policies import flags
from cogorch_dagster.settings import Settings
from cogorch_dagster.setup import setup


def _changed(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update=changes)


def _found(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in doctor.checks(settings)}


def test_a_sound_installation_and_its_ailments(settings: Settings, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        numbers = [each.getsockname()[1] for each in (one, two)]
    settings = _changed(settings, service_port=numbers[0], webserver_port=numbers[1])
    setup(settings, tmp_path / ".env", lambda _: None)
    found = {check.name: check for check in diagnose(settings)}
    assert {name: check.detail for name, check in found.items() if not check.ok} == {}
    assert set(found) == {
        *("python", "packages", "disk", "lake", "postgres", "databases", "schema", "port_service", "port_webserver"),
        *("processes", "service", "dagster_instance", "code_location", "seeds", "audit", "learning", "stale_hours"),
    }
    assert all(check.remedy == "" for check in found.values())

    newest = migrate.revisions(settings)[1]
    with transaction(settings) as connection:
        flags.set_flag(connection, flags.LEARNING, False, actor="ann", reason="a test")
        connection.execute(sa.text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        connection.execute(sa.text("DELETE FROM audit_log WHERE seq = 3"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0000'"))
    (settings.home / "dagster" / "dagster.yaml").unlink()
    ill = {check.name: check for check in diagnose(settings) if not check.ok}
    assert {"schema", "dagster_instance"} <= set(ill)
    assert f"newest is {newest}" in ill["schema"].detail
    # What needs the schema is not examined on another one, and says so.
    assert ill["audit"].detail == "not examined: PostgreSQL is not ready"
    with transaction(settings) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :newest"), {"newest": newest})
    ill = {check.name: check for check in diagnose(settings) if not check.ok}
    assert set(ill) == {"dagster_instance", "audit", "learning"}
    assert "record 3 is missing" in ill["audit"].detail
    assert all(check.remedy for check in ill.values())
    assert not ill["learning"].required


def test_an_installation_that_was_never_set_up_is_not_set_up_by_looking(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", _env_file=None)
    found = _found(settings)
    assert [name for name in ("postgres", "databases", "schema") if found[name].ok] == []
    assert "make setup" in found["postgres"].remedy
    assert not postgres.data_directory(settings).exists()
    assert postgres.server_pid(settings) is None


def test_a_server_that_cannot_be_reached(settings: Settings) -> None:
    found = _found(_changed(settings, postgres_url=SecretStr("postgresql://ann:secret-word@127.0.0.1:1")))
    assert not found["postgres"].ok
    assert "COGORCH_POSTGRES_URL" in found["postgres"].remedy
    assert "secret-word" not in str(found)


def test_a_missing_database(settings: Settings) -> None:
    check = _found(_changed(settings, dagster_database="dagster_elsewhere"))["databases"]
    assert (check.ok, check.detail) == (False, "missing: dagster_elsewhere")


def test_a_lake_that_cannot_be_written(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check = _found(_changed(settings, lake=str(tmp_path / "file" / "lake")))["lake"]
    assert not check.ok
    assert "COGORCH_LAKE" in check.remedy


def test_the_lake_is_left_as_it_was(settings: Settings) -> None:
    assert _found(settings)["lake"].ok
    assert list(Path(settings.lake_root).iterdir()) == []


def test_a_port_that_is_taken(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        check = _found(_changed(settings, service_port=holder.getsockname()[1]))["port_service"]
    assert (check.ok, check.required) == (False, False)
    assert "COGORCH_SERVICE_PORT" in check.remedy


@pytest.mark.parametrize("error", [ValueError("odd"), KeyError("x")])
def test_a_check_that_fails_itself_is_a_finding(error: Exception) -> None:
    def check() -> doctor.Finding:
        raise error

    found = doctor.examine("odd", check, "Do this.")
    assert (found.ok, found.remedy) == (False, "Do this.")
    assert type(error).__name__ in found.detail
