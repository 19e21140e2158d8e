"""What the commands of `cogorch policy` say of hyperparameters besides the outcome."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import store
from cogorch_dagster.settings import Settings
from tests.cli.conftest import Inside, Run

AGENT = "agent-ethical"
File = Callable[..., Path]


@pytest.fixture
def file(seeded: Settings, tmp_path: Path) -> File:
    """Writes the ethical agent's parameters in force, with changes; a text that stands for a number stays bare."""
    params = stored(seeded, "1.0.0")

    def write(**changes: Any) -> Path:
        path = tmp_path / "params.yaml"
        path.write_text("".join(f"{name}: {value}\n" for name, value in {**params, **changes}.items()))
        return path

    return write


def stored(settings: Settings, version: str) -> dict[str, Any]:
    with transaction(settings) as connection:
        return store.version(connection, AGENT, version).params


def propose(inside: Inside, path: Path) -> Any:
    return inside("policy", "propose", AGENT, "--params", path)


def approve(inside: Inside, version: str, *more: str) -> Any:
    return inside("policy", "approve", f"{AGENT}@{version}", "--reason", "r", *more)


def test_a_number_is_read_as_the_messages_write_it(inside: Inside, seeded: Settings, file: File) -> None:
    done = propose(inside, file(learningRate="1e-3"))
    assert done.exit_code == 0, done.exception
    assert stored(seeded, "1.0.1")["learningRate"] == 1e-3


def test_what_the_schema_refuses_comes_with_what_is_possible_now(inside: Inside, file: File) -> None:
    refused = propose(inside, file(learningRate="fast", clip=7)).exception
    assert isinstance(refused, InvalidInput)
    *_, rate, clip = str(refused).splitlines()
    assert rate == "at level standard, from 1.0.0, learningRate may be 0.000233333333 to 0.0021"
    assert clip == "at level standard, from 1.0.0, clip may be 0.1 to 0.3"
    assert propose(inside, file(learningRate="0.000233333333", clip=0.3)).exit_code == 0


def test_other_kinds_have_no_such_ranges(inside: Inside, seeded: Settings, tmp_path: Path) -> None:
    path = tmp_path / "router.yaml"
    path.write_text("cooldownMs: soon\n")
    refused = inside("policy", "propose", "router-core", "--params", path).exception
    assert "cooldownMs" in str(refused)
    assert "may be" not in str(refused)


def test_a_proposal_without_parameters_names_the_search(inside: Inside, seeded: Settings) -> None:
    refused = inside("policy", "propose", AGENT).exception
    assert isinstance(refused, InvalidInput)
    assert "`cogorch tune run ethical --propose`" in str(refused)
    assert "--params FILE" in str(refused)


def test_an_approval_says_which_one_it_ends(inside: Inside, file: File) -> None:
    propose(inside, file(learningRate="1e-3"))
    first = approve(inside, "1.0.1")
    assert "has expired" not in first.stderr
    propose(inside, file(learningRate="2e-3"))
    second = approve(inside, "1.0.2")
    assert f"{AGENT}@1.0.1, approved before and not yet activated, has expired by this" in second.stderr
    (why,) = [line for line in inside("policy", "show", f"{AGENT}@1.0.1").stdout.splitlines() if "expired  " in line]
    assert why.endswith(f"to approve {AGENT}@1.0.2")
    assert "expired" not in inside("policy", "show", f"{AGENT}@1.0.2").stdout


def test_the_ended_approvals_as_json(cogorch: Run, inside: Inside, file: File) -> None:
    expected: list[list[str]] = [[], [f"{AGENT}@1.0.1"]]
    for version, rate, expired in zip(("1.0.1", "1.0.2"), ("1e-3", "2e-3"), expected, strict=True):
        propose(inside, file(learningRate=rate))
        made = cogorch("policy", "approve", f"{AGENT}@{version}", "--reason", "r", "--json").json
        assert (made["expired"], made["action"], made["version"]) == (expired, "approve", version)
    first, second = (cogorch("policy", "show", f"{AGENT}@{each}", "--json").json for each in ("1.0.1", "1.0.2"))
    assert first["why_expired"] == f"decision {made['decision_id']} to approve {AGENT}@1.0.2"
    assert second["why_expired"] is None


def test_a_new_architecture_waits_for_the_next_training(inside: Inside, file: File) -> None:
    said = "changes hidden, dropout: running agents refuse it as a whole; it takes effect with the next training"
    assert said in propose(inside, file(hidden=[64, 32], dropout=0.1)).stderr
    assert said in approve(inside, "1.0.1").stderr
    assert "running agents" not in propose(inside, file(learningRate="1e-3")).stderr
    assert "running agents" not in approve(inside, "1.0.2").stderr


def test_strictness_is_for_kinds_with_bounds(inside: Inside, seeded: Settings) -> None:
    refused = inside("policy", "strictness", "router-core", "strict", "--reason", "r").exception
    assert isinstance(refused, InvalidInput)
    assert "policies of kind router have no bounds that depend on it" in str(refused)
    assert "standard" in inside("policy", "list").stdout


def test_strictness_says_what_is_outside_of_it(inside: Inside, file: File) -> None:
    def set_to(level: str) -> list[str]:
        return inside("policy", "strictness", AGENT, level, "--reason", "r").stdout.splitlines()

    assert set_to("standard") == [f"{AGENT}: standard, unchanged"]
    assert set_to("wide") == [f"{AGENT}: wide"]
    propose(inside, file(learningRate="5e-3"))
    approve(inside, "1.0.1")
    inside("policy", "activate", f"{AGENT}@1.0.1")
    level, stays, problem = set_to("strict")
    assert (level, stays) == (f"{AGENT}: strict", f"{AGENT}@1.0.1 stays in force, though outside of it:")
    assert problem.startswith("learningRate 0.005 is above the largest at level strict, 0.003: choose 0.002 to 0.003")


def test_an_activation_without_a_version_names_the_one_that_waits(inside: Inside, file: File) -> None:
    def refusal() -> str:
        refused = inside("policy", "activate", AGENT).exception
        assert isinstance(refused, InvalidInput)
        return str(refused)

    assert f"such as {AGENT}@1.0.0. No decision on it waits" in refusal()
    propose(inside, file(learningRate="1e-3"))
    assert f"such as {AGENT}@1.0.1. No decision on it waits" in refusal()
    approve(inside, "1.0.1")
    assert f"{AGENT}@1.0.1 waits for its activation" in refusal()
