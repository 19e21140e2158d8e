"""The safetensors format: named tensors behind a header of JSON, with nothing in it that could be executed.

Eight bytes with the length of the header (little-endian), the header, and the data of the tensors without gaps
(https://github.com/huggingface/safetensors, section Format). Written here because the bytes must be the same for the
same content, which the library does not promise; its files and these can be read by either. What the tensors mean
belongs in `parts.py` and `checkpoints.py`.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from cogorch_dagster.errors import InvalidInput

# Bytes of an element of each type, by its name in the format.
SIZES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "U16": 2,
    "I16": 2,
    "F16": 2,
    "BF16": 2,
    "U32": 4,
    "I32": 4,
    "F32": 4,
    "U64": 8,
    "I64": 8,
    "F64": 8,
}
LENGTH = struct.Struct("<Q")
LARGEST_HEADER = 100_000_000  # Bytes; the limit of the format's own library.
_METADATA = "__metadata__"


@dataclass(frozen=True)
class RawTensor:
    """A tensor as the file holds it: name of its type, shape, and its elements in C order, little-endian."""

    dtype: str
    shape: tuple[int, ...]
    data: memoryview


def pack(metadata: Mapping[str, str], tensors: Mapping[str, RawTensor]) -> bytes:
    """A file of these tensors; the same bytes for the same content, whatever the order of the mappings."""
    # Larger elements first, so that every tensor lies at a multiple of its element's size.
    names = sorted(tensors, key=lambda name: (-SIZES[tensors[name].dtype], name))
    header: dict[str, Any] = {_METADATA: dict(sorted(metadata.items()))}
    offset = 0
    for name in names:
        tensor = tensors[name]
        end = offset + tensor.data.nbytes
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([LENGTH.pack(len(text)), text, *(tensors[name].data for name in names)])


def header_of(content: bytes) -> bytes:
    """The header's text.

    Raises:
        InvalidInput: the content is too short for what its first eight bytes announce.
    """
    if len(content) < LENGTH.size:
        raise InvalidInput(f"it has {len(content)} bytes; a safetensors file has at least {LENGTH.size}")
    (length,) = LENGTH.unpack_from(content)
    if length > min(LARGEST_HEADER, len(content) - LENGTH.size):
        raise InvalidInput(
            f"its first 8 bytes announce a header of {length} bytes; "
            f"there are {len(content) - LENGTH.size} after them, and at most {LARGEST_HEADER} are allowed"
        )
    return content[LENGTH.size : LENGTH.size + length]


def unpack(content: bytes) -> tuple[dict[str, str], dict[str, RawTensor]]:
    """Metadata and tensors of a file; the tensors' data are views of `content`.

    Raises:
        InvalidInput: it is not a safetensors file, or its tensors do not fill it exactly.
    """
    text = header_of(content)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"its header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise InvalidInput(f"its header is a JSON {type(header).__name__}; it must be an object")
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise InvalidInput(f"{_METADATA} in its header must hold texts only")
    data = memoryview(content)[LENGTH.size + len(text) :]
    ranges = sorted((_offsets(name, entry), name) for name, entry in header.items())
    position = 0
    for (start, end), name in ranges:
        if start != position:
            raise InvalidInput(f"tensor {name} begins at byte {start} of the data; the one before ends at {position}")
        position = end
    if position != data.nbytes:
        raise InvalidInput(f"its tensors take {position} bytes; the file has {data.nbytes} for them")
    return metadata, {name: _tensor(header[name], data[start:end]) for (start, end), name in ranges}


def _offsets(name: str, entry: object) -> tuple[int, int]:
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(start), int(end)]} if (
            dtype in SIZES and all(type(size) is int and size >= 0 for size in shape) and start >= 0
        ):
            if end - start != prod(shape) * SIZES[dtype]:
                raise InvalidInput(f"tensor {name} ({dtype}, shape {shape}) cannot take {end - start} bytes")
            return start, end
        case _:
            raise InvalidInput(f"tensor {name} is described by {entry!r:.200}; types are {', '.join(SIZES)}")


def _tensor(entry: dict[str, Any], data: memoryview) -> RawTensor:
    return RawTensor(dtype=entry["dtype"], shape=tuple(entry["shape"]), data=data)
