"""Mistakes that show in a compiled rule: OPA's compiler refuses them, rego-cpp compiles them to "undefined".

An undefined expression makes a rule silently not apply, which for a guard is the worst of outcomes. The plan is OPA's
intermediate representation (https://www.openpolicyagent.org/docs/ir), as rego-cpp writes it: functions of blocks of
statements over numbered locals, 0 being the input and 1 the data; rows count from 0.
"""

from collections.abc import Iterator, Mapping
from typing import Any

INPUT, DATA = 0, 1
FORBIDDEN = ("http.", "net.", "opa.runtime", "rand.", "uuid.")
"""Built-ins that reach outside or give another answer each time."""

Fields = Mapping[str, "Fields | None"]
"""The keys that an object has; None: any, or not an object."""
Problem = tuple[int | None, str]
_Statement = tuple[str, Mapping[str, Any], int | None]


def problems(plan: Mapping[str, Any], fields: Fields) -> list[Problem]:
    """Undefined functions, wrong numbers of arguments, unsafe variables, recursion, fields that no input has.

    Args:
        plan: as `engine.Engine.compile` gives it.
        fields: the keys of the input document.

    Returns:
        (line or None, message), by line.
    """
    functions = {each["name"]: each for each in plan["funcs"]["funcs"]}
    if not any(each["path"][-2:] == ["guard", "deny"] for each in functions.values()):
        return [(None, "the rule defines no `deny` in `package guard`")]
    arguments = {each["name"]: len(each["decl"]["args"]) for each in plan["static"]["builtin_funcs"]}
    texts = [each["value"] for each in plan["static"]["strings"]]
    found: set[Problem] = set()
    for function in functions.values():
        statements = list(_statements(function["blocks"], None))
        found.update(_calls(statements, functions, arguments, plan["missing"]))
        found.update(_unsafe(statements, function))
        found.update(_assigned_twice(function["blocks"]))
        found.update(_paths(statements, texts, fields))
    found.update(_recursion(functions))
    return sorted(found, key=lambda each: (each[0] or 0, each[1]))


def _statements(blocks: list[Any], line: int | None) -> Iterator[_Statement]:
    """All statements, those of nested blocks included; one without a row has the row of the one before."""
    for block in blocks:
        for each in block["stmts"] or ():
            body = each["stmt"]
            line = body["row"] + 1 if "row" in body else line
            yield each["type"], body, line
            yield from _statements(_nested(body), line)


def _calls(
    statements: list[_Statement], functions: Mapping[str, Any], arguments: Mapping[str, int], missing: list[str]
) -> Iterator[Problem]:
    for kind, body, line in statements:
        if kind != "CallStmt":
            continue
        name = body["func"]
        if name in functions:
            # Input and data come first, here as there.
            given, taken = len(body["args"]) - 2, len(functions[name]["params"]) - 2
            if given != taken:
                yield line, f"{name.rsplit('.', 1)[-1]} takes {taken} arguments, not {given}"
        elif name in missing or name.startswith(FORBIDDEN):
            yield line, f"the built-in {name} is not available to guard rules"
        elif name not in arguments:
            yield line, f"undefined function {name}"
        elif len(body["args"]) != arguments[name]:
            yield line, f"{name} takes {arguments[name]} arguments, not {len(body['args'])}"


def _unsafe(statements: list[_Statement], function: Mapping[str, Any]) -> Iterator[Problem]:
    """A variable that is read and that nothing ever gives a value."""
    written = {INPUT, DATA, function["return"], *function["params"]}
    for kind, body, _ in statements:
        names = ("target", "result", "local", *(("key", "value") if kind == "ScanStmt" else ()))
        written.update(body[name] for name in names if isinstance(body.get(name), int))
    for _, body, line in statements:
        if any(local not in written for local in _reads(body)):
            yield line, "a variable here has no value (unsafe): bind it with `some`, `:=` or a rule"


def _assigned_twice(blocks: list[Any]) -> Iterator[Problem]:
    """`x := 1; x := 2`: the second would win without a word."""
    for block in blocks:
        assigned = set()
        for each in block["stmts"] or ():
            body = each["stmt"]
            if each["type"] == "AssignVarStmt":
                if body["target"] in assigned:
                    yield body["row"] + 1 if "row" in body else None, "a variable is assigned above with `:=` already"
                assigned.add(body["target"])
            yield from _assigned_twice(_nested(body))


def _nested(body: Mapping[str, Any]) -> list[Any]:
    return [*(body.get("blocks") or ()), *([body["block"]] if body.get("block") else ())]


def _reads(body: Mapping[str, Any]) -> Iterator[int]:
    operands = [item for value in body.values() for item in (value if isinstance(value, list) else [value])]
    yield from (local for each in operands if (local := _local(each)) is not None)


def _local(operand: object) -> int | None:
    if isinstance(operand, Mapping) and operand.get("type") == "local":
        number: int = operand["value"]
        return number
    return None


def _paths(statements: list[_Statement], texts: list[str], fields: Fields) -> Iterator[Problem]:
    """A key of the input that no input has, followed from local to local; and anything of `data`."""
    known: dict[int, tuple[str, Fields | None]] = {INPUT: ("input", fields), DATA: ("data", {})}
    for kind, body, line in statements:
        local = _local(body.get("source"))
        if local is None or local not in known:
            continue
        path, keys = known[local]
        if kind == "AssignVarStmt":
            known[body["target"]] = (path, keys)
        if kind != "DotStmt" or body["key"]["type"] != "string_index" or keys is None:
            continue
        key = texts[body["key"]["value"]]
        if key in keys:
            known[body["target"]] = (f"{path}.{key}", keys[key])
        elif path == "data":
            yield line, f"data.{key} does not exist: a rule sees `input` and what its own package defines"
        else:
            yield line, f"{path} has no field {key!r}; it has {', '.join(sorted(keys))}"


def _recursion(functions: Mapping[str, Any]) -> Iterator[Problem]:
    called = {
        name: [
            (body["func"], line)
            for kind, body, line in _statements(function["blocks"], None)
            if kind == "CallStmt" and body["func"] in functions
        ]
        for name, function in functions.items()
    }
    for name in functions:
        seen: set[str] = set()
        ahead = list(called[name])
        while ahead:
            callee, line = ahead.pop()
            if callee == name:
                yield line, f"{name.rsplit('.', 1)[-1]} is recursive; Rego has no recursion"
                break
            if callee not in seen:
                seen.add(callee)
                ahead.extend((further, line) for further, _ in called[callee])
