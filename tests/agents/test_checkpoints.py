"""Checkpoints: what comes back is what went in, and nothing damaged or unfit is taken."""

import os
import signal
import struct
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cogorch_dagster.agents import checkpoints
from cogorch_dagster.errors import InvalidInput, Refused
from tests.agents.saved import BASE, assert_same, with_parts


def round_trip(parts: dict[str, Any]) -> Any:
    return checkpoints.unpack(checkpoints.pack(with_parts(parts))).parts


NUMPY = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
NUMPY += ["float16", "float32", "float64"]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
ARRAYS = st.sampled_from(NUMPY).flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))
TENSORS = ARRAYS.map(torch.from_numpy)
BFLOATS = hnp.arrays("int16", SHAPES).map(lambda array: torch.from_numpy(array).view(torch.bfloat16))
NUMBERS = st.integers() | st.integers(2**53 - 1, 2**128) | st.floats()
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(max_size=5) | ARRAYS | TENSORS | BFLOATS
KEYS = st.text(max_size=4) | st.sampled_from(["a/b", "a~1b", "a", "__metadata__", "sha256", '"sha256":"', "float"])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(parts=st.dictionaries(KEYS, TREES, max_size=4))
def test_any_nested_parts_come_back_bit_for_bit(parts: dict[str, Any]) -> None:
    content = checkpoints.pack(with_parts(parts))
    found = checkpoints.unpack(content)
    assert_same(found.parts, parts)
    assert checkpoints.pack(found) == content


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor([float("nan"), -0.0, float("inf"), 1e-45]),
        torch.tensor(3),
        torch.empty(0, 4),
        torch.arange(12).reshape(3, 4).t(),
        torch.arange(12)[::3],
        torch.tensor([1.5, -0.0, float("nan")], dtype=torch.bfloat16),
        torch.Generator().manual_seed(5).get_state(),
        torch.zeros(3).expand(2, 3),
        torch.ones(4).as_strided((1,), (0,)),
        torch.ones(2).as_strided((1, 1), (7, 0)).bfloat16(),
        torch.empty(0, dtype=torch.bfloat16),
        torch.ones(2, dtype=torch.complex64).conj().imag,
        np.array(5, dtype=np.uint64),
        np.float64(0.1),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        2**128 - 1,
        -(2**200),
        -0.0,
        struct.unpack(">d", bytes.fromhex("fff8000000000001"))[0],
        {0: {1: "keys of a torch optimiser"}},
        "half of a pair \ud800 and \0",
    ],
)
def test_what_is_easily_lost_is_kept(value: Any) -> None:
    assert_same(round_trip({"value": value})["value"], value)


def test_a_trained_tensor_comes_back_without_gradient_and_of_its_own_memory() -> None:
    weight = torch.ones(2, requires_grad=True)
    found = round_trip({"a": weight, "b": np.ones(2)})
    assert not found["a"].requires_grad
    found["a"] += 1
    found["b"] += 1
    assert_same(found["a"], torch.full((2,), 2.0))
    assert_same(found["b"], np.full(2, 2.0))


def test_numpy_randomness_goes_on_where_it_was() -> None:
    rng = np.random.Generator(np.random.PCG64(3))
    rng.random(5)
    saved = round_trip({"random": rng.bit_generator.state})["random"]
    other = np.random.Generator(np.random.PCG64(0))
    other.bit_generator.state = saved
    assert rng.random(10).tolist() == other.random(10).tolist()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "of type object"),
        (b"bytes", "of type bytes"),
        (lambda: 1, "of type function"),
        (np.array(["a"]), "array of dtype"),
        (np.array([1.0], dtype=">f8"), "native"),
        (np.array([1j]), "complex128"),
        (torch.tensor([1j]), "complex64"),
        (torch.eye(2).to_sparse(), "sparse"),
        ({1.5: 2}, "keys are texts or integers"),
        ({0: torch.ones(1), "0": torch.ones(1)}, "named twice"),
    ],
)
def test_what_cannot_be_held_is_refused_with_its_path(value: Any, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as raised:
        checkpoints.pack(with_parts({"agent": [1, {"x/y": value}]}))
    assert "parts/agent/1/x~1y" in str(raised.value)


def test_the_description_comes_back_as_given(tmp_path: Path) -> None:
    path = tmp_path / "new" / "agent.safetensors"
    digest = checkpoints.write(path, BASE)
    found = checkpoints.read(path)
    assert checkpoints.digest(path.read_bytes()) == digest
    for name in BASE.__dataclass_fields__:
        if name != "parts":
            assert getattr(found, name) == getattr(BASE, name)
    assert type(found.configuration["gamma"]) is float
    assert [file.name for file in path.parent.iterdir()] == ["agent.safetensors"]


def test_the_same_checkpoint_has_the_same_bytes_and_any_other_has_another_digest() -> None:
    first = checkpoints.digest(checkpoints.pack(BASE))
    turned = with_parts(dict(reversed(BASE.parts.items())))
    assert checkpoints.digest(checkpoints.pack(turned)) == first
    others = [replace(BASE, steps=1001), replace(BASE, seed=8), with_parts({**BASE.parts, "calls": 4})]
    assert len({first, *(checkpoints.digest(checkpoints.pack(other)) for other in others)}) == 4


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"agent": "../up"}, "agent is '../up'"),
        ({"states": 0}, "states is 0"),
        ({"steps": -1}, "steps is -1"),
        ({"metrics": {"reward": float("nan")}}, "metric reward is nan"),
        ({"created_at": datetime(2026, 1, 1)}, "without a time zone"),  # noqa: DTZ001
    ],
)
def test_a_senseless_description_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        replace(BASE, **change)


def test_a_configuration_that_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"gamma is nan"):
        checkpoints.pack(replace(BASE, configuration={"gamma": float("nan")}))


def test_every_flipped_byte_is_found() -> None:
    content = bytearray(checkpoints.pack(BASE))
    rng = np.random.default_rng(0)
    for position in range(len(content)):
        flip = int(rng.integers(1, 256))
        content[position] ^= flip
        with pytest.raises(InvalidInput):
            checkpoints.unpack(bytes(content))
        content[position] ^= flip
    assert_same(checkpoints.unpack(bytes(content)).parts, BASE.parts)


def test_every_cut_and_every_addition_is_found() -> None:
    content = checkpoints.pack(BASE)
    for length in range(len(content)):
        with pytest.raises(InvalidInput):
            checkpoints.unpack(content[:length])
    with pytest.raises(InvalidInput, match="damaged"):
        checkpoints.unpack(content + b" ")


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"there is no checkpoint .*none"):
        checkpoints.read(tmp_path / "none")


FIT: dict[str, Any] = {
    "agent": "policy",
    "algorithm": "dqn",
    "configuration": BASE.configuration,
    "states": 32,
    "actions": 10,
    "calibration": BASE.calibration,
}


def test_a_fitting_checkpoint_is_taken() -> None:
    checkpoints.require_compatible(BASE, **FIT)
    checkpoints.require_compatible(BASE, **{**FIT, "calibration": None})
    same = {"gamma": 1, "hidden": (64, 64), "priorities": {"alpha": 0.6}}
    checkpoints.require_compatible(BASE, **{**FIT, "configuration": same})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"agent": "ethical"}, "agent is 'policy', not 'ethical'"),
        ({"algorithm": "ppo"}, "algorithm is 'dqn', not 'ppo'"),
        ({"states": 24}, "states is 32, not 24"),
        ({"actions": 8}, "actions is 10, not 8"),
        ({"calibration": "sha256:b"}, "calibration is 'sha256:a+', not 'sha256:b'"),
        ({"configuration": {**BASE.configuration, "gamma": 0.9}}, r"configuration\.gamma is 1\.0, not 0\.9"),
        (
            {"configuration": {**BASE.configuration, "priorities": {"alpha": 0.6, "beta": 1}}},
            r"configuration\.priorities\.beta \(1\) is only asked for",
        ),
        ({"configuration": {"gamma": 1.0}}, r"configuration\.hidden .* is no longer there"),
        ({"configuration": {**BASE.configuration, "priorities": None}}, r"priorities is \{.*\}, not None"),
        ({"states": 24, "actions": 8}, r"states is 32, not 24; actions is 10, not 8"),
    ],
)
def test_an_incompatible_checkpoint_is_refused_with_both_values(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused, match=reason) as raised:
        checkpoints.require_compatible(BASE, **{**FIT, **change})
    assert raised.value.reason == "incompatible_checkpoint"


KILLED = """
import os, sys, time
from dataclasses import replace
import numpy as np
from cogorch_dagster.agents import checkpoints

path, stop = sys.argv[1], sys.argv[2] == "stop"
base = checkpoints.read(path)
sync = os.fsync


def told(descriptor):
    print("written", flush=True)
    if stop:
        time.sleep(60)
    sync(descriptor)


os.fsync = told
while True:
    checkpoints.write(path, replace(base, steps=base.steps + 1, parts={"x": np.zeros(300_000)}))
"""


@pytest.mark.parametrize("when", ["stop", "anywhere"])
def test_kill_9_while_writing_leaves_a_whole_checkpoint(when: str, tmp_path: Path) -> None:
    path = tmp_path / "agent.safetensors"
    old = replace(BASE, parts={"x": np.arange(3)})
    checkpoints.write(path, old)
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path), when], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(1 if when == "stop" else 8):
            assert process.stdout.readline() == b"written\n"
        os.kill(process.pid, signal.SIGKILL)
    found = checkpoints.read(path)
    if when == "stop":  # All was written, under the other name only.
        assert_same(found.parts, old.parts)
        assert [file.suffix for file in tmp_path.iterdir() if file != path] == [".partial"]
    else:
        assert found.steps == BASE.steps + 1
