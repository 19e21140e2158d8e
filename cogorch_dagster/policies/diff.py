"""What differs between two documents, parameter by parameter."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Change:
    """One parameter that differs; `path` is dotted, `before` is None when added, `after` when removed."""

    path: str
    kind: Literal["added", "removed", "changed"]
    before: Any
    after: Any


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """The changes from one document to the other, by path; empty for equal ones. Lists are compared as a whole."""
    return _changes(before, after, ())


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], path: tuple[str, ...]) -> list[Change]:
    found: list[Change] = []
    for key in sorted(before.keys() | after.keys()):
        place = (*path, key)
        name = ".".join(place)
        if key not in after:
            found.append(Change(name, "removed", before[key], None))
        elif key not in before:
            found.append(Change(name, "added", None, after[key]))
        elif isinstance(before[key], Mapping) and isinstance(after[key], Mapping):
            found.extend(_changes(before[key], after[key], place))
        elif before[key] != after[key]:
            found.append(Change(name, "changed", before[key], after[key]))
    return found
