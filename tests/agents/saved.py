"""A checkpoint for the tests that keep, refuse and damage one."""

from datetime import UTC, datetime

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
