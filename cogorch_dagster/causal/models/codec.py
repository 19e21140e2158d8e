"""Arrays and their description as bytes that say the same on every machine, for a column of bytes in a database."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput

_MAGIC = b"cogorch-scm-1\n"
_TYPES = {"f": "<f8", "i": "<i8", "b": "|b1"}


def packed(head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """A JSON head, then the arrays as little-endian float64, int64 or bool, row by row."""
    shapes = {}
    parts = []
    for name, array in arrays.items():
        kind = _TYPES[array.dtype.kind]
        shapes[name] = [kind, list(array.shape)]
        parts.append(np.ascontiguousarray(array, dtype=kind).tobytes())
    text = json.dumps({"head": head, "arrays": shapes}, sort_keys=False, separators=(",", ":"), ensure_ascii=False)
    encoded = text.encode()
    return b"".join([_MAGIC, len(encoded).to_bytes(8, "little"), encoded, *parts])


def unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Head and arrays, read only and without a copy.

    Raises:
        InvalidInput: not such bytes, or not all of them.
    """
    start = len(_MAGIC) + 8
    if not content.startswith(_MAGIC) or len(content) < start:
        raise InvalidInput("these bytes are no structural model of this version; fit it again")
    length = int.from_bytes(content[len(_MAGIC) : start], "little")
    document = json.loads(content[start : start + length])
    at = start + length
    arrays = {}
    for name, (kind, shape) in document["arrays"].items():
        count = int(np.prod(shape))
        size = count * np.dtype(kind).itemsize
        if at + size > len(content):
            raise InvalidInput(f"the bytes of a structural model end at {len(content)}, within {name}; store all")
        arrays[name] = np.frombuffer(content, dtype=kind, count=count, offset=at).reshape(shape)
        at += size
    if at != len(content):
        raise InvalidInput(f"the bytes of a structural model have {len(content) - at} too many; store them as given")
    return document["head"], arrays


def digest_of(content: bytes) -> str:
    """`sha256:` and 64 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
