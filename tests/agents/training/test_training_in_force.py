"""Trainings begin with the hyperparameters in force and say which they were: the command and the asset."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from assets.agent_checkpoints import agent_checkpoints
from cogorch_dagster.agents import checkpoints
from cogorch_dagster.agents import store as agents
from cogorch_dagster.agents.training.joint_configuration import JointConfiguration
from cogorch_dagster.cli.agents import app
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.fleet.signals import AGENTS
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import decisions, drafts, seed, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.settings import Settings
from resources.installation import CogorchResource

REFS = {agent: f"agent-{agent}@1.0.0" for agent in AGENTS}


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """The default fleet with short episodes, so that evaluations are quick."""
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps(default_parameters().model_copy(update={"horizon": 20}).model_dump(mode="json")))
    return path


def trained(settings: Settings, fleet: Path) -> tuple[dict[str, checkpoints.Checkpoint], str]:
    """What the command stores by agent, and what it says."""
    options = ("--fleets", "4", "--steps", "50", "--calibration", str(fleet))
    done = CliRunner().invoke(app, ["train", *options])
    assert done.exit_code == 0, done.output
    stored = {agent: agents.latest(settings, agent) for agent in AGENTS}
    assert all(each is not None and each.digest in done.output for each in stored.values())
    return {agent: agents.load(settings, each) for agent, each in stored.items() if each is not None}, done.stderr


def tune(settings: Settings) -> None:
    """Version 1.0.1 of agent-policy comes into force."""
    with transaction(settings) as connection:
        params = store.version(connection, "agent-policy", "1.0.0").params
        draft = drafts.propose_version(connection, "agent-policy", {**params, "batchSize": 600}, actor="ada")
        decision = decisions.approve(connection, "agent-policy", draft.version, "ada", "quicker", digest=draft.digest)
        activate(connection, decision.decision_id, "ada")


def test_the_command_trains_with_the_versions_in_force(settings: Settings, fleet: Path) -> None:
    plain, said = trained(settings, fleet)
    assert "hyperparameters: those of the training itself" in said
    with transaction(settings) as connection:
        seed.seed(connection)
    seeded, said = trained(settings, fleet)
    assert f"hyperparameters: {', '.join(REFS.values())}" in said
    # What new installations begin with changes nothing, bit for bit.
    for agent in AGENTS:
        assert seeded[agent].configuration == plain[agent].configuration
        assert checkpoints.nested.encode(seeded[agent].parts) == checkpoints.nested.encode(plain[agent].parts)
    tune(settings)
    found, said = trained(settings, fleet)
    assert "agent-policy@1.0.1, agent-consensus@1.0.0" in said
    assert found["policy"].configuration == {**plain["policy"].configuration, "batch_size": 600}
    assert checkpoints.nested.encode(found["policy"].parts) != checkpoints.nested.encode(plain["policy"].parts)


def test_the_asset_trains_with_the_versions_in_force_and_its_metadata_name_them(settings: Settings) -> None:
    with transaction(settings) as connection:
        seed.seed(connection)
    tune(settings)
    config: dict[str, Any] = {"fleets": 2, "steps": 4, "validation_seeds": 1}
    result = dg.materialize(
        [agent_checkpoints],
        partition_key="policy",
        resources={"cogorch": CogorchResource(home=str(settings.home), database=settings.database)},
        run_config={"ops": {"agent_checkpoints": {"config": config}}},
    )
    events = result.asset_materializations_for_node("agent_checkpoints")
    (found,) = (each.metadata for each in events if each.partition == "policy")
    assert found["hyperparameters"].value == {**REFS, "policy": "agent-policy@1.0.1"}
    wanted = JointConfiguration(**config, settings={"policy": {"batch_size": 600}})
    assert found["configuration"].value["settings"] == wanted.document()["settings"]
