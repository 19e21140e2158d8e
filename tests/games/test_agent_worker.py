"""What an agent's process answers, and which checkpoints it refuses; without starting one."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cogorch_dagster.agents import checkpoints
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.games.agent_worker import answered, loaded, serve
from cogorch_dagster.games.intentions import NEARBY, intention, request
from tests.agents.saved import BASE


def steps_up(states: np.ndarray) -> np.ndarray:
    """Action 3 where the first dimension is above 0, else 1."""
    return np.where(states[:, 0] > 0, 3, 1)


def test_the_preference_is_the_share_of_nearby_states() -> None:
    sure = answered("consensus", steps_up, np.full(16, 0.5, dtype=np.float32))
    assert sure == {"action": 3, "preference": [0, 0, 0, 1, 0]}
    torn = answered("consensus", steps_up, np.zeros(16, dtype=np.float32))
    assert torn["action"] == 1
    assert 0.2 < torn["preference"][3] < 0.8 and sum(torn["preference"]) == pytest.approx(1)
    assert torn == answered("consensus", steps_up, np.zeros(16, dtype=np.float32))


def test_levels_come_with_their_deviation() -> None:
    def act(states: np.ndarray) -> np.ndarray:
        assert len(states) == NEARBY + 1 and np.abs(states).max() <= 1
        return np.stack([states[:, 0], *[np.full(len(states), 0.5)] * 3], axis=1)

    found = answered("resource", act, np.full(20, 0.5, dtype=np.float32))
    assert found["action"] == [0.5] * 4
    assert found["preference"][0] == pytest.approx(0.02, rel=0.5) and found["preference"][1:] == [0, 0, 0]
    assert intention("resource", "sha256:a", found).action == (0.5,) * 4


def test_every_question_is_answered_whatever_goes_wrong_with_one() -> None:
    def act(states: np.ndarray) -> np.ndarray:
        if states[0, 0] < 0:
            raise ArithmeticError("below 0")
        return steps_up(states)

    lines = [request(number, np.full(16, value, dtype=np.float32)) for number, value in ((1, 0.5), (2, -0.5), (3, 0.5))]
    replies: list[dict[str, Any]] = []
    serve("consensus", act, BytesIO(b"".join([lines[0], b"what?\n", *lines[1:]])), replies.append)
    assert [each["id"] for each in replies] == [1, None, 2, 3]
    assert replies[2]["error"] == "ArithmeticError: below 0" and "JSONDecodeError" in replies[1]["error"]
    assert replies[0]["action"] == replies[3]["action"] == 3


def test_a_checkpoint_that_is_not_the_agent_s_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "agent.safetensors"
    digest = checkpoints.write(path, BASE)
    with pytest.raises(Refused, match=r"'policy', 32, 10\); \('consensus', 16, 5\) are needed") as raised:
        loaded("consensus", str(path), digest)
    assert raised.value.reason == "incompatible_checkpoint"
    with pytest.raises(Refused, match=r"holds sha256:.*, not sha256:other"):
        loaded("policy", str(path), "sha256:other")
    with pytest.raises(InvalidInput, match="there is no checkpoint"):
        loaded("policy", str(tmp_path / "none"), None)
    with pytest.raises(InvalidInput, match="there is no agent 'nobody'"):
        loaded("nobody", str(path), None)
