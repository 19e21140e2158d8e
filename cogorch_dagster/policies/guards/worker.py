"""The process in which Rego runs: one request and one answer per line of JSON, until standard input ends.

Started by file, not imported: it needs nothing but the standard library and regopy. Whatever the engine prints goes
nowhere. A request is {"source", "input": JSON text or null}; without input the answer describes the compiled rule,
{"problems", "plan"}, with it what `deny` is: {"defined", "value"} or {"error"}.
"""

import hashlib
import json
import math
import os
import re
import resource
import sys
import tempfile
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any, TextIO

NAME = "guard.rego"
ENTRYPOINT = "guard/deny"
CPU_SECONDS = 2
"""Of one request; the kernel counts whole seconds and ends the process beyond it."""
CACHED = 128
MAX_ANSWER = 200_000
"""Characters of the value of `deny`; a rule that says more than this says nothing to anyone."""

# rego-cpp writes an error as `(error 10:guard.rego|39|70 (errormsg 16:this is unclosed) ...`: lengths before texts.
_ERROR = re.compile(rf"\(error(?: \d+:{re.escape(NAME)}\|(\d+)\|\d+)?\s*\(errormsg (\d+):")


class Rule:
    """One compiled rule; `problems` says why there is none."""

    def __init__(self, source: str) -> None:
        from regopy import Interpreter, LogLevel, RegoError

        self.problems: list[dict[str, Any]] = []
        self.interpreter = Interpreter()
        self.interpreter.log_level = LogLevel.NONE
        # An operation that fails (a division by zero, say) is then an error, not silently undefined.
        self.interpreter.strict_built_in_errors = True
        try:
            self.interpreter.add_module(NAME, source)
            self.bundle = self.interpreter.build(None, [ENTRYPOINT])
        except RegoError as error:
            self.problems = _problems(str(error), source)
            return
        if not self.bundle.ok():
            self.problems = _problems(_text(self.bundle.node()), source)

    def plan(self) -> dict[str, Any]:
        """The compiled rule in OPA's intermediate representation, and the built-ins that this engine has not."""
        with tempfile.TemporaryDirectory() as folder:
            self.interpreter.save_bundle(folder, self.bundle)
            plan: dict[str, Any] = json.loads((Path(folder) / "plan.json").read_text(encoding="utf-8"))
        named = [each["name"] for each in plan["static"]["builtin_funcs"]]
        plan["missing"] = [name for name in named if not self.interpreter.is_builtin(name)]
        return plan

    def deny(self, document: str) -> dict[str, Any]:
        """What `deny` is for an input document, given as JSON."""
        # JSON is Rego, and regopy's own conversion of Python values (`Input`) gets escapes in texts wrong.
        self.interpreter.set_input_term(document)
        output = self.interpreter.query_bundle_entrypoint(self.bundle, ENTRYPOINT)
        if not output.ok():
            found = _problems(_text(output.node()), "")
            return {"error": "; ".join(each["message"] for each in found)}
        expressions = output.results[0].expressions if output.results else []
        return {"defined": True, "value": expressions[0]} if expressions else {"defined": False}


def _text(errors: Any) -> str:
    return "\n".join(errors.at(index).json() for index in range(len(errors)))


def _problems(text: str, source: str) -> list[dict[str, Any]]:
    """Every error in rego-cpp's notation, by line; a notation that is not known is given as it is."""
    encoded = source.encode()
    found = []
    for match in _ERROR.finditer(text):
        line = encoded[: int(match[1])].count(b"\n") + 1 if match[1] and source else None
        found.append({"line": line, "message": text[match.end() : match.end() + int(match[2])]})
    return found or [{"line": None, "message": " ".join(text.split())[:300] or "the engine gave no reason"}]


def _answer(rules: "OrderedDict[str, Rule]", request: dict[str, Any]) -> dict[str, Any]:
    source = request["source"]
    key = hashlib.sha256(source.encode()).hexdigest()
    if key not in rules:
        rules[key] = Rule(source)
        if len(rules) > CACHED:
            rules.popitem(last=False)
    rules.move_to_end(key)
    rule = rules[key]
    if request["input"] is None:
        return {"problems": rule.problems, "plan": None if rule.problems else rule.plan()}
    if rule.problems:
        return {"error": "; ".join(each["message"] for each in rule.problems)}
    return rule.deny(request["input"])


def _private_stdout() -> TextIO:
    """Standard output for the answers alone; what the engine prints is dropped."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return answers


def main() -> None:
    """Answer requests until standard input ends."""
    answers = _private_stdout()
    rules: OrderedDict[str, Rule] = OrderedDict()
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    for line in sys.stdin:
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + CPU_SECONDS, hard))
        try:
            answer = _answer(rules, json.loads(line))
        except Exception as error:  # whatever the engine raises is this rule's failure, not the process's
            answer = {"error": f"{type(error).__name__}: {error}"}
        text = json.dumps(answer)
        if len(text) > MAX_ANSWER and "value" in answer:
            text = json.dumps({"error": f"deny is larger than {MAX_ANSWER} characters"})
        answers.write(text + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
