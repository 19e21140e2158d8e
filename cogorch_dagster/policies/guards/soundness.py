"""What is wrong with a rule before it is saved: its syntax, its meaning, and what it says to its own examples."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cogorch_dagster.policies.guards import plan
from cogorch_dagster.policies.guards.answers import messages_of
from cogorch_dagster.policies.guards.engine import ENGINE, EngineFailure

_VERSION = {"version": None}
_SHOWN = 60


def problems(source: str, parameters: Sequence[str] | None) -> list[str]:
    """Every mistake that the engine's compiler and `plan` find, as `line 3: undefined function f: ...`.

    Args:
        source: Rego, version 1.
        parameters: the names of the parameters of the kind that the rule is about; None: not known, or several.
    """
    try:
        compiled = ENGINE.compile(source)
    except EngineFailure as failure:
        return [f"not compiled: {failure}"]
    if compiled["problems"]:
        found = [(each["line"], each["message"]) for each in compiled["problems"]]
    else:
        found = plan.problems(compiled["plan"], input_fields(parameters))
    return [_shown(line, message, source) for line, message in dict.fromkeys(found)]


def example_problems(source: str, description: str, examples: Sequence[Mapping[str, Any]]) -> list[str]:
    """The examples (`input`, `denied`) to which the rule says something else than they state."""
    found = []
    for number, example in enumerate(examples, start=1):
        try:
            said = messages_of(ENGINE.deny(source, json.dumps(example["input"])), description)
        except EngineFailure as failure:
            found.append(f"example {number}: the rule fails: {failure}")
            continue
        if bool(said) != example["denied"]:
            what = f"is denied ({'; '.join(said)})" if said else "is not denied"
            found.append(f"example {number} {what}, against what it states")
    return found


def input_fields(parameters: Sequence[str] | None) -> plan.Fields:
    """The keys of the document that a rule is given; see `checks.input_document`."""
    params = None if parameters is None else dict.fromkeys(parameters)
    version = {**_VERSION, "params": params}
    policy = dict.fromkeys(("id", "kind", "component"))
    return {"policy": policy, "active": version, "candidate": version, "step": None, "actor": None}


def _shown(line: int | None, message: str, source: str) -> str:
    if line is None:
        return message
    text = source.splitlines()[line - 1].strip() if line <= len(source.splitlines()) else ""
    excerpt = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return f"line {line}: {message}" + (f": `{excerpt}`" if excerpt else "")
