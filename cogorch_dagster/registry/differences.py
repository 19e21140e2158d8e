"""In what two versions differ: parameters, metrics and where they come from, each with both values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cogorch_dagster.policies.document import canonical_json
from cogorch_dagster.registry.records import Registered


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        part: params, metrics, lineage or files.
        name: within it.
        first, second: the values; None where that version has none.
    """

    part: str
    name: str
    first: Any
    second: Any

    @property
    def change(self) -> float | None:
        """Second less first, where both are numbers."""
        numbers = (int, float)
        if not (isinstance(self.first, numbers) and isinstance(self.second, numbers)):
            return None
        return None if isinstance(self.first, bool) or isinstance(self.second, bool) else self.second - self.first


def differences(first: Registered, second: Registered) -> list[Difference]:
    """All that differs between two versions, part by part in the order of the names; empty if nothing does."""
    parts: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
        "params": (first.params, second.params),
        "metrics": (first.metrics, second.metrics),
        "lineage": (first.lineage.texts(), second.lineage.texts()),
        "files": (_hashes(first), _hashes(second)),
    }
    return [
        Difference(part, name, mine.get(name), other.get(name))
        for part, (mine, other) in parts.items()
        for name in sorted({*mine, *other})
        if canonical_json(mine.get(name)) != canonical_json(other.get(name))
    ]


def _hashes(registered: Registered) -> dict[str, str]:
    return {name: artifact.sha256 for name, artifact in registered.files.items()}
