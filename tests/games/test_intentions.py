"""What is taken for an intention, and what is not."""

import json

import numpy as np
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.games.intentions import Intention, intention, message, request

LEVELS = {"action": [0.1, 0.2, 0.3, 0.4], "preference": [0.0, 0.1, 0.0, 0.2]}
CHOICE = {"action": 2, "preference": [0.25, 0.0, 0.75, 0.0, 0.0]}


def test_an_intention_says_how_sure_it_is() -> None:
    assert intention("consensus", "sha256:a", CHOICE) == Intention(
        "consensus", 2, (0.25, 0.0, 0.75, 0.0, 0.0), 0.75, "sha256:a"
    )
    found = intention("resource", "sha256:a", LEVELS)
    assert found.action == (0.1, 0.2, 0.3, 0.4)
    assert found.confidence == pytest.approx(0.6)


def test_a_request_is_one_line_with_the_state() -> None:
    line = request(7, np.array([0.5, -1.0], dtype=np.float32))
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert json.loads(line) == {"id": 7, "state": [0.5, -1.0]}


@pytest.mark.parametrize("line", [b"", b"<html>", b"[1]", b"\xff\xfe", b"7", b"[" * 100_000])
def test_what_is_no_object_is_nonsense(line: bytes) -> None:
    with pytest.raises(InvalidInput, match="answered nonsense"):
        message(line)


@pytest.mark.parametrize(
    "change",
    [
        {"action": 5},
        {"action": -1},
        {"action": True},
        {"action": 1.0},
        {"action": None},
        {"preference": [0.25, 0.0, 0.75, 0.0]},
        {"preference": [0.5, 0.0, 0.75, 0.0, 0.0]},
        {"preference": [-0.5, 0.75, 0.75, 0.0, 0.0]},
        {"preference": [float("nan"), 0.25, 0.75, 0.0, 0.0]},
        {"preference": "certain"},
        {"preference": None},
    ],
)
def test_an_impossible_choice_is_nonsense(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="answered nonsense"):
        intention("consensus", "sha256:a", {**CHOICE, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"action": [0.1, 0.2, 0.3]},
        {"action": [0.1, 0.2, 0.3, 1.1]},
        {"action": [0.1, 0.2, 0.3, float("nan")]},
        {"action": 3},
        {"preference": [0.0, 0.1, 0.0]},
        {"preference": [0.0, 0.1, 0.0, -0.2]},
        {"preference": None},
    ],
)
def test_impossible_levels_are_nonsense(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="answered nonsense"):
        intention("resource", "sha256:a", {**LEVELS, **change})
