"""`cogorch agents`: training with its file, agents in the store, evaluation, comparison; and one clear error each."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cogorch_dagster.agents import checkpoints
from cogorch_dagster.agents.training.joint_checkpoints import FOLDER
from cogorch_dagster.registry import store as registry
from cogorch_dagster.settings import Settings
from tests.cli.conftest import COMMAND, Run

OPTIONS = ("--calibration", "default", "--fleets", "8", "--seed", "3")


def open_trainings(settings: Settings) -> list[Path]:
    return sorted(Path(settings.lake_root, FOLDER).glob("*.safetensors"))


def test_agents_are_trained_registered_listed_evaluated_and_compared(
    cogorch: Run, mlflow_database: Settings, tmp_path: Path
) -> None:
    settings = mlflow_database
    curve, bars = tmp_path / "curve.png", tmp_path / "bars.png"
    trained = cogorch("agents", "train", *OPTIONS, "--steps", "60", "--plot", curve, "--json")
    assert trained.code == 0, trained.err
    found = trained.json
    assert found["ended"] and found["fleet_steps"] == 480 and found["resume_from"] is None
    assert found["curve"][-1]["steps"] == 60 and "reward" in trained.err
    assert curve.read_bytes().startswith(b"\x89PNG")
    assert open_trainings(settings) == []
    assert found["registered"] == {agent: f"agent-{agent}@1" for agent in found["agents"]}
    version = registry.find(settings, found["registered"]["ethical"])
    assert version.tags["checkpoint"] == found["agents"]["ethical"] and version.params["seed"] == 3

    listed = cogorch("agents", "list", "--json").json["checkpoints"]
    assert {each["agent"]: each["digest"] for each in listed} == found["agents"]
    assert {each["algorithm"] for each in listed} == {"dqn", "a2c", "ppo", "ddpg"}
    shown = cogorch("agents", "list", "--agent", "policy")
    assert found["agents"]["policy"] in shown.out and found["agents"]["ethical"] not in shown.out

    scored = cogorch("agents", "evaluate", "--calibration", "default", "--seeds", "3", "--json")
    assert scored.code == 0, scored.err
    assert scored.json["agents"] == found["agents"]
    reward = scored.json["summary"]["reward"]
    assert reward["low"] <= reward["value"] <= reward["high"]

    names = ("compare", "--baselines", "static,q-learning", "--calibration", "default", "--seeds", "3")
    compared = cogorch("agents", *names, "--plot", bars, "--json")
    assert compared.code == 0, compared.err
    assert set(compared.json["bars"]) == {"static", "q-learning"}
    assert compared.json["summary"]["joint"]["reward"] == reward
    assert [each["bar"]["metric"] for each in compared.json["bars"]["static"]] == [
        "latency",
        "unfairness",
        "violations",
        "cost",
    ]
    assert bars.read_bytes().startswith(b"\x89PNG")


def test_a_killed_training_leaves_its_last_good_file_and_goes_on_from_it(cogorch: Run, settings: Settings) -> None:
    # Long enough not to end before the kill.
    options = ("agents", "train", *OPTIONS, "--steps", "100000")
    running = subprocess.Popen([*COMMAND, *options], stderr=subprocess.PIPE, text=True)
    _wait_for_file(settings, running)
    running.kill()
    running.communicate(timeout=60)
    (path,) = open_trainings(settings)
    steps = checkpoints.read(path).steps
    assert steps > 0 and steps % (8 * 250) == 0

    stopped = cogorch(*options, "--resume", "--minutes", "0", "--json")
    assert stopped.code == 0, stopped.err
    assert stopped.json["fleet_steps"] == steps + 8
    assert stopped.json["resume_from"] == str(path) and not stopped.json["ended"]
    # What is best so far is stored, and acts.
    assert set(stopped.json["agents"]) == {"policy", "consensus", "ethical", "resource"}
    # This installation has no registry, which costs the agents only their entry there.
    assert stopped.json["registered"] == {} and "stored, but not registered" in stopped.err
    quiet = cogorch(*options, "--resume", "--minutes", "0", "--no-register")
    assert quiet.code == 0 and "regist" not in quiet.err
    assert [line.split()[3] for line in quiet.out.splitlines()[-4:]] == ["-"] * 4, quiet.out


def test_ctrl_c_ends_after_the_step_keeps_everything_and_says_so(settings: Settings) -> None:
    running = subprocess.Popen(
        [*COMMAND, "agents", "train", *OPTIONS, "--steps", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )
    _wait_for_file(settings, running)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    (path,) = open_trainings(settings)
    steps = checkpoints.read(path).steps // 8
    assert f"stopped at step {steps} of 100000" in err and str(path) in err and "--resume" in err


def _wait_for_file(settings: Settings, running: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while not open_trainings(settings):
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--resume", *OPTIONS), "there is nothing to resume"),
        (("train", "--plot", "curve.jpg", *OPTIONS), "curve.jpg must end in .png"),
        (("train", "--calibration", "missing.yaml"), "missing.yaml cannot be read"),
        (("evaluate", "--calibration", "default"), "no checkpoint of policy, consensus, ethical, resource"),
        (("compare", "--baselines", "static,luck"), "there is no baseline luck"),
        (("list", "--agent", "pilot"), "there is no agent 'pilot'"),
    ],
)
def test_a_wrong_argument_gives_one_clear_error(cogorch: Run, arguments: tuple[str, ...], message: str) -> None:
    ran = cogorch("agents", *arguments, "--json")
    assert ran.code == 2
    error = json.loads(ran.out)["error"]
    assert error["kind"] == "invalid_input" and message in error["message"]
    assert "Traceback" not in ran.err


def test_help_has_an_example(cogorch: Run) -> None:
    for command in ("train", "evaluate", "compare", "list"):
        assert f"cogorch agents {command}" in cogorch("agents", command, "--help").out
