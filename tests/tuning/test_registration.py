"""What training and tuning leave gets into the registry with its lineage, and the champion is what is in force."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from cogorch_dagster.agents import checkpoints
from cogorch_dagster.agents import store as agents
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.calibration.calibration import calibrate
from cogorch_dagster.fleet.calibration.store import save
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.fleet.signals import AGENTS
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import activation, decisions, drafts
from cogorch_dagster.policies import store as policies
from cogorch_dagster.policies.seed import seed
from cogorch_dagster.registry import store as registry
from cogorch_dagster.registry.records import Lineage, Registered
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.registration import (
    follow,
    register_agents,
    register_hyperparameters,
)
from tests.agents_layer import BEGIN
from tests.tuning.registered_training import short_fleet, trained


def test_agents_are_registered_with_all_that_they_come_from(mlflow_database: Settings) -> None:
    settings, fleet = mlflow_database, short_fleet()
    found = replace(calibrate(settings, BEGIN, BEGIN + timedelta(hours=2)), parameters=fleet)
    with transaction(settings) as connection:
        save(connection, found)
    kept = trained(settings)
    made = register_agents(settings, kept.agents, fleet, policy_versions={"policy": "agent-policy@1.0.0"}, study="s1")
    assert (
        register_agents(settings, kept.agents, fleet, policy_versions={"policy": "agent-policy@1.0.0"}, study="s1")
        == made
    )
    assert sorted(registry.names(settings)) == ["agent-consensus", "agent-ethical", "agent-policy", "agent-resource"]
    for agent, version in made.items():
        stored = kept.agents[agent]
        assert version.version == 1 and dict(version.metrics) == dict(stored.metrics)
        assert version.params["algorithm"] == stored.algorithm and version.params["seed"] == 0
        assert version.lineage.calibration == fleet.digest and version.lineage.inputs == found.inputs
        assert (version.lineage.since, version.lineage.until) == (found.since, found.until)
        assert version.lineage.code_version == checkpoints.code_version() and version.lineage.study == "s1"
        files = registry.load(settings, version)
        assert checkpoints.digest(files["checkpoint.safetensors"]) == stored.digest
        assert json.loads(files["company.json"]) == {a: each.digest for a, each in kept.agents.items()}
    assert made["policy"].lineage.policy_version == "agent-policy@1.0.0"
    assert made["ethical"].lineage.policy_version is None

    with pytest.raises(InvalidInput, match="was trained in the fleet"):
        register_agents(settings, kept.agents, default_parameters())
    assert agents.get(settings, kept.agents["policy"].digest) == kept.agents["policy"]


def test_hyperparameters_are_candidates_until_they_are_in_force(mlflow_database: Settings) -> None:
    settings, name = mlflow_database, "hyperparameters-agent-policy"
    assert [follow(settings, f"agent-{agent}") for agent in AGENTS] == [None] * 4
    with transaction(settings) as connection:
        seed(connection)
        first = policies.active(connection, "agent-policy")
    assert first is not None
    followed = {agent: follow(settings, f"agent-{agent}") for agent in AGENTS}
    assert {agent: each and each.ref for agent, each in followed.items()} == {
        agent: f"hyperparameters-agent-{agent}@1" for agent in ("policy", "consensus", "ethical", "resource")
    }
    champion = followed["policy"]
    assert champion is not None
    assert champion.params == first.params and champion.lineage.policy_version == first.ref
    assert follow(settings, "agent-policy") == champion and champion.aliases == ("champion",)

    params = {**first.params, "learningRate": first.params["learningRate"] * 1.25}

    def register() -> Registered:
        lineage = Lineage(code_version="0.1.0", study="s1")
        measured = {"difference": 0.04, "low": 0.01}
        return register_hyperparameters(
            settings, "agent-policy", params, metrics=measured, lineage=lineage, study={"trials": 30}
        )

    tuned = register()
    assert tuned.aliases == ("candidate",)
    with transaction(settings) as connection:
        draft = drafts.propose_version(connection, "agent-policy", params, actor="test")
    assert follow(settings, "agent-policy") == champion
    with transaction(settings) as connection:
        decided = decisions.approve(connection, draft.policy_id, draft.version, actor="ann", reason="better")
        activation.activate(connection, decided.decision_id, actor="test")
    found = follow(settings, "agent-policy")
    assert found is not None and found.version == tuned.version and found.aliases == ("champion",)
    assert registry.find(settings, f"{name}@previous").version == champion.version
    assert json.loads(registry.load(settings, found)["study.json"]) == {"trials": 30}
    assert register() == found  # No candidate any more.

    with transaction(settings) as connection:
        back = decisions.rollback(connection, "agent-policy", first.version, actor="ann", reason="worse")
        activation.activate(connection, back.decision_id, actor="test")
    rolled = follow(settings, "agent-policy")
    assert rolled is not None and rolled.version == champion.version
    assert registry.find(settings, f"{name}@previous").version == tuned.version
