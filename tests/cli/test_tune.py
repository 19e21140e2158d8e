"""`cogorch tune`: a search by real trainings, what it shows, its confirmation; and one clear error each."""

import os
import signal
import subprocess
from pathlib import Path

from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.settings import Settings
from tests.cli.conftest import COMMAND, Run

SMALL = ("--fleets", "2", "--episodes", "1", "--trainings", "1")


def small_fleet(folder: Path) -> Path:
    path = folder / "fleet.json"
    path.write_text(default_parameters().model_copy(update={"horizon": 10}).model_dump_json())
    return path


def test_a_study_is_run_shown_and_confirmed(cogorch: Run, seeded: Settings, tmp_path: Path) -> None:
    options = ("ethical", *SMALL, "--calibration", small_fleet(tmp_path), "--sampler", "random")
    ran = cogorch("tune", "run", *options, "--trials", "9", "--study", "night", "--plot", tmp_path / "p", "--json")
    assert ran.code == 0, ran.err
    found = ran.json
    assert found["ended"] and len(found["trials"]) == 9 and found["result"] is None and found["proposed"] is None
    assert found["plan"]["version"] == "1.0.0" and found["trials"][0]["state"] == "complete"
    assert "9 of 9" in ran.err
    pictures = [Path(each) for each in found["pictures"]]
    assert [each.name for each in pictures] == ["night-history.png", "night-importance.png"]
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in pictures)

    listed = cogorch("tune", "list", "--json").json["studies"]
    assert [(each["study"], each["result"]) for each in listed] == [("night", None)]
    shown = cogorch("tune", "show", "night")
    assert shown.code == 0 and "9 complete, 0 failed" in shown.out and "importance" in shown.out

    confirmed = cogorch("tune", "confirm", "night", "--seeds", "3", "--propose", "--json")
    assert confirmed.code == 0, confirmed.err
    result = confirmed.json["confirmation"]
    assert result["trial"] == found["best"]["number"] and result["params"] == found["best"]["params"]
    assert result["verdict"] in ("better", "not shown", "worse") and len(result["seeds"]) == 3
    assert (confirmed.json["proposed"] is None) == (result["verdict"] != "better")

    other = cogorch("tune", "run", *options, "--seed", "1", "--study", "night")
    assert other.code == 3 and "its seed is 0, not 1" in other.err


def test_ctrl_c_keeps_the_study_and_the_same_command_goes_on(cogorch: Run, seeded: Settings, tmp_path: Path) -> None:
    fleet = str(small_fleet(tmp_path))
    options = ("tune", "run", "ethical", "--fleets", "2", "--trainings", "1", "--calibration", fleet, "--study", "long")
    command = [*COMMAND, *options, "--episodes", "100000", "--trials", "2"]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert running.stderr.readline() == "study long\n"
    os.kill(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Traceback" not in err and "the same command goes on" in err
    assert "0 complete, 0 failed" in out


def test_mistakes_are_one_message_each(cogorch: Run, seeded: Settings) -> None:
    for command, code, message in (
        ("tune run cook", 2, "agent 'cook' is unknown; the agents are policy, consensus, ethical, resource"),
        ("tune run ethical --budget huge", 2, "budget 'huge' is unknown; there are quick, full"),
        ("tune run ethical --vary noise", 2, "ppo has no hyperparameter noise"),
        ("tune confirm nothing", 3, "there is no study 'nothing'"),
    ):
        ran = cogorch(*command.split())
        assert (command, ran.code, ran.out) == (command, code, ""), ran.err
        assert message in ran.err and "Traceback" not in ran.err
