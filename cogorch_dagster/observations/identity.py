"""The identity of an observation: a UUIDv7 that follows from its source, its id there and its time.

The same row therefore always has the same id, without a look-up, and the id alone names the hour that the row lies in.
"""

import hashlib
import uuid
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LOW_74_BITS = (1 << 74) - 1


def observation_id(source: str, source_id: str, occurred_at: datetime) -> uuid.UUID:
    """The UUIDv7 (RFC 9562) of an observation: 48 bits of milliseconds, then 74 bits of a hash of source and source_id.

    Args:
        occurred_at: aware, from 1970 on.
    """
    return uuid.UUID(derive(source, source_id, occurred_at))


def derive(source: str, source_id: str, occurred_at: datetime) -> str:
    """`observation_id` as text."""
    # The length of source is hashed so that ("a", "bc") and ("ab", "c") differ whatever characters they hold.
    key = f"{len(source)}:{source}{source_id}".encode()
    bits = int.from_bytes(hashlib.blake2b(key, digest_size=10).digest(), "big") & _LOW_74_BITS
    high = to_milliseconds(occurred_at) << 16 | 0x7000 | bits >> 62
    low = 1 << 63 | (bits & ((1 << 62) - 1))
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def canonical(text: str) -> str:
    """The lower-case hyphenated form of a UUIDv7.

    Raises:
        ValueError: it is no UUID, or one of another version.
    """
    try:
        value = uuid.UUID(text)
    except ValueError:
        raise ValueError("is not a UUID") from None
    if value.version != 7:
        raise ValueError("is not a UUID of version 7")
    return str(value)


def to_milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970-01-01 UTC, rounded down."""
    return (moment - _EPOCH) // _MILLISECOND


def milliseconds(observation_id: str | uuid.UUID) -> int:
    """The milliseconds since 1970-01-01 UTC that an observation's id holds."""
    text = str(observation_id)
    return int(text[:8] + text[9:13], 16)


def hour_of(observation_id: str | uuid.UUID) -> datetime:
    """The UTC hour of the observation with this id: where its feedback belongs."""
    return _EPOCH + timedelta(hours=milliseconds(observation_id) // 3_600_000)
