"""Rows as the JSON that is spooled and sent."""

import enum
import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any


def encoded(row: Mapping[str, Any]) -> bytes:
    """A row as one line of JSON; aware times, ids, enums and sets are written as the texts and lists they are.

    Raises:
        ValueError, TypeError: something in it is not JSON, such as NaN or a time without a zone.
    """
    return json.dumps(row, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _plain(value: object) -> object:
    """JSON for the values that rows naturally hold: aware times, ids, enums."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
