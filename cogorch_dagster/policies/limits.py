"""The check that every moment of a version passes: its document is valid, within bounds, and a small enough step.

It relies on nothing that was checked before: whoever wrote the row, and whatever mode the policy is in, a document
that its kind refuses is neither approved nor activated, and hyperparameters stay within the bounds and the largest
steps of the policy's level of strictness. A step is measured from the version in force at that moment.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.policies import hyperparameters, kinds, ranges
from cogorch_dagster.policies.document import canonical_json, digest
from cogorch_dagster.policies.guards.checks import Versioned
from cogorch_dagster.policies.parameter import Level

Moment = Literal["propose", "approve", "activate", "rollback"]


class InForce(Versioned, Protocol):
    """The version in force."""

    @property
    def digest(self) -> str: ...


def require(moment: Moment, candidate: Versioned, current: InForce | None, level: Level) -> None:
    """Refuse a stored version whose document must not come into force.

    Args:
        moment: a `rollback` is for safety: its document must be valid, but may lie anywhere that its kind allows.
        current: the version in force of the same policy; None: there is none, and no step to measure.
        level: the policy's strictness; it binds the kinds of `hyperparameters` alone.

    Raises:
        Refused: `invalid_params`, and what `require_within` raises.
    """
    if problem := _invalid(candidate.kind, candidate.params):
        raise Refused("invalid_params", f"{_what(moment, candidate)}: {problem}\nPropose valid ones as a new version")
    if moment != "rollback":
        require_within(moment, candidate, current, level)


def require_within(moment: Moment, candidate: Versioned, current: InForce | None, level: Level) -> None:
    """Refuse a valid document that lies out of the bounds of its policy's level, or too far from the one in force.

    Raises:
        Refused: `out_of_bounds`, `step_too_large` (naming parameter, value, bound, level and remedy), or
            `digest_mismatch`: the step cannot be measured, as the row of the version in force was edited.
    """
    if candidate.kind not in hyperparameters.PARAMETERS:
        return
    what = _what(moment, candidate)
    sound = current is None or digest(current.params) == current.digest
    before = current.params if current is not None and sound else None
    if outside := ranges.out_of_bounds(candidate.kind, candidate.params, level, before):
        raise Refused("out_of_bounds", f"{what}: {'; '.join(outside)}")
    if current is None:
        return
    if not sound:
        raise Refused(
            "digest_mismatch",
            f"{what}: a step cannot be measured from {current.policy_id}@{current.version}, whose row was edited. "
            "Roll back to an earlier version first",
        )
    if steps := ranges.too_large_steps(candidate.kind, current.params, candidate.params, level):
        raise Refused("step_too_large", f"{what}: {'; '.join(steps)}")


def _what(moment: Moment, candidate: Versioned) -> str:
    return f"to {moment} {candidate.policy_id}@{candidate.version} is refused"


def _invalid(kind: str, params: Mapping[str, Any]) -> str | None:
    try:
        complete = kinds.validated(kind, params)
    except InvalidInput as error:
        return str(error)
    if _holds(complete, params):
        return None
    return f"parameters of kind {kind} are read as {canonical_json(complete)}, which is not what is stored."


def _holds(complete: object, stored: object) -> bool:
    """Whether what a kind reads holds all that is stored; it may hold more: defaults that came to the kind since."""
    match complete, stored:
        case dict(), dict():
            return all(name in complete and _holds(complete[name], stored[name]) for name in stored)
        case list(), list():
            return len(complete) == len(stored) and all(map(_holds, complete, stored))
    return canonical_json(complete) == canonical_json(stored)
