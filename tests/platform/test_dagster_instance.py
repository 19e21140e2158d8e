"""The instance configuration as Dagster reads it, and what it holds back."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from cogorch_dagster.platform import dagster_instance
from cogorch_dagster.settings import Settings


def test_writing_twice_changes_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, _env_file=None)
    path = dagster_instance.write_instance(settings)
    before = path.read_bytes()
    assert dagster_instance.write_instance(settings) == path == tmp_path / "dagster" / "dagster.yaml"
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["dagster.yaml"]


def test_the_file_names_no_address_and_no_password(tmp_path: Path) -> None:
    url = "postgresql://someone:open-sesame@db.example:5433"
    settings = Settings(home=tmp_path, postgres_url=SecretStr(url), _env_file=None)
    text = dagster_instance.write_instance(settings).read_text()
    assert "open-sesame" not in text and "db.example" not in text
    assert dagster_instance.environment(settings)["COGORCH_POSTGRES_URL"] == url


def test_the_environment_spells_out_the_installation(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database="one", success_sample_rate=0.5, _env_file=None)
    found = dagster_instance.environment(settings)
    assert found["DAGSTER_HOME"] == str(tmp_path / "dagster")
    assert {"COGORCH_HOME": str(tmp_path), "COGORCH_DATABASE": "one", "COGORCH_SUCCESS_SAMPLE_RATE": "0.5"}.items() <= (
        found.items()
    )
    assert "COGORCH_POSTGRES_URL" not in found and "COGORCH_LAKE" not in found


def test_two_cores_and_a_lane_that_an_activation_never_waits_in(tmp_path: Path) -> None:
    path = dagster_instance.write_instance(Settings(home=tmp_path, _env_file=None))
    runs = yaml.safe_load(path.read_text())["concurrency"]["runs"]
    assert runs["max_concurrent_runs"] == 3
    (limit,) = runs["tag_concurrency_limits"]
    assert limit == {"key": "cogorch/lane", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}


@pytest.mark.usefixtures("dagster_database")
def test_dagster_keeps_its_runs_in_the_installations_postgresql(settings: Settings) -> None:
    """In a process of its own: the settings of a process are read once."""
    dagster_instance.write_instance(settings)
    code = (
        "import json, dagster as dg\n"
        "with dg.DagsterInstance.get() as instance:\n"
        "    run = instance.create_run_for_job(dg.GraphDefinition('g').to_job('job'))\n"
        "with dg.DagsterInstance.get() as instance:\n"
        "    print(json.dumps([\n"
        "        instance.get_run_by_id(run.run_id).job_name,\n"
        "        type(instance.run_launcher).__name__,\n"
        "        type(instance.event_log_storage).__module__,\n"
        "        instance.run_monitoring_enabled,\n"
        "        instance.telemetry_enabled,\n"
        "    ]))\n"
    )
    environment = {"PATH": "/usr/bin:/bin", **dagster_instance.environment(settings)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, cwd=settings.home
    )
    assert json.loads(done.stdout) == [
        "job",
        "WatchfulRunLauncher",
        "dagster_postgres.event_log.event_log",
        True,
        False,
    ]
