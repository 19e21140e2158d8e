"""What a search may try: nothing that could not be proposed."""

from typing import Any, get_args

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.agents.hyperparameters import first_defaults
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS, PARAMETERS
from cogorch_dagster.policies.parameter import Level
from cogorch_dagster.policies.ranges import violations
from cogorch_dagster.tuning.planning import todays
from cogorch_dagster.tuning.space import Space, space_of
from tests.tuning.tiny import PPO, space

KINDS = sorted(AGENT_KINDS.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", get_args(Level))
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_whatever_is_drawn_may_be_proposed(kind: str, level: Level, seed: int) -> None:
    current = todays(kind)
    found = space_of(kind, level, current).drawn(seed)
    # What is in force may itself lie outside of the level, in what the search leaves alone.
    architecture = [each for each in violations(kind, current, current, level) if each.startswith("hidden")]
    assert violations(kind, current, found, level) == architecture


@pytest.mark.parametrize("kind", KINDS)
def test_every_corner_may_be_proposed(kind: str) -> None:
    current = first_defaults(kind)
    found = space_of(kind, "standard", current)
    for place in (0.0, 1.0):
        assert violations(kind, current, found.of_unit([place] * len(found.dimensions)), "standard") == []


def test_what_must_not_be_above_another_is_cut_to_it() -> None:
    found = space_of("dqn", "wide", first_defaults("dqn"))
    place = dict(zip(found.names, [0.5] * len(found.names), strict=True)) | {"epsilon": 0.0, "finalEpsilon": 1.0}
    params = found.of_unit([place[name] for name in found.names])
    assert params["finalEpsilon"] == params["epsilon"] > 0


def test_all_numbers_vary_and_the_architecture_stays() -> None:
    found = space()
    assert found.names == [each.name for each in PARAMETERS["ppo"]]
    assert {name: found.drawn(3)[name] for name in ("hidden", "activation", "dropout")} == {
        "hidden": [16, 16],
        "activation": "relu",
        "dropout": 0.0,
    }
    assert space(names=["clip"]).names == ["clip"]


def test_free_steps_reach_all_that_is_searched() -> None:
    rates = {free: space(free=free).dimensions[0] for free in (False, True)}
    assert (rates[True].low, rates[True].high) == (3e-5, 1e-2)
    assert rates[False].low == pytest.approx(1e-3 / 3) and rates[False].high == pytest.approx(3e-3)


def test_optuna_and_the_unit_cube_give_back_the_same_params() -> None:
    found = space()
    params = found.drawn(7)
    assert found.of_unit(found.unit(params)) == params
    assert found.of_internal(found.internal(params)) == params
    trial = optuna.trial.FixedTrial(found.internal(params))
    assert found.suggest(trial) == params
    assert found.drawn(7) == params != found.drawn(8)


def test_a_grid_has_its_cells() -> None:
    found = space(names=["clip", "epochs"])
    cells = list(found.grid(3))
    assert found.cells(3) == len(cells) == 9
    assert len({(each["clip"], each["epochs"]) for each in cells}) == 9
    assert all(set(each) == set(PPO) for each in cells)


def test_a_space_as_json() -> None:
    assert Space.from_document(space().document()) == space()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sarsa", "standard", PPO), "kind 'sarsa' has no hyperparameters"),
        (("ppo", "lax", PPO), "strictness 'lax' is none of"),
        (("ppo", "standard", {**PPO, "clip": 7}), "not valid: clip"),
        (("ppo", "standard", {"clip": 0.2}), "learningRate"),
    ],
)
def test_refusals(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        space_of(*arguments)
    with pytest.raises(InvalidInput, match="ppo has no hyperparameter noise; there are learningRate"):
        space(names=["noise"])
