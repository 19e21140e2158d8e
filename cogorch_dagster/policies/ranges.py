"""How far the next version of an agent's hyperparameters may go: the schema, the bounds of a level, the largest steps.

What a parameter is, with its bounds and steps, is in `hyperparameters`; who is refused by it, in `limits`.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies import architecture
from cogorch_dagster.policies.hyperparameters import MODELS, PARAMETERS
from cogorch_dagster.policies.parameter import Level, Parameter
from cogorch_dagster.policies.schema import problems_of


def violations(kind: str, current: Mapping[str, Any] | None, candidate: Mapping[str, Any], level: Level) -> list[str]:
    """Why a candidate must not follow the version in force, each with parameter, value, bound, level and remedy.

    Args:
        kind: dqn, a2c, ppo or ddpg.
        current: params of the version in force; None: there is none, so no step is measured. What of it is no number
            within the schema has no step either.
        candidate: any mapping; one that the schema refuses (unknown, missing, NaN, wild) is told as such.
        level: of strictness.

    Raises:
        InvalidInput: an unknown kind or level.
    """
    if problems := invalid(kind, candidate):
        return problems
    return [*out_of_bounds(kind, candidate, level, current), *too_large_steps(kind, current, candidate, level)]


def invalid(kind: str, candidate: Mapping[str, Any]) -> list[str]:
    """What the schema of a kind refuses, whatever the level; raises InvalidInput for another kind than these four."""
    _parameters(kind)
    try:
        MODELS[kind].model_validate(dict(candidate), by_alias=True, by_name=False)
    except ValidationError as error:
        return [problem for _, problem in problems_of(error, MODELS[kind])]
    return []


def allowed(kind: str, current: Mapping[str, Any] | None, level: Level) -> dict[str, tuple[float, float]]:
    """The least and the largest value of each numeric parameter that the next version may have.

    Args:
        current: params of the version in force, as for `violations`.
        level: of strictness.

    Raises:
        InvalidInput: an unknown kind or level.
    """
    before = _measurable(kind, current)
    return {
        each.name: each.bounds(level) if before is None else each.reach(before[each.name], level)
        for each in (*_parameters(kind), architecture.DROPOUT)
    }


def out_of_bounds(
    kind: str, candidate: Mapping[str, Any], level: Level, current: Mapping[str, Any] | None = None
) -> list[str]:
    """Which values of a valid document a level does not allow, each with the range that one step reaches now."""
    before = _measurable(kind, current)
    found = [
        each.out_of_bounds(candidate[each.name], level, None if before is None else before[each.name])
        for each in _parameters(kind)
    ]
    return [*filter(None, found), *architecture.out_of_bounds(candidate, level, before)]


def too_large_steps(
    kind: str, current: Mapping[str, Any] | None, candidate: Mapping[str, Any], level: Level
) -> list[str]:
    """Which steps from the version in force to a valid document a level does not allow.

    A version in force that the schema no longer accepts gives no step to measure.
    """
    before = _measurable(kind, current)
    if before is None:
        return []
    found = [each.too_large_step(before[each.name], candidate[each.name], level) for each in _parameters(kind)]
    return [*filter(None, found), *architecture.too_large_steps(before, candidate, level)]


def _measurable(kind: str, current: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The version in force, if steps can be measured from it."""
    _parameters(kind)
    return None if current is None or invalid(kind, current) else current


def _parameters(kind: str) -> tuple[Parameter, ...]:
    if kind not in PARAMETERS:
        raise InvalidInput(f"kind {kind!r} has no hyperparameters; the kinds that do are {', '.join(PARAMETERS)}")
    return PARAMETERS[kind]
