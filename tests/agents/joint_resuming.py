"""A small joint training, the same in every process.

python -m tests.agents.joint_resuming CHECKPOINT    goes on with it to its end and prints its fingerprint
"""

import sys
from dataclasses import replace
from datetime import UTC, datetime

from cogorch_dagster.agents import checkpoints
from cogorch_dagster.agents.training.joint import JointTraining, train
from cogorch_dagster.agents.training.joint_checkpoints import of_training, parts_of
from cogorch_dagster.agents.training.joint_configuration import JointConfiguration
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters

# Learning starts, both rollouts end, fleets begin new episodes and an evaluation happens before and after the middle.
SMALL = JointConfiguration(
    fleets=12,
    steps=72,
    seed=5,
    warm_up=20,
    evaluate_every=24,
    validation_seeds=1,
    settings={
        "policy": {"hidden": [16], "batch_size": 32, "learning_start": 60},
        "consensus": {"shared": [16], "rollout_steps": 5},
        "ethical": {"embedding": [16], "heads": [16], "rollout_steps": 7, "minibatch": 32},
        "resource": {"actor_hidden": [16], "critic_hidden": [16], "batch_size": 32, "learning_start": 60},
    },
    device="cpu",
)
MIDDLE = 41


def small_fleet() -> FleetParameters:
    return default_parameters().model_copy(update={"horizon": 30})


def fingerprint(training: JointTraining) -> str:
    """A hash of every bit of the training's parts."""
    whole = replace(of_training(training), code_version="", created_at=datetime(2026, 11, 20, tzinfo=UTC))
    return checkpoints.digest(checkpoints.pack(whole))


def main(path: str) -> None:
    parts = parts_of(checkpoints.read(path), small_fleet(), SMALL)
    print(fingerprint(train(small_fleet(), SMALL, resume=parts)))


if __name__ == "__main__":
    main(sys.argv[1])
