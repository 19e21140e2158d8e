"""What may lie in the registry: formats in which a file is only data, so that reading it executes nothing.

The name says which format a file claims to be, and its bytes have to be of that format, when it is registered and each
time when it is loaded. Pickles, and archives that may hold some, are refused under every name. What the data mean is
the matter of whoever reads them.
"""

import json
import pickletools
import re
import struct
from collections.abc import Callable

from cogorch_dagster.errors import InvalidInput

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}\.[a-z]{2,20}")
_LENGTH = struct.Struct("<Q")
_FOOTER = struct.Struct("<I")
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_PARQUET = b"PAR1"
_TEXT_CONTROLS = frozenset(b"\t\n\r\f")
# Without one of these a pickle makes plain values and calls nothing.
_CALLING = frozenset(
    {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "REDUCE", "NEWOBJ", "NEWOBJ_EX", "BUILD", "PERSID", "BINPERSID"}
    | {"EXT1", "EXT2", "EXT4"}
)
# First bytes of what is an archive, compressed, or a pickle of protocol 2 and above.
_REFUSED = {
    b"PK\x03\x04": "a zip archive, as torch and numpy write them around pickles",
    b"PK\x05\x06": "a zip archive",
    b"\x1f\x8b": "compressed with gzip",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"(\xb5/\xfd": "compressed with zstd",
    b"\x93NUMPY": "a numpy array, which may hold pickled objects",
    **{bytes([0x80, protocol]): f"a pickle of protocol {protocol}" for protocol in range(2, 6)},
}


def require_harmless(name: str, content: bytes) -> None:
    """Make sure that a file is of one of the formats that execute nothing, and of the one that its name claims.

    Args:
        name: 1 to 80 of `a-z 0-9 _ -` and one of the endings of `FORMATS`.

    Raises:
        InvalidInput: another name, a pickle or an archive under whatever name, or bytes of another format.
    """
    suffix = require_name(name)
    for magic, what in _REFUSED.items():
        if content.startswith(magic):
            raise InvalidInput(f"{name} is refused: it is {what}. Write the data as {_offered()}.")
    if _is_text_pickle(content):
        raise InvalidInput(f"{name} is refused: it is a pickle that calls something. Write the data as {_offered()}.")
    problem = FORMATS[suffix](content)
    if problem is not None:
        raise InvalidInput(f"{name} is refused: {problem}; a file with this ending must be {suffix}")


def require_name(name: str) -> str:
    """The ending of an artifact's name, without its dot; raises InvalidInput for a name that none may have."""
    suffix = name.rpartition(".")[2]
    if NAME.fullmatch(name) is None or suffix not in FORMATS:
        raise InvalidInput(
            f"artifact {name!r:.120} is refused: a name is 1 to 80 characters of a-z 0-9 _ - and one of the endings "
            f"{_offered()}, formats that execute nothing when they are loaded"
        )
    return suffix


def _offered() -> str:
    return ", ".join(f".{suffix}" for suffix in FORMATS)


def _is_text_pickle(content: bytes) -> bool:
    """Whether the bytes are a program of the pickle machine up to its end, and one that calls something.

    The opcodes are only listed, none is executed. Data of other formats stop being opcodes after some bytes.
    """
    calls = False
    try:
        for opcode, _, _ in pickletools.genops(content):
            calls = calls or opcode.name in _CALLING
            if opcode.name == "STOP":
                return calls
    except Exception:  # Whatever the reader of opcodes stumbles over, pickle would as well.
        return False
    return False


def _safetensors(content: bytes) -> str | None:
    if len(content) < _LENGTH.size:
        return f"it has only {len(content)} bytes"
    (length,) = _LENGTH.unpack_from(content)
    if not 2 <= length <= len(content) - _LENGTH.size:
        return f"its first 8 bytes announce a header of {length} bytes, and {len(content) - _LENGTH.size} follow"
    try:
        header = json.loads(content[_LENGTH.size : _LENGTH.size + length])
    except (ValueError, RecursionError):
        return "its header is not JSON"
    return None if isinstance(header, dict) else "its header is no JSON object"


def _json(content: bytes) -> str | None:
    try:
        json.loads(content.decode())
    except (ValueError, RecursionError):
        return "it is not JSON in UTF-8"
    return None


def _text(content: bytes) -> str | None:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start} is not UTF-8"
    controls = sorted({byte for byte in content if byte < ord(" ")} - _TEXT_CONTROLS)
    return f"it holds the control character {controls[0]:#04x}" if controls else None


def _parquet(content: bytes) -> str | None:
    if len(content) < 12 or not (content.startswith(_PARQUET) and content.endswith(_PARQUET)):
        return "it does not begin and end with PAR1"
    (length,) = _FOOTER.unpack_from(content, len(content) - 8)
    return None if 0 < length <= len(content) - 12 else f"its footer cannot have {length} bytes"


def _png(content: bytes) -> str | None:
    whole = content.startswith(_PNG) and content.endswith(_PNG_END)
    return None if whole else "it does not begin and end as a PNG picture"


# By the ending of a name: what is wrong with bytes that should be of that format, if anything.
FORMATS: dict[str, Callable[[bytes], str | None]] = {
    "safetensors": _safetensors,
    "json": _json,
    "csv": _text,
    "parquet": _parquet,
    "png": _png,
    "md": _text,
}
