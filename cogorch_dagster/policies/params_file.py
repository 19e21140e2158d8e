"""Parameters from a file: YAML or JSON, every problem with the line where it stands."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies import kinds
from cogorch_dagster.policies.document import as_document
from cogorch_dagster.policies.guards.rego_file import guard_from_rego

MAX_BYTES = 1_000_000

_Place = tuple[str | int, ...]


def params_from_file(path: Path, kind: str) -> dict[str, Any]:
    """Read, validate and complete the parameters of a kind, as `store.propose_version` takes them.

    The file holds the parameters themselves, or the form of the seeds: them under the key `params`, with `kind`. For
    kind `guard` it may be Rego, `.rego`; see `guards.rego_file`.

    Raises:
        InvalidInput: not readable, larger than 1 MB, not YAML or JSON, a key given twice, or parameters that the
            kind refuses; one line `file:line: problem` for each problem.
    """
    if kind == "guard" and path.suffix.lower() == ".rego":
        return guard_from_rego(path)
    document, lines = _load(path)
    prefix: _Place = ()
    if isinstance(document.get("params"), dict):
        if document.get("kind", kind) != kind:
            raise InvalidInput(f"{path}:{lines[('kind',)]}: the file is of kind {document['kind']!r}, not {kind!r}")
        document, prefix = document["params"], ("params",)
    try:
        model = kinds.model_of(kind).model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        problems = [
            f"{path}:{_line(lines, (*prefix, *place))}: {message}" for place, message in kinds.problems_of(error)
        ]
        raise InvalidInput("\n".join(problems)) from error
    return as_document(model.model_dump(mode="json", by_alias=True))


def _load(path: Path) -> tuple[dict[str, Any], dict[_Place, int]]:
    """The mapping in the file and the line of each of its places."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(f"{path} is larger than {MAX_BYTES} bytes; a policy's parameters are a small document")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    # JSON is YAML but for tabs between tokens, and inside JSON's strings a tab has to be written \t anyway.
    loader = yaml.SafeLoader(text.replace("\t", " ") if path.suffix.lower() == ".json" else text)
    lines: dict[_Place, int] = {}
    try:
        node = loader.get_single_node()
        if node is None:
            raise InvalidInput(f"{path} is empty; write the parameters as YAML or JSON")
        _check(path, node, (), lines, set())
        document = loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise InvalidInput(f"{path}{line}: not YAML or JSON: {getattr(error, 'problem', None) or error}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}: not YAML or JSON: {error}") from error
    finally:
        loader.dispose()
    if not isinstance(document, dict):
        raise InvalidInput(f"{path}:1: parameters are a mapping of names to values, not a {type(document).__name__}")
    return document, lines


def _check(path: Path, node: yaml.Node, place: _Place, lines: dict[_Place, int], seen: set[int]) -> None:
    """Note the line of every place below a node; refuse repeated and compound keys, and aliases."""
    line = node.start_mark.line + 1
    # An alias is the same node again: a few of them nested would expand without bound.
    if id(node) in seen:
        raise InvalidInput(f"{path}:{line}: anchors and aliases are not for parameters; write the value out")
    seen.add(id(node))
    lines.setdefault(place, line)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise InvalidInput(f"{path}:{line}: a key must be a plain text")
            below = (*place, key.value)
            if below in lines:
                raise InvalidInput(f"{path}:{line}: {key.value!r} is given twice, first on line {lines[below]}")
            lines[below] = line
            _check(path, value, below, lines, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _check(path, item, (*place, index), lines, seen)


def _line(lines: dict[_Place, int], place: _Place) -> int:
    """The line of the place, or of the nearest one around it: a missing key has none of its own."""
    while place not in lines:
        place = place[:-1]
    return lines[place]
