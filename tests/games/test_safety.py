"""The veto: against exactly what exceeds a bound, and never against no operation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.games.discretisation import NO_OPERATION, SHAPE
from cogorch_dagster.games.safety import SafetyBounds, admissible, objections
from tests.games.coordination import flat_game, random_game

JOINT = (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("figure", "within", "beyond", "message"),
    [
        ("violations", 0.249, 0.26, "violations 0.26 instead of 0.2: 0.0600 more, at most 0.05"),
        ("success", 0.881, 0.87, "success 0.87 instead of 0.9: 0.0300 less, at most 0.02"),
        ("cost", 0.00499, 0.0051, "cost of a useful answer 0.0051 instead of 0.004 USD: more than 25% dearer"),
    ],
)
def test_each_bound_is_relative_to_no_operation(figure: str, within: float, beyond: float, message: str) -> None:
    ordinary = {"violations": 0.2, "success": 0.9, "cost": 0.004}[figure]
    for value, wanted in ((within, ()), (beyond, (message,))):
        values = np.full(SHAPE, ordinary)
        values[JOINT] = value
        game = flat_game(**{figure: values})
        assert objections(game, JOINT, SafetyBounds()) == wanted
        assert admissible(game, SafetyBounds())[JOINT] == (not wanted)


def test_what_is_better_is_no_objection() -> None:
    game = flat_game()
    better = flat_game(
        violations=np.where(game.violations > 0, 0.0, 0.0), success=np.ones(SHAPE), cost=np.full(SHAPE, 0.001)
    )
    assert objections(better, JOINT, SafetyBounds(0, 0, 0)) == ()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 3))
def test_admissible_is_what_has_no_objection(seed: int, violations: float, success: float, cost: float) -> None:
    game, bounds = random_game(seed), SafetyBounds(violations, success, cost)
    allowed = admissible(game, bounds)
    rng = np.random.default_rng(seed)
    for _ in range(30):
        joint = tuple(int(rng.integers(size)) for size in SHAPE)
        assert allowed[joint] == (not objections(game, joint, bounds))
    assert allowed[NO_OPERATION] and objections(game, NO_OPERATION, bounds) == ()


@pytest.mark.parametrize("bounds", [{"violations": -0.1}, {"success": 1.1}, {"cost": float("nan")}])
def test_a_bound_out_of_its_range_is_refused(bounds: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=f"the bound of {next(iter(bounds))} is"):
        SafetyBounds(**bounds)
