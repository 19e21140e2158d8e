"""Nested parts of a learner or an environment as JSON and named tensors, and back without a bit changed.

JSON keeps dicts, lists, tuples, texts, numbers, booleans and None; tensors and arrays are named by their path. Equal
parts have the same JSON: dicts come back in the order of their keys. Objects of any other kind are refused, so that
nothing has to be executed to read them.
"""

import math
import struct
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cogorch_dagster.agents.tensor_file import RawTensor
from cogorch_dagster.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

# Names of the element types in the file, and in NumPy and torch.
_NAMES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "F16": "float16",
    "BF16": "bfloat16",
    "U32": "uint32",
    "I32": "int32",
    "F32": "float32",
    "U64": "uint64",
    "I64": "int64",
    "F64": "float64",
}
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}
# Beyond it a double, as which most readers of JSON take a number, does not hold every integer.
_LARGEST_JSON_INTEGER = 2**53
_DOUBLE = struct.Struct(">d")


@dataclass
class _Encoder:
    tensors: dict[str, RawTensor] = field(default_factory=dict)

    def encode(self, value: object, path: str) -> object:  # noqa: PLR0911 - one line for each kind of value
        match value:
            case np.generic():  # Before float, of which float64 is a subclass.
                return {"scalar": self._add(path, _raw_array(np.asarray(value), path))}
            case None | bool() | str():
                return value
            case int():
                return value if abs(value) <= _LARGEST_JSON_INTEGER else {"int": str(value)}
            case float():
                return value if math.isfinite(value) else {"float": _DOUBLE.pack(value).hex()}
            case dict():
                keys = sorted((_key(key, path) for key in value), key=lambda key: (isinstance(key, str), key))
                return {"dict": [[key, self.encode(value[key], _below(path, key))] for key in keys]}
            case list():
                return self._items(value, path)
            case tuple():
                return {"tuple": self._items(value, path)}
            case np.ndarray():
                return {"numpy": self._add(path, _raw_array(value, path))}
        if _is_tensor(value):
            return {"torch": self._add(path, _raw_tensor(value, path))}
        raise InvalidInput(
            f"{path} is of type {type(value).__name__}; parts are nested dicts, lists and tuples of tensors, arrays, "
            "numbers, texts, booleans and None"
        )

    def _items(self, values: list[object] | tuple[object, ...], path: str) -> list[object]:
        return [self.encode(item, _below(path, index)) for index, item in enumerate(values)]

    def _add(self, name: str, tensor: RawTensor) -> str:
        if name in self.tensors:
            raise InvalidInput(f"{name} is named twice: a dict has both a number and the same number as text for a key")
        self.tensors[name] = tensor
        return name


def encode(parts: dict[str, Any], root: str = "parts") -> tuple[object, dict[str, RawTensor]]:
    """Nested parts as a JSON value and the tensors that it names.

    Tensors may lie on any device and need not be contiguous; they come back dense, in C order, on the CPU. Keys are
    texts or integers (a torch optimiser's state is keyed by integers).

    Raises:
        InvalidInput: a value or element type that cannot be held, with its path.
    """
    encoder = _Encoder()
    return encoder.encode(parts, root), encoder.tensors


def decode(value: object, tensors: dict[str, RawTensor]) -> Any:  # noqa: PLR0911 - one line for each kind of value
    """What `encode` was given; tensors and arrays are writable and share no memory with the file.

    Raises:
        InvalidInput: the JSON is not what `encode` gives, or names a tensor that is not there.
    """
    match value:
        case None | bool() | str() | int() | float():
            return value
        case list():
            return [decode(item, tensors) for item in value]
        case {"dict": list(pairs)}:
            return {key: decode(item, tensors) for key, item in map(_pair, pairs)}
        case {"tuple": list(items)}:
            return tuple(decode(item, tensors) for item in items)
        case {"int": str(text)}:
            return _integer(text)
        case {"float": str(text)} if len(text) == 2 * _DOUBLE.size:
            return _DOUBLE.unpack(bytes.fromhex(text))[0]
        case {"numpy": str(name)} if name in tensors:
            return _array(tensors[name], name)
        case {"scalar": str(name)} if name in tensors:
            return _array(tensors[name], name)[()]
        case {"torch": str(name)} if name in tensors:
            return _tensor(tensors[name])
        case _:
            raise InvalidInput(f"part {value!r:.200} is of no known kind, or names a tensor that the file has not")


def _key(key: object, path: str) -> str | int:
    if isinstance(key, str) or type(key) is int:
        return key
    raise InvalidInput(f"key {key!r} of {path} is of type {type(key).__name__}; keys are texts or integers")


def _below(path: str, key: object) -> str:
    """JSON Pointer (RFC 6901): no two paths have the same name, even where keys have slashes in them."""
    return f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"


def _pair(pair: object) -> tuple[str | int, object]:
    match pair:
        case [str() | int() as key, item]:
            return key, item
        case _:
            raise InvalidInput(f"entry {pair!r:.200} of a dict is not a key and a value")


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InvalidInput(f"integer {text!r:.200}: {error}") from error


def _is_tensor(value: object) -> bool:
    torch = sys.modules.get("torch")  # Where torch was never imported, nothing is a tensor of it.
    return torch is not None and isinstance(value, torch.Tensor)


def _raw_array(array: np.ndarray[Any, Any], path: str) -> RawTensor:
    dtype = _DTYPES.get(array.dtype.name)
    if dtype is None or not array.dtype.isnative or array.dtype.names is not None:
        raise InvalidInput(f"{path} is an array of {array.dtype!r}; element types are {', '.join(_DTYPES)}, native")
    return RawTensor(dtype=dtype, shape=array.shape, data=_bytes(array))


def _raw_tensor(tensor: Any, path: str) -> RawTensor:
    import torch

    dtype = _DTYPES.get(str(tensor.dtype).removeprefix("torch."))
    if dtype is None or tensor.layout != torch.strided or tensor.device.type == "meta":
        raise InvalidInput(
            f"{path} is a tensor of {tensor.dtype}, {tensor.layout} on {tensor.device}; it must be dense and of "
            + ", ".join(_DTYPES)
        )
    plain = tensor.detach().cpu().resolve_neg()
    if dtype == "BF16":  # NumPy has no such type, but as many bytes.
        plain = plain.view(torch.int16)
    return RawTensor(dtype=dtype, shape=tuple(tensor.shape), data=_bytes(plain.numpy()))


def _bytes(array: np.ndarray[Any, Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _array(raw: RawTensor, name: str) -> Any:
    if raw.dtype == "BF16":
        raise InvalidInput(f"{name} is a NumPy array of bfloat16, which NumPy has not")
    return np.frombuffer(raw.data, dtype=_NAMES[raw.dtype]).reshape(raw.shape).copy()


def _tensor(raw: RawTensor) -> "Tensor":
    import torch

    dtype = getattr(torch, _NAMES[raw.dtype])
    if raw.data.nbytes == 0:
        return torch.empty(raw.shape, dtype=dtype)
    return torch.frombuffer(bytearray(raw.data), dtype=dtype).reshape(raw.shape)
