"""The tables of hyperparameters: bounds narrow with the level, steps are measured on the right scale, nothing wild."""

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies import hyperparameters, kinds, ranges
from cogorch_dagster.policies.architecture import DROPOUT
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS, ARCHITECTURE, PARAMETERS
from cogorch_dagster.policies.parameter import LEVELS, Level, Parameter
from cogorch_dagster.policies.ranges import violations
from cogorch_dagster.policies.seed import documents

SEEDS: dict[str, dict[str, Any]] = {each["kind"]: each["params"] for each in documents() if each["kind"] in PARAMETERS}
EVERY = {f"{kind}.{each.name}": each for kind, found in PARAMETERS.items() for each in (*found, DROPOUT)}
DQN = SEEDS["dqn"]

parameters = st.sampled_from(list(EVERY.values()))
levels = st.sampled_from(LEVELS)


def values(parameter: Parameter) -> st.SearchStrategy[float]:
    if parameter.whole:
        return st.integers(int(parameter.low), int(parameter.high)).map(float)
    return st.floats(parameter.low, parameter.high)


@pytest.mark.parametrize("name", EVERY)
def test_each_level_is_narrower_than_the_next(name: str) -> None:
    each = EVERY[name]
    for inner, outer in ((each.strict, each.standard), (each.standard, each.wide), (each.search, each.standard)):
        assert outer[0] <= inner[0] < inner[1] <= outer[1]
    assert each.steps[0] < each.steps[1] < each.steps[2]
    assert each.scale == "linear" or each.steps[0] > 1
    assert each.scale != "log" or each.low > 0
    assert each.scale != "horizon" or each.high < 1


@pytest.mark.parametrize("kind", PARAMETERS)
def test_the_table_and_the_schema_name_the_same_parameters(kind: str) -> None:
    names = [each.name for each in PARAMETERS[kind]]
    assert sorted([*names, *ARCHITECTURE]) == sorted(kinds.parameter_names(kind))
    assert kinds.validated(kind, SEEDS[kind]).keys() == {*names, *ARCHITECTURE}


@pytest.mark.parametrize("kind", PARAMETERS)
def test_the_schema_allows_what_wide_allows_and_no_more(kind: str) -> None:
    ends = {"dqn": {"epsilon": 1, "finalEpsilon": 0}, "ddpg": {"noise": 1, "finalNoise": 0}}.get(kind, {})
    for each in (*PARAMETERS[kind], DROPOUT):
        unit, number = (1, int) if each.whole else (1e-9, float)
        for inside, outside in ((each.low, each.low - unit), (each.high, each.high + unit)):
            # A rule across fields lets a value be small beside its small end, and large beside its large one.
            base = {**SEEDS[kind], **ends}
            kinds.validated(kind, {**base, each.name: number(inside)})
            with pytest.raises(InvalidInput, match=rf"{each.name}: Input should be (less|greater) than or equal to"):
                kinds.validated(kind, {**base, each.name: number(outside)})


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", PARAMETERS)
def test_the_seeds_lie_within_every_level(kind: str, level: Level) -> None:
    assert violations(kind, SEEDS[kind], SEEDS[kind], level) == []


@pytest.mark.parametrize("kind", PARAMETERS)
def test_the_first_design_lies_within_strict_bounds(kind: str) -> None:
    from cogorch_dagster.agents.hyperparameters import first_defaults

    assert violations(kind, None, first_defaults(kind), "strict") == []


@pytest.mark.parametrize(
    ("name", "level", "near", "far"),
    [
        ("learningRate", "strict", 0.0015, 0.00151),
        ("learningRate", "strict", 0.001 / 1.5, 0.00066),
        ("learningRate", "standard", 0.003, 0.0031),
        ("learningRate", "wide", 0.01, 0.0101),
        # 20 steps ahead: 30, 60 and 200 of them; and 13.3.
        ("discount", "strict", 1 - 1 / 30, 1 - 1 / 31),
        ("discount", "standard", 1 - 1 / 60, 1 - 1 / 61),
        ("discount", "wide", 1 - 1 / 200, 1 - 1 / 202),
        ("discount", "strict", 1 - 1.5 / 20, 1 - 1.51 / 20),
        ("epsilon", "strict", 0.5, 0.51),
        ("epsilon", "standard", 0.1, 0.09),
        ("returnSteps", "strict", 4, 5),
        ("returnSteps", "standard", 6, 7),
        ("batchSize", "strict", 256, 255),
        ("batchSize", "standard", 2048, 2049),
        ("trainEvery", "strict", 1, 5),
    ],
)
def test_steps_are_measured_on_the_scale_of_the_parameter(name: str, level: Level, near: float, far: float) -> None:
    assert violations("dqn", DQN, {**DQN, name: near}, level) == []
    (problem,) = violations("dqn", DQN, {**DQN, name: far}, level)
    assert problem.startswith(f"{name} {far:.9g} is too far from the {DQN[name]:.9g} in force")
    assert f"largest step at level {level} is" in problem


@given(parameters, levels, st.data())
def test_what_is_in_reach_is_allowed_and_nothing_else(parameter: Parameter, level: Level, data: st.DataObject) -> None:
    current, value = data.draw(values(parameter)), data.draw(values(parameter))
    low, high = parameter.reach(current, level)
    assert low <= high
    for end in (low, high):
        assert parameter.out_of_bounds(end, level) is None
        assert parameter.too_large_step(current, end, level) is None
    wrong = parameter.out_of_bounds(value, level) or parameter.too_large_step(current, value, level)
    margin = 1e-7 * max(abs(low), abs(high), abs(value))
    if low <= value <= high:
        assert wrong is None
    elif value < low - margin or value > high + margin:
        assert wrong is not None
        assert level in wrong


@given(parameters, levels, st.data())
def test_every_step_can_be_taken_back(parameter: Parameter, level: Level, data: st.DataObject) -> None:
    low, high = parameter.bounds(level)
    current = data.draw(values(parameter).filter(lambda value: low <= value <= high))
    for end in parameter.reach(current, level):
        assert parameter.too_large_step(end, current, level) is None


@given(parameters, levels, st.data())
def test_steps_in_one_direction_arrive(parameter: Parameter, level: Level, data: st.DataObject) -> None:
    """No level locks a value in: the other end of the bounds is a few steps away, from wherever one starts."""
    at, goal = data.draw(values(parameter)), parameter.bounds(level)[1]
    for _ in range(60):
        at = parameter.reach(at, level)[1]
    assert math.isclose(at, goal)


def test_from_outside_of_a_level_a_step_leads_back_into_it() -> None:
    wide = {**DQN, "learningRate": 0.05}
    bound, step = violations("dqn", wide, {**DQN, "learningRate": 0.04}, "strict")
    reachable = "choose 0.002 to 0.003, one step from the 0.05 in force"
    assert f"learningRate 0.04 is above the largest at level strict, 0.003: {reachable}" in bound
    assert "choose 0.002 to 0.003, and go on from there" in step
    assert violations("dqn", wide, {**DQN, "learningRate": 0.002}, "strict") == []
    (problem,) = violations("dqn", wide, {**DQN, "learningRate": 0.0015}, "strict")
    assert "choose 0.002 to 0.003" in problem


@given(levels, st.data())
def test_every_message_names_the_range_that_is_accepted_now(level: Level, data: st.DataObject) -> None:
    """Whether a bound or a step is in the way, both ends of the named range pass."""
    parameter = data.draw(st.sampled_from([*PARAMETERS["dqn"], DROPOUT]))
    current, value = (data.draw(values(parameter)) for _ in range(2))
    number = int if parameter.whole else float
    # One rule across fields: finalEpsilon is at most epsilon, in force and after.
    base = {**DQN, "epsilon": 1.0, "finalEpsilon": 0.0}
    before = {**base, parameter.name: number(current)}
    problems = violations("dqn", before, {**before, parameter.name: number(value)}, level)
    named = [re.search(r"choose (\S+) to ([^\s,]+)", each) for each in problems if each.startswith(parameter.name)]
    low, high = parameter.reach(current, level)
    for found in named:
        assert found is not None
        assert (float(found[1]), float(found[2])) == pytest.approx((low, high), rel=1e-8)
    assert ranges.allowed("dqn", before, level)[parameter.name] == (low, high)
    assert ranges.allowed("dqn", None, level)[parameter.name] == parameter.bounds(level)


def test_a_message_names_a_remedy_that_there_is() -> None:
    standard, wide = (
        violations("dqn", None, {**DQN, "learningRate": value}, level)[0]
        for value, level in ((0.02, "standard"), (0.2, "wide"))
    )
    assert "0.01: choose 1e-05 to 0.01, or set level wide with `cogorch policy strictness`" in standard
    assert "less than or equal to 0.1 (got 0.2)" in wide
    assert "cogorch policy strictness" not in wide


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learningRate": math.nan}, r"learningRate: .*finite number \(got nan\); choose 1e-06 to 0.1"),
        ({"learningRate": math.inf}, r"learningRate: .*finite number \(got inf\); choose 1e-06 to 0.1"),
        ({"learningRate": "0.001"}, r"learningRate: .*valid number \(got '0.001'\); choose 1e-06 to 0.1"),
        ({"learningRate": True}, r"learningRate: .*valid number \(got True\); choose 1e-06 to 0.1"),
        ({"learningRate": None}, r"learningRate: .*valid number; choose 1e-06 to 0.1"),
        ({"learningRate": 10**999}, r"learningRate: .*\(got 10{58}…\); choose 1e-06 to 0.1"),
        ({"learningRate": 10**5000}, r"learningRate: .*thousands of digits\); choose 1e-06 to 0.1"),
        ({"batchSize": 512.5}, r"batchSize: .*valid integer.*\(got 512.5\); choose 8 to 65536"),
        ({"learningrate": 0.001}, r"learningrate: Extra .*; the names are learningRate, discount, .*dropout"),
        ({"learning_rate": 0.001}, "learning_rate: Extra"),
        ({"finalEpsilon": 0.5}, r"finalEpsilon 0\.5 is above epsilon 0\.4"),
        ({"hidden": []}, "hidden: List should have at least 1 item"),
        ({"hidden": [8] * 5}, "hidden: List should have at most 4 items"),
        ({"hidden": [8, 2000]}, r"hidden\.1: .*less than or equal to 1024"),
        ({"activation": "sigmoid"}, r"activation: .*'relu', 'silu' or 'tanh'"),
        ({"dropout": 0.6}, r"dropout: .*less than or equal to 0\.5"),
    ],
)
def test_the_schema_refuses(change: dict[str, Any], said: str) -> None:
    for level in LEVELS:
        assert violations("dqn", DQN, {**DQN, **change}, level)
    with pytest.raises(InvalidInput, match=said):
        kinds.validated("dqn", {**DQN, **change})


@pytest.mark.parametrize("kind", PARAMETERS)
def test_nothing_may_be_left_out(kind: str) -> None:
    for name in SEEDS[kind]:
        less = {other: value for other, value in SEEDS[kind].items() if other != name}
        assert any(name in problem for problem in violations(kind, None, less, "wide"))


def test_noise_may_not_grow() -> None:
    assert "finalNoise 0.07 is above noise 0.06" in violations(
        "ddpg", None, {**SEEDS["ddpg"], "finalNoise": 0.07}, "wide"
    )


@pytest.mark.parametrize(
    ("level", "change", "said"),
    [
        ("strict", {"hidden": [256, 256]}, None),
        ("strict", {"hidden": [256, 256, 16]}, "hidden has 528 units in all, 256 in force.*x2"),
        ("strict", {"hidden": [64, 128, 64]}, None),
        ("strict", {"hidden": [300]}, "widths 300; level strict allows 16 to 256"),
        ("strict", {"hidden": [64] * 4}, "hidden has 4 layers; level strict allows 1 to 3"),
        ("strict", {"activation": "silu"}, "activation silu is another than the relu in force"),
        ("strict", {"dropout": 0.1}, "dropout 0.1 is too far from the 0 in force"),
        ("standard", {"hidden": [512, 512], "activation": "silu", "dropout": 0.15}, None),
        ("standard", {"hidden": [512, 512, 8]}, "x4, or set level wide"),
        ("standard", {"hidden": [60]}, "hidden has 60 units in all"),
        ("standard", {"hidden": [4, 128]}, "widths 4; level standard allows 8 to 512"),
        ("wide", {"hidden": [1024] * 4, "dropout": 0.5}, None),
        ("wide", {"hidden": [15]}, "largest step at level wide is x16"),
    ],
)
def test_architectures_have_bounds_and_steps_too(level: Level, change: dict[str, Any], said: str | None) -> None:
    problems = violations("dqn", DQN, {**DQN, **change}, level)
    if said is None:
        assert problems == []
    else:
        assert any(re.search(said, problem) for problem in problems)


def test_a_layer_more_than_the_step_is_refused() -> None:
    flat = {**DQN, "hidden": [256]}
    assert violations("dqn", flat, {**DQN, "hidden": [128, 128]}, "strict") == []
    (problem,) = violations("dqn", flat, {**DQN, "hidden": [96, 96, 64]}, "strict")
    assert "hidden has 3 layers, 1 in force: the largest step at level strict is 1 more or fewer" in problem


def test_what_is_unknown_is_named() -> None:
    assert [hyperparameters.policy_of(agent) for agent in AGENT_KINDS] == [
        "agent-policy", "agent-consensus", "agent-ethical", "agent-resource",
    ]  # fmt: skip
    with pytest.raises(InvalidInput, match="agent 'router' is unknown; the agents are policy, consensus"):
        hyperparameters.policy_of("router")
    with pytest.raises(InvalidInput, match="kind 'router' has no hyperparameters; the kinds that do are dqn"):
        violations("router", None, {}, "strict")
    with pytest.raises(InvalidInput, match="strictness 'lax' is none of strict, standard, wide"):
        violations("dqn", None, DQN, "lax")  # type: ignore[arg-type]
