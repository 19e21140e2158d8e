"""A checkpoint for the tests that keep, refuse and damage one, and what it means for parts to be the same."""

import struct
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from cogorch_dagster.agents.checkpoints import Checkpoint

BASE = Checkpoint(
    agent="policy",
    algorithm="dqn",
    configuration={"gamma": 1.0, "hidden": [64, 64], "priorities": {"alpha": 0.6}},
    calibration="sha256:" + "a" * 64,
    states=32,
    actions=10,
    steps=1000,
    seed=7,
    metrics={"reward": 1.0},
    parts={"weights": torch.arange(6, dtype=torch.float32).reshape(2, 3), "calls": 3},
    code_version="0.1.0",
    created_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
)


def with_parts(parts: dict[str, Any]) -> Checkpoint:
    return replace(BASE, parts=parts)


def assert_same(found: Any, given: Any) -> None:
    """Equal in type, shape and every bit."""
    assert type(found) is type(given)
    if isinstance(given, dict):
        assert found.keys() == given.keys()
        for key, item in given.items():
            assert_same(found[key], item)
    elif isinstance(given, list | tuple):
        assert len(found) == len(given)
        for left, right in zip(found, given, strict=True):
            assert_same(left, right)
    elif isinstance(given, torch.Tensor):
        assert (found.dtype, found.shape) == (given.dtype, given.shape)
        assert bits(found) == bits(given)
    elif isinstance(given, np.ndarray | np.generic):
        assert (found.dtype, found.shape, found.tobytes()) == (given.dtype, given.shape, given.tobytes())
    elif isinstance(given, float):
        assert struct.pack(">d", found) == struct.pack(">d", given)
    else:
        assert found == given


def bits(tensor: torch.Tensor) -> bytes:
    plain = tensor.detach().resolve_neg()
    return (plain.view(torch.int16) if plain.dtype == torch.bfloat16 else plain).numpy().tobytes()
