"""`cogorch tune`: a search by real trainings, what it shows, its confirmation; and one clear error each."""

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from cogorch_dagster.errors import CogorchError, Refused
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import search, sharing, worker
from cogorch_dagster.tuning.budget import QUICK
from cogorch_dagster.tuning.finalists import decide
from cogorch_dagster.tuning.halving.study import begin, planned
from cogorch_dagster.tuning.studies import rows
from cogorch_dagster.tuning.study import Study, get
from tests.cli.conftest import COMMAND, Inside, Run
from tests.tuning.tiny import measured

SMALL = ("--fleets", "2", "--episodes", "1", "--trainings", "1")
FEW = ("--finalists", "2", "--finalist-trainings", "2")


def small_fleet(folder: Path) -> Path:
    path = folder / "fleet.json"
    path.write_text(default_parameters().model_copy(update={"horizon": 10}).model_dump_json())
    return path


def test_a_study_is_run_shown_and_confirmed(cogorch: Run, inside: Inside, seeded: Settings, tmp_path: Path) -> None:
    options = ("ethical", *SMALL, "--calibration", small_fleet(tmp_path), "--sampler", "random", *FEW)
    ran = cogorch("tune", "run", *options, "--trials", "9", "--study", "night", "--plot", tmp_path / "p", "--json")
    assert ran.code == 0, ran.err
    found = ran.json
    assert found["ended"] and len(found["trials"]) == 9 and found["result"] is None and found["proposed"] is None
    assert found["plan"]["version"] == "1.0.0" and found["trials"][0]["state"] == "complete"
    assert "9 of 9" in ran.err and "finalists   5 of 5  trial" in ran.err
    trained = found["finalists"]
    assert [len(each["returns"]) for each in trained] == [2, 2, 1] and trained[0]["trial"] == found["winner"]
    assert trained[0]["mean"] >= trained[1]["mean"] and [each["dropped"] for each in trained] == [None, 2, 1]
    pictures = [Path(each) for each in found["pictures"]]
    assert [each.name for each in pictures] == ["night-history.png", "night-importance.png"]
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in pictures)

    shown = inside("tune", "show", "night").output
    assert "9 complete, 0 failed" in shown and "importance" in shown and "finalists, by" in shown and "won" in shown

    confirmed = cogorch("tune", "confirm", "night", "--seeds", "3", "--propose", "--json")
    assert confirmed.code == 0, confirmed.err
    assert "finalists" not in confirmed.err, "they are trained once"
    result = confirmed.json["confirmation"]
    assert confirmed.json["finalists"] == trained and confirmed.json["winner"] == found["winner"]
    if found["winner"] == 0:
        assert result is None and confirmed.json["proposed"] is None
    else:
        assert result["trial"] == found["winner"]
        assert result["params"] == found["trials"][found["winner"]]["params"]
        assert result["verdict"] in ("better", "not shown", "worse") and len(result["seeds"]) == 3
        assert (confirmed.json["proposed"] is None) == (result["verdict"] != "better")

    other = inside("tune", "run", *options, "--seed", "1", "--study", "night").exception
    assert isinstance(other, Refused) and "its seed is 0, not 1" in str(other)


def test_workers_search_choose_and_confirm(
    inside: Inside, seeded: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks: list[tuple[str, int]] = []

    def share(settings: Settings, study: str, task: Sequence[str], workers: int, **_: object) -> int:
        """What one of the workers does, in this process, as another would import for seconds."""
        tasks.append((task[0], workers))
        if task[0] == "finalists":
            # So that it is not what is in force that wins.
            decide(settings, begun(), train=lambda plan, params, *_: measured(float(params != plan.current)))
        else:
            before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
            worker.main(study, os.getppid(), task)
            signal.signal(signal.SIGINT, before[0])
            signal.signal(signal.SIGTERM, before[1])
        return 0

    def begun() -> Study:
        with transaction(seeded) as connection:
            return get(connection, "night")

    for module in (search, sharing):
        monkeypatch.setattr(module, "share", share)
    options = ("ethical", *SMALL, "--calibration", small_fleet(tmp_path), "--sampler", "random", *FEW)
    command = ("tune", "run", *options, "--trials", "4", "--study", "night", "--confirm", "--seeds", "3")
    ran = inside(*command, "--workers", "2")
    assert ran.exit_code == 0, ran.output
    assert tasks == [("trials", 2), ("finalists", 2), ("confirmation", 2)]
    assert (begun().result or {})["trial"] > 0 and "confirmed on 3 of 3 fresh seeds" in ran.output


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


def test_mistakes_are_one_message_each_and_leave_nothing(
    cogorch: Run, inside: Inside, seeded: Settings, tmp_path: Path
) -> None:
    ran = cogorch("tune", "run", "ethical", "--budget", "huge")
    assert (ran.code, ran.out) == (2, "") and "Traceback" not in ran.err
    assert "budget 'huge' is unknown; there are quick, full" in ran.err
    file = tmp_path / "file"
    file.touch()
    for command, message in (
        ("run cook", "agent 'cook' is unknown; the agents are policy, consensus, ethical, resource"),
        ("run ethical --sampler anneal", "sampler 'anneal' is unknown; there are tpe, cma-es"),
        ("run ethical --vary noise", "ppo has no hyperparameter noise"),
        ("run ethical --objectives reward,conflicts", "run `cogorch agents train`"),
        ("run ethical --objectives reward,peace", "objectives peace are unknown"),
        (f"run ethical --plot {file}", "pictures cannot be written to"),
        ("run ethical --calibration nowhere.json", "nowhere.json"),
        ("architectures cook", "agent 'cook' is unknown"),
        ("architectures ethical --budget huge", "budget 'huge' is unknown"),
        ("architectures ethical --sampler grid", "it must be random or tpe"),
        ("list --agent cook", "agent 'cook' is unknown"),
        ("show nothing", "there is no study 'nothing'; `cogorch tune list` names"),
        ("confirm nothing", "there is no study 'nothing'"),
    ):
        wrong = inside("tune", *command.split())
        assert isinstance(wrong.exception, CogorchError) and message in str(wrong.exception), (command, wrong.output)
    assert "no study yet" in inside("tune", "list").output
    with transaction(seeded) as connection:
        assert rows(connection) == []
        begin(connection, "networks", planned(connection, "ethical", default_parameters(), QUICK))
    assert "networks  architecture" in inside("tune", "list").output
    (listed,) = cogorch("tune", "list", "--json").json["studies"]
    assert (listed["study"], listed["sort"], listed["result"]) == ("networks", "architecture", None)
    assert (listed["trials"], listed["spent"], listed["state"]) == (0, 0, "open")
    shown = inside("tune", "show", "networks").output
    assert "rung" in shown and "`cogorch tune architectures` goes on with it" in shown
    other = inside("tune", "confirm", "networks").exception
    assert isinstance(other, Refused) and "`cogorch tune architectures` goes on with it" in str(other)


def test_a_study_without_a_trial_and_without_a_winner(inside: Inside, seeded: Settings, tmp_path: Path) -> None:
    options = ("ethical", *SMALL, "--calibration", small_fleet(tmp_path), "--study", "empty")
    ran = inside("tune", "run", *options, "--minutes", "0", "--confirm")
    assert ran.exit_code == 0 and "no trial is complete" in ran.output, ran.output
    assert "no trial is complete" in inside("tune", "show", "empty").output
    none = inside("tune", "confirm", "empty").exception
    assert isinstance(none, Refused) and none.reason == "no_winner"
