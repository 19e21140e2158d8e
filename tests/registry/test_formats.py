"""Nothing that could execute something gets into the registry or out of it, whatever its name."""

import ast
import bz2
import collections
import gzip
import io
import json
import lzma
import os
import pickle
import struct
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.registry import artifacts, store
from cogorch_dagster.registry.formats import FORMATS, require_harmless
from cogorch_dagster.registry.mlflow_store import client
from cogorch_dagster.registry.records import FILES, Lineage
from cogorch_dagster.settings import Settings

ENGINE = Path(__file__).parent.parent.parent / "cogorch_dagster"


def parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2]}), buffer)
    return buffer.getvalue()


def png() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, format="png")
    return buffer.getvalue()


def safetensors(tail: bytes = b"") -> bytes:
    header = json.dumps({"__metadata__": {"format": "x"}}).encode()
    return struct.pack("<Q", len(header)) + header + tail


def harmless() -> dict[str, bytes]:
    return {
        "weights.safetensors": safetensors(),
        "params.json": b'{"a": [1, 2.5]}',
        "curve.csv": b"0.5,1\n0.25,2\n",
        "table.parquet": parquet(),
        "picture.png": png(),
        "notes.md": "# Why\n\n.5 of it, café.\n".encode(),
    }


class Plants:
    """Unpickled, it writes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.canary}",)


def loaded_by_force(content: bytes) -> None:
    pickle.loads(content)  # noqa: S301  it is what must not happen elsewhere


def pickles(canary: Path) -> dict[str, bytes]:
    """Pickles that write a file when they are loaded, of every protocol, and what carries some."""
    found = {f"protocol {n}": pickle.dumps(Plants(canary), protocol=n) for n in range(6)}
    found["nested"] = pickle.dumps(collections.OrderedDict(a=[Plants(canary)]), protocol=0)
    plain = found["protocol 4"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", plain)
    found |= {"zip": packed.getvalue(), "gzip": gzip.compress(plain), "bz2": bz2.compress(plain)}
    return found | {"xz": lzma.compress(plain)}


def test_each_format_is_taken_under_its_own_name_only() -> None:
    files = harmless()
    assert {name.rpartition(".")[2] for name in files} == set(FORMATS)
    for name, content in files.items():
        require_harmless(name, content)
        for other in files:
            # Any text may be Markdown or CSV, and JSON is a text.
            if other != name and not (name[-4:] in ("json", ".csv", "s.md") and other[-4:] in (".csv", "s.md")):
                with pytest.raises(InvalidInput, match=f"{other} is refused"):
                    require_harmless(other, content)
        if name[-4:] not in (".csv", "s.md"):
            with pytest.raises(InvalidInput):
                require_harmless(name, content[: len(content) // 2])


def test_a_pickle_is_refused_under_every_name(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    planted = pickles(canary)
    for kind, content in planted.items():
        for name in harmless():
            with pytest.raises(InvalidInput, match=f"{name} is refused"):
                require_harmless(name, content)
        for name in ("model.pkl", "model.pt", "model.joblib", "model.zip", "model", ".json", "a/b.json", "x.json\n"):
            with pytest.raises(InvalidInput):
                require_harmless(name, content)
        assert not canary.exists(), kind
    # What was planted does what it is said to do.
    for kind in ("protocol 0", "protocol 5", "nested"):
        loaded_by_force(planted[kind])
        assert canary.exists(), kind
        canary.unlink()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), st.lists))
def test_any_json_is_taken_and_its_pickles_are_not(value: Any) -> None:
    require_harmless("params.json", json.dumps(value).encode())
    for protocol in range(2, 6):
        with pytest.raises(InvalidInput):
            require_harmless("params.json", pickle.dumps(value, protocol=protocol))


def test_a_planted_pickle_is_never_executed(mlflow_database: Settings, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    content = pickles(canary)["protocol 0"]
    files = harmless()
    lineage = Lineage(code_version="0.1.0")
    made = store.register(mlflow_database, "agent-policy", files, params={}, metrics={}, lineage=lineage)
    folder = Path(mlflow_database.lake_root, made.folder)
    for name, good in files.items():
        (folder / name).write_bytes(content)
        with pytest.raises(Refused, match=f"{name} of agent-policy@1 is not loaded: its {len(content)} bytes"):
            store.load(mlflow_database, made)
        # Somebody who can write to the database too makes the digest fit.
        mlflow = client(mlflow_database)
        listed = json.loads(mlflow.get_model_version("agent-policy", "1").tags[FILES])
        forged = listed | {name: asdict(artifacts.described(content))}
        mlflow.set_model_version_tag("agent-policy", "1", FILES, json.dumps(forged))
        with pytest.raises(Refused, match=f"{name} is refused") as error:
            store.load(mlflow_database, store.get(mlflow_database, "agent-policy", 1))
        assert error.value.reason == "damaged_artifact"
        # Nor does a name lead out of the folder.
        outside = listed | {"../../secret.json": listed["params.json"]}
        mlflow.set_model_version_tag("agent-policy", "1", FILES, json.dumps(outside))
        with pytest.raises(Refused, match="secret"):
            (folder / name).write_bytes(good)
            store.load(mlflow_database, store.get(mlflow_database, "agent-policy", 1))
        mlflow.set_model_version_tag("agent-policy", "1", FILES, json.dumps(listed))
    # A file that the version does not name is not read at all.
    (folder / "model.pkl").write_bytes(content)
    assert store.load(mlflow_database, store.get(mlflow_database, "agent-policy", 1)) == files
    assert not canary.exists()


EXECUTING = {
    ("pickle", "load"), ("pickle", "loads"), ("pickle", "Unpickler"), ("cPickle", "load"), ("cloudpickle", "load"),
    ("cloudpickle", "loads"), ("dill", "load"), ("dill", "loads"), ("marshal", "loads"), ("marshal", "load"),
    ("torch", "load"), ("torch.jit", "load"), ("joblib", "load"), ("shelve", "open"), ("pandas", "read_pickle"),
    ("pd", "read_pickle"), ("yaml", "load"), ("yaml", "unsafe_load"), ("yaml", "full_load"),
}  # fmt: skip
ANYWHERE = {"load_model", "read_pickle", "load_context"}
NAMES = {name for _, name in EXECUTING} | ANYWHERE
MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def offences(tree: ast.AST) -> list[str]:
    """Places that load what could execute something."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {(node.module, alias.name) for alias in node.names}
            found += [".".join(name) for name in names if name in EXECUTING or node.module.split(".")[0] in MODULES]
        elif isinstance(node, ast.Attribute) and node.attr in NAMES:
            owner = ast.unparse(node.value)
            if (owner, node.attr) in EXECUTING or node.attr in ANYWHERE:
                found.append(f"{owner}.{node.attr}")
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            found += [] if isinstance(node.value, ast.Constant) and node.value.value is False else ["allow_pickle"]
    return found


def test_the_engine_loads_nothing_that_could_execute_something() -> None:
    for text in ("import pickle", "from torch import load", "torch.load(f)", "mlflow.pyfunc.load_model(u)"):
        assert offences(ast.parse(text)), text
    assert offences(ast.parse("np.load(f, allow_pickle=True)")) and not offences(ast.parse("json.loads(t)"))
    for path in sorted(ENGINE.rglob("*.py")):
        assert offences(ast.parse(path.read_text())) == [], path
