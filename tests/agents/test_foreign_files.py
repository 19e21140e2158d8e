"""What is no checkpoint is refused, and nothing in it executed; our files are of the format that they claim."""

import json
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cogorch_dagster.agents import checkpoints, tensor_file
from cogorch_dagster.errors import InvalidInput
from tests.agents.saved import assert_same, with_parts


def resealed(metadata: dict[str, str], tensors: dict[str, tensor_file.RawTensor] | None = None) -> bytes:
    """A file whose hash is right, as somebody could make one who means ill."""
    content = tensor_file.pack({**metadata, "sha256": "0" * 64}, tensors or {})
    return content.replace(b"0" * 64, checkpoints._hash(content).encode(), 1)


def description() -> dict[str, str]:
    metadata, _ = tensor_file.unpack(checkpoints.pack(with_parts({})))
    return metadata


def test_another_format_version_is_refused_with_both_and_the_remedy() -> None:
    with pytest.raises(InvalidInput, match=r"format version 2; this version of cogorch .* reads 1\. Read it with"):
        checkpoints.unpack(resealed({**description(), "format": "cogorch checkpoint 2"}))


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    raw = tensor_file.RawTensor("F32", (2,), memoryview(np.ones(2, np.float32)).cast("B"))
    path = tmp_path / "model.safetensors"
    path.write_bytes(tensor_file.pack({"format": "pt"}, {"weight": raw}))
    with pytest.raises(InvalidInput, match=r"model\.safetensors: it is not a checkpoint of cogorch"):
        checkpoints.read(path)
    path.write_bytes(resealed({"format": "pt"}, {"weight": raw}))
    with pytest.raises(InvalidInput, match="it is a 'pt'"):
        checkpoints.read(path)


@pytest.mark.parametrize(
    "parts",
    [
        {"torch": "parts/none"},
        {"dict": [["a"]]},
        {"dict": [[[], 1]]},
        {"int": "x"},
        {"int": "9" * 10_000},
        {"float": "zz" * 8},
        {"call": "os.system"},
    ],
)
def test_a_well_hashed_file_with_senseless_parts_is_refused(parts: Any) -> None:
    metadata = description()
    document = json.loads(metadata["document"])
    document["parts"] = parts
    with pytest.raises(InvalidInput):
        checkpoints.unpack(resealed({**metadata, "document": json.dumps(document)}))


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}},
        {"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}},
        {"a": {"dtype": "U8", "shape": [6], "data_offsets": [0, 6]}},
        {f"{i}": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]} for i in range(2)},
        {"a": "text"},
        ["list"],
        {"__metadata__": {"a": 1}},
    ],
)
def test_tensors_must_fill_their_file_exactly(header: Any) -> None:
    text = json.dumps(header).encode()
    with pytest.raises(InvalidInput):
        tensor_file.unpack(struct.pack("<Q", len(text)) + text + b"8 bytes ")


def test_the_formats_own_library_reads_the_same() -> None:
    library = pytest.importorskip("safetensors.torch", reason="the library of the format is not installed")
    parts = {"a": torch.randn(3, 2), "b": np.arange(5), "c": torch.ones(2, dtype=torch.bfloat16), "d": torch.empty(0)}
    found = library.load(checkpoints.pack(with_parts(parts)))
    assert found.keys() == {f"parts/{name}" for name in parts}
    for name, value in parts.items():
        assert_same(found[f"parts/{name}"], torch.as_tensor(value))
    theirs = library.save({"x": torch.arange(3), "y": torch.tensor(True)}, metadata={"k": "v"})
    metadata, tensors = tensor_file.unpack(theirs)
    assert metadata == {"k": "v"}
    assert {name: (raw.dtype, raw.shape) for name, raw in tensors.items()} == {"x": ("I64", (3,)), "y": ("BOOL", ())}


class Payload:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "executed")


@pytest.mark.parametrize("saver", [pickle.dump, torch.save])
def test_a_pickle_is_refused_and_not_executed(saver: Any, tmp_path: Path) -> None:
    path, trace = tmp_path / "agent.pt", tmp_path / "trace"
    with path.open("wb") as file:
        saver(Payload(trace), file)
    with pytest.raises(InvalidInput, match=r"agent\.pt: "):
        checkpoints.read(path)
    assert not trace.exists()
    if path.read_bytes()[:2] != b"PK":  # The payload is a real one.
        pickle.loads(path.read_bytes())  # noqa: S301
        assert trace.exists()
