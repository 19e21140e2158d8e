"""The id of an observation, known before it is sent, so that feedback can name it.

The same derivation as the service's own (`observations.identity`), written again because this package stands alone.
"""

import hashlib
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOW_74_BITS = (1 << 74) - 1


def with_identity(observation: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with `source_id` and `observation_id`, each only if it is missing and can be known.

    Without a sound `occurred_at` there is no id; the service will say what is wrong with the row.
    """
    row = dict(observation)
    if _either(row, "source_id", "sourceId") is None:
        row["source_id"] = uuid.uuid4().hex
    if _either(row, "observation_id", "observationId") is None:
        moment = _moment(_either(row, "occurred_at", "occurredAt") or row.get("timestamp"))
        if moment is not None:
            source, source_id = row.get("source"), _either(row, "source_id", "sourceId")
            row["observation_id"] = observation_id(str(source or ""), str(source_id), moment)
    return row


def observation_id(source: str, source_id: str, occurred_at: datetime) -> str:
    """A UUIDv7 (RFC 9562): milliseconds of an aware `occurred_at`, then 74 bits of a hash of source and source_id."""
    key = f"{len(source)}:{source}{source_id}".encode()
    bits = int.from_bytes(hashlib.blake2b(key, digest_size=10).digest(), "big") & _LOW_74_BITS
    milliseconds = (occurred_at - _EPOCH) // timedelta(milliseconds=1)
    high = milliseconds << 16 | 0x7000 | bits >> 62
    return str(uuid.UUID(int=high << 64 | 1 << 63 | bits & ((1 << 62) - 1)))


def _either(row: Mapping[str, Any], name: str, alias: str) -> Any:
    value = row.get(name)
    return row.get(alias) if value is None else value


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    # Times before 1970 do not fit a UUIDv7.
    return value if isinstance(value, datetime) and value.tzinfo is not None and value >= _EPOCH else None
