"""Trainings that were kept before some settings existed are found and gone on with; any other difference is told."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cogorch_dagster.agents import checkpoints
from cogorch_dagster.agents.training.joint import JointTraining
from cogorch_dagster.agents.training.joint_checkpoints import of_training, open_path, parts_of
from cogorch_dagster.agents.training.joint_configuration import JointConfiguration
from cogorch_dagster.errors import Refused
from cogorch_dagster.policies.document import digest
from cogorch_dagster.settings import Settings
from tests.agents.joint_resuming import SMALL, fingerprint, small_fleet

NEW = {"policy": ("activation", "dropout"), "resource": ("activation", "dropout")}
NEW |= {"consensus": ("dropout",), "ethical": ("dropout",)}


def earlier(document: dict[str, Any]) -> dict[str, Any]:
    """A training's document as it was written before dropout, and before DQN and DDPG had a choice of activation."""
    found = deepcopy(document)
    for agent, names in NEW.items():
        for name in names:
            del found["settings"][agent][name]
    return found


def changed(**settings: dict[str, Any]) -> JointConfiguration:
    own = {agent: {**SMALL.settings.get(agent, {}), **change} for agent, change in settings.items()}  # type: ignore[call-overload]
    return replace(SMALL, settings={**SMALL.settings, **own})


def test_a_training_kept_before_is_gone_on_with() -> None:
    training = JointTraining(small_fleet(), SMALL)
    for _ in range(7):
        training.advance()
    kept = of_training(training)
    old = replace(kept, configuration=earlier(SMALL.document()))
    read = checkpoints.unpack(checkpoints.pack(old))
    resumed = JointTraining(small_fleet(), SMALL)
    resumed.restore(parts_of(read, small_fleet(), SMALL))
    for each in (training, resumed):
        each.advance()
    assert fingerprint(resumed) == fingerprint(training)
    with pytest.raises(Refused, match=r"configuration\.settings\.policy\.dropout is 0, not 0\.1"):
        parts_of(read, small_fleet(), changed(policy={"dropout": 0.1}))
    with pytest.raises(Refused, match=r"configuration\.settings\.resource\.activation is 'relu', not 'tanh'"):
        parts_of(read, small_fleet(), changed(resource={"activation": "tanh"}))
    without = deepcopy(read.configuration)
    del without["settings"]["policy"]["hidden"]  # type: ignore[index]
    with pytest.raises(Refused, match=r"policy\.hidden .* is only asked for"):
        parts_of(replace(read, configuration=without), small_fleet(), SMALL)


def test_its_file_has_the_name_that_it_had_and_any_other_training_another(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, _env_file=None)
    name = digest({"parameters": small_fleet().digest, "configuration": earlier(SMALL.document())})
    path = open_path(settings, small_fleet(), SMALL)
    assert path == f"{settings.lake_root}/trainings/{name.removeprefix('sha256:')[:16]}.safetensors"
    others = [
        SMALL,
        changed(policy={"dropout": 0.1}),
        changed(policy={"activation": "tanh"}),
        changed(consensus={"activation": "tanh"}),
        changed(ethical={"dropout": 0.1}),
        changed(resource={"activation": "silu"}),
    ]
    assert len({open_path(settings, small_fleet(), each) for each in others}) == len(others)
