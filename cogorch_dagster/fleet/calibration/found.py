"""What a fit of one part found: values for fields of the parameters, and for each where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Found:
    """New values by name of field, and the origin of every field that was looked at, kept defaults among them."""

    values: Mapping[str, Any]
    origin: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    def __or__(self, other: "Found") -> "Found":
        return Found({**self.values, **other.values}, {**self.origin, **other.origin}, self.warnings + other.warnings)


def kept(fields: tuple[str, ...], why: str) -> Found:
    """Nothing new: the fields keep their defaults, because of `why`."""
    return Found({}, dict.fromkeys(fields, f"default: {why}"))
