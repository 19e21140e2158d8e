"""A small YAML or JSON file as a document, with the line of every place in it, so that an error can say where."""

import re
from pathlib import Path
from typing import Any

import yaml

from cogorch_dagster.errors import InvalidInput, reason_of

MAX_BYTES = 1_000_000

Place = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """Reads floats as YAML 1.2 and JSON do: PyYAML's YAML 1.1 takes `1e-3` and `1e-06` for texts."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def load(path: Path) -> tuple[dict[str, Any], dict[Place, int]]:
    """The mapping in the file and the line of each of its places.

    Raises:
        InvalidInput: not readable, larger than 1 MB, not YAML or JSON, no mapping, or a key given twice.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(f"{path} is larger than {MAX_BYTES} bytes; give a small document")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {reason_of(error)}") from error
    # JSON is YAML but for tabs between tokens, and inside JSON's strings a tab has to be written \t anyway.
    loader = _Loader(text.replace("\t", " ") if path.suffix.lower() == ".json" else text)
    lines: dict[Place, int] = {}
    try:
        node = loader.get_single_node()
        if node is None:
            raise InvalidInput(f"{path} is empty; write it as YAML or JSON")
        _check(path, node, (), lines, set())
        document = loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f":{mark.line + 1}" if mark else ""
        raise InvalidInput(f"{path}{at}: not YAML or JSON: {getattr(error, 'problem', None) or error}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}: not YAML or JSON: {error}") from error
    finally:
        loader.dispose()
    if not isinstance(document, dict):
        what = "nothing" if document is None else f"a {type(document).__name__}"
        raise InvalidInput(f"{path}:1: it must be a mapping of names to values, not {what}")
    return document, lines


def _check(path: Path, node: yaml.Node, place: Place, lines: dict[Place, int], seen: set[int]) -> None:
    """Note the line of every place below a node; refuse repeated and compound keys, and aliases."""
    at = node.start_mark.line + 1
    # An alias is the same node again: a few of them nested would expand without bound.
    if id(node) in seen:
        raise InvalidInput(f"{path}:{at}: anchors and aliases are not read; write the value out")
    seen.add(id(node))
    lines.setdefault(place, at)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            at = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise InvalidInput(f"{path}:{at}: a key must be a plain text")
            below = (*place, key.value)
            if below in lines:
                raise InvalidInput(f"{path}:{at}: {key.value!r} is given twice, first on line {lines[below]}")
            lines[below] = at
            _check(path, value, below, lines, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _check(path, item, (*place, index), lines, seen)


def line(lines: dict[Place, int], place: Place) -> int:
    """The line of the place, or of the nearest one around it: a missing key has none of its own."""
    while place not in lines:
        place = place[:-1]
    return lines[place]
