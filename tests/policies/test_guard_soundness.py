"""What is found in a rule when it is saved, by line, and what must not be."""

import re
from pathlib import Path
from typing import Any

import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies import kinds
from cogorch_dagster.policies.guards import soundness
from cogorch_dagster.policies.params_file import params_from_file

SOUND = {
    "older import": 'import rego.v1\n\ndeny contains "c" if input.step == "propose"',
    "complete rule": 'deny := "no" if input.step == "activate"',
    "true": 'default deny := false\n\ndeny if input.step == "activate"',
    "older partial set": "deny[m] { w := input.candidate.params.modelWeights[m]; w > 0.9 }",
    "not": 'deny contains "x" if not ok\n\nok if { some a in input.candidate.params.modelWeights; a > 0 }',
    "function": "deny contains a if { some a, w in input.candidate.params.modelWeights; bad(a, w) }\n"
    'bad(a, w) if { barred[input.policy.id][_] == a; w > 0 }\nbarred := {"r": ["a"]}',
    "else": 'deny contains "x" if l != 3\nl := 1 if input.step == "a" else := 2 if input.actor else := 3',
    "comprehensions": 'deny contains "s" if sum([w | some w in input.candidate.params.modelWeights]) > 2\n'
    'deny contains "m" if count({a: w | w := input.candidate.params.modelWeights[a]}) < 2',
    "every": 'deny contains "e" if { every a, w in input.candidate.params.modelWeights { w < 0.5 } }',
    "object.get": 'deny contains "o" if object.get(input.candidate.params.modelWeights, "a", 0) > 0.2',
    "walk": 'deny contains "o" if { some p; walk(input.candidate.params, [p, v]); v == 3 }',
    "sets": "deny contains g if { some g in object.keys(input.active.params.modelWeights) - "
    "object.keys(input.candidate.params.modelWeights) }",
    "with": 'deny contains "x" if f with input as {"step": "q"}\nf if input.step == "q"',
    "clock": 'deny contains "weekend" if time.weekday(time.now_ns()) in {"Saturday", "Sunday"}',
    "unification": 'deny contains "u" if { [a, b] = [1, input.step]; b == "x"; a == 1 }',
    "own package": 'deny contains "x" if data.guard.ok\nok if input.step == "a"',
    "alias": 'import input.candidate.params as p\ndeny contains "x" if p.maxCostUsd > 1',
    "two bodies": 'deny contains "x" if { input.step == "a" } { input.step == "b" }',
    "same name twice": 'deny contains "x" if { x := 1; x < 0 }\ndeny contains "y" if { x := 2; x < 0 }',
}

UNSOUND = {
    "not closed": ('deny contains "x" if {\n  input.step == "a"\n', 3, "unclosed"),
    "quote": ('deny contains m if {\n  input.step == "a"\n  m := "x\n}\n', 5, "Invalid"),
    "keyword": ('deny contans "x" if true', 3, "Invalid"),
    "cut off": ('deny contains m if {\n  input.candidate.version ==\n  m := "x"\n}', 4, "unify"),
    "unsafe": ('deny contains "x" if {\n  input.step == "a"\n  w > 0.9\n}', 5, "unsafe"),
    "unsafe head": ('deny contains m if input.step == "a"', 3, "unsafe"),
    "unsafe in not": ('deny contains "x" if {\n  not y == 1\n}', 4, "unsafe"),
    "function": ('deny contains "x" if nosuch(input.step)', 3, "undefined function nosuch"),
    "arguments": ('deny contains "x" if f(1)\n\nf(a, b) if a == b', 3, "f takes 2 arguments, not 1"),
    "in a helper": ('deny contains "x" if ok\n\nok if nosuch(1)', 5, "undefined function nosuch"),
    "field": ('deny contains "x" if {\n  input.canidate.params.maxCostUsd > 1\n}', 4, "input has no field 'canidate'"),
    "parameter": (
        'deny contains "x" if {\n  c := input.candidate\n  p := c.params\n  p.modelWeight.a > 1\n}',
        6,
        "input.candidate.params has no field 'modelWeight'; it has",
    ),
    "alias": (
        'import input.candidate.params as p\ndeny contains "x" if p.maxCost > 1',
        4,
        "input.candidate.params has no field 'maxCost'",
    ),
    "data": ('deny contains "x" if data.tenants.acme', 3, "data.tenants does not exist"),
    "recursion": ('deny contains "x" if a\n\na if b\n\nb if a', 5, "a is recursive"),
    "recursive function": ('deny contains "x" if f(1)\n\nf(x) := f(x)', 5, "f is recursive"),
    "network": ('deny contains "x" if http.send({"url": "http://x"}).ok', 3, "http.send is not available"),
    "environment": ('deny contains "x" if opa.runtime().env.HOME', 3, "opa.runtime is not available"),
    "chance": ('deny contains "x" if rand.intn("a", 3) == 1', 3, "rand.intn is not available"),
    "assigned twice": ('deny contains "x" if {\n  x := 1\n  x := 2\n}', 5, "assigned above"),
}

ROUTER = kinds.parameter_names("router")


@pytest.mark.parametrize("body", SOUND.values(), ids=SOUND)
def test_a_sound_rule_is_taken(body: str) -> None:
    assert soundness.problems(f"package guard\n\n{body}\n", ROUTER) == []


@pytest.mark.parametrize(("body", "line", "message"), UNSOUND.values(), ids=UNSOUND)
def test_a_mistake_is_found_with_its_line(body: str, line: int, message: str) -> None:
    found = soundness.problems(f"package guard\n\n{body}\n", ROUTER)
    assert any(re.match(rf"line {line}: .*{re.escape(message)}", each) for each in found), found


def test_a_rule_defines_deny_in_its_package() -> None:
    for source in ("package guard\n\nx := 1\n", 'package other\n\ndeny contains "x" if input.step\n'):
        assert soundness.problems(source, None) == ["the rule defines no `deny` in `package guard`"], source


def test_parameters_are_only_known_of_a_kind() -> None:
    source = 'package guard\n\ndeny contains "x" if input.candidate.params.minReplicas < 1\n'
    assert soundness.problems(source, None) == []
    assert soundness.problems(source, kinds.parameter_names("autoscaler")) == []
    assert "no field 'minReplicas'" in soundness.problems(source, ROUTER)[0]


def document(**changes: Any) -> dict[str, Any]:
    source = "package guard\n\ndeny contains a if { some a, w in input.candidate.params.modelWeights; w > 0.9 }\n"
    return {"description": "d", "appliesTo": {"kind": "router"}, "rego": source, **changes}


def example(weight: float, denied: bool) -> dict[str, Any]:
    return {"input": {"candidate": {"params": {"modelWeights": {"a": weight}}}}, "denied": denied}


def test_a_rule_is_held_to_its_examples() -> None:
    kinds.validated("guard", document(examples=[example(0.95, True), example(0.9, False)]))
    with pytest.raises(InvalidInput, match="example 2 is denied"):
        kinds.validated("guard", document(examples=[example(0.95, True), example(0.95, False)]))
    with pytest.raises(InvalidInput, match="example 1 is not denied"):
        kinds.validated("guard", document(examples=[example(0.9, True)]))
    failing = "package guard\n\ndeny contains 1 / 0 if input.step\n"
    with pytest.raises(InvalidInput, match="example 1: the rule fails: divide by zero"):
        kinds.validated("guard", document(rego=failing, examples=[{"input": {"step": "x"}, "denied": True}]))


def test_a_scope_names_one_thing_that_exists() -> None:
    for scope in ({}, {"kind": "router", "policy": "r"}, {"kind": "toaster"}):
        with pytest.raises(InvalidInput, match=r"appliesTo|toaster"):
            kinds.validated("guard", document(appliesTo=scope))
    assert kinds.validated("guard", document(appliesTo=None))["examples"] == []


def test_a_file_of_rego_tells_what_is_wrong_where(tmp_path: Path) -> None:
    file = tmp_path / "rule.rego"
    head = "# METADATA\n# description: d\n# custom:\n#   appliesTo: {kind: router}\npackage guard\n\n"
    file.write_text(head + 'deny contains "x" if nosuch(1)\n')
    with pytest.raises(InvalidInput, match=rf"{re.escape(str(file))}: rego: line 7: undefined function nosuch"):
        params_from_file(file, "guard")
    file.write_text("package guard\n")
    with pytest.raises(InvalidInput, match="has no metadata"):
        params_from_file(file, "guard")
    file.write_text("# METADATA\n# description: d\n# custom: {x\npackage guard\n")
    with pytest.raises(InvalidInput, match=rf"{re.escape(str(file))}:\d: the metadata is not YAML"):
        params_from_file(file, "guard")
    file.write_text(head.replace("kind: router", "kinds: router") + 'deny contains "x" if input.step == "a"\n')
    with pytest.raises(InvalidInput, match=r"appliesTo\.kinds"):
        params_from_file(file, "guard")


def test_the_documented_rules_are_sound_and_have_examples_of_both_kinds() -> None:
    files = sorted((Path(__file__).parents[2] / "docs" / "guards").glob("*.rego"))
    assert len(files) == 3
    for file in files:
        assert {each["denied"] for each in params_from_file(file, "guard")["examples"]} == {True, False}, file
