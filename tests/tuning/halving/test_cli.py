"""`cogorch tune architectures`, as far as the command itself goes: stopping, going on, what it prints and writes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from cogorch_dagster.cli.architectures import EPILOG, SHORT_HELP, architectures, outcome_value
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings, load_settings
from cogorch_dagster.tuning.halving import study
from cogorch_dagster.tuning.halving.architectures import standing

app = typer.Typer()
app.command("architectures", short_help=SHORT_HELP, epilog=EPILOG)(architectures)

SMALL = "ethical --episodes 2 --fleets 2 --trainings 1 --full-trainings 5 --eta 2 --rungs 3 --seeds 3 --study small"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Path]:
    """A fleet of short episodes; the process's settings are read anew for this test."""
    path = tmp_path / "fleet.yaml"
    path.write_text(default_parameters().model_copy(update={"horizon": 8}).model_dump_json())
    load_settings.cache_clear()
    yield path
    load_settings.cache_clear()


def ran(fleet: Path, *more: str) -> Result:
    return CliRunner().invoke(app, [*SMALL.split(), "--calibration", str(fleet), *more])


def test_stopped_gone_on_with_judged_and_refused(settings: Settings, fleet: Path, tmp_path: Path) -> None:
    stopped = ran(fleet, "--minutes", "0")
    assert stopped.exit_code == 0, stopped.output
    assert "there are steps left; the same command goes on" in stopped.output
    done = ran(fleet, "--plot", str(tmp_path / "curves.png"))
    assert done.exit_code == 0, done.output
    for said in ("study small", "rung 2", "best", "verdict", "confirmed on 3 of 3 fresh seeds"):
        assert said in done.output
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    with transaction(settings) as connection:
        stored = study.get(connection, "small")
    outcome = standing(settings, stored)
    value = outcome_value(outcome, stored, None)
    assert value["ended"] is True
    assert value["result"]["params"] == value["best"]["params"]
    assert json.dumps(value, default=str)
    for more, said in ((("--budget", "huge"), "budget 'huge'"), (("--sampler", "grid"), "random or tpe")):
        wrong = ran(fleet, *more)
        assert isinstance(wrong.exception, InvalidInput)
        assert said in str(wrong.exception)
