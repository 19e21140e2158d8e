"""Parameters that are recommended, beside what stays as it is and why."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DraftDocument:
    """A document of the policy's kind.

    Attributes:
        changed: names of the parameters that differ from the active ones.
        kept: by parameter, why the active value stays.
        aims: by parameter what the controller arrives at, before any limit.
    """

    params: dict[str, Any]
    changed: tuple[str, ...]
    kept: dict[str, str]
    aims: dict[str, Any]


def drafted(active: dict[str, Any], new: dict[str, Any], kept: dict[str, str], aims: dict[str, Any]) -> DraftDocument:
    """The active parameters with new values for some."""
    changed = tuple(sorted(name for name, value in new.items() if value != active.get(name)))
    return DraftDocument({**active, **{name: new[name] for name in changed}}, changed, kept, aims)
