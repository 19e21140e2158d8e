"""The resource agent's five choices, and the order of all joint actions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.games.discretisation import LEVELS, NO_OPERATION, SHAPE, all_joint_actions, levels, named

VECTORS = st.lists(st.floats(0, 1), min_size=4, max_size=4)


@given(VECTORS, VECTORS, st.floats(0.01, 1))
def test_the_choices_are_what_their_names_say(present: list[float], intention: list[float], spread: float) -> None:
    choices = dict(zip(LEVELS, levels(present, intention, spread=spread), strict=True))
    assert choices["hold"].tolist() == present
    assert choices["intention"].tolist() == intention
    assert np.allclose(choices["half-way"], np.add(present, intention) / 2)
    for name, sign in (("less", -1), ("more", 1)):
        for found, wanted in zip(choices[name], intention, strict=True):
            assert found == pytest.approx(min(max(wanted + sign * spread, 0), 1))


def test_all_joint_actions_are_the_game_in_its_order() -> None:
    assert SHAPE == (10, 5, 8, 5)
    joints = all_joint_actions()
    stacked = np.stack(list(joints.values()))
    assert list(joints) == ["policy", "consensus", "ethical", "resource"]
    assert np.ravel_multi_index(stacked, SHAPE).tolist() == list(range(2000))
    assert named(NO_OPERATION) == {"policy": "none", "consensus": "none", "ethical": "none", "resource": "hold"}


@pytest.mark.parametrize(
    ("present", "intention", "spread", "message"),
    [
        ([0.5] * 3, [0.5] * 4, 0.1, r"the present has shape \(3,\); give 4 levels"),
        ([0.5] * 4, [0.5, 0.5, 0.5, 1.5], 0.1, r"the intention lies in 0.5..1.5; levels must lie in 0..1"),
        ([0.5] * 4, [float("nan")] * 4, 0.1, "the intention lies in nan..nan"),
        ([0.5] * 4, [0.5] * 4, 0.0, "spread is 0.0"),
    ],
)
def test_wrong_levels_are_refused(present: list[float], intention: list[float], spread: float, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        levels(present, intention, spread=spread)
