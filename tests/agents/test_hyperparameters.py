"""Hyperparameters as documents and as settings: nothing is lost between them, and the seeds change nothing."""

import json
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from cogorch_dagster.agents import algorithms, hyperparameters
from cogorch_dagster.agents.hyperparameters import first_defaults, params_of, settings_of
from cogorch_dagster.agents.training.joint_configuration import ALGORITHMS, JointConfiguration
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import decisions, drafts, seed
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS, MODELS, PARAMETERS
from cogorch_dagster.policies.parameter import Parameter
from cogorch_dagster.settings import Settings

SEEDS = {each["policyId"]: each["params"] for each in seed.documents() if each["kind"] in MODELS}


def value(parameter: Parameter) -> st.SearchStrategy[Any]:
    low, high = parameter.search
    return st.integers(int(low), int(high)) if parameter.whole else st.floats(low, high)


def params(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    network = {
        "hidden": st.lists(st.integers(4, 64), min_size=1, max_size=4),
        "activation": st.sampled_from(["relu", "silu", "tanh"]),
        "dropout": st.floats(0, 0.5),
    }
    return st.fixed_dictionaries({each.name: value(each) for each in PARAMETERS[kind]} | network)


def test_agents_have_the_kinds_that_they_are_trained_with() -> None:
    assert AGENT_KINDS == ALGORITHMS


@pytest.mark.parametrize("kind", MODELS)
@given(data=st.data())
@examples(max_examples=10, deadline=None)
def test_what_becomes_settings_comes_back(kind: str, data: st.DataObject) -> None:
    given_params = data.draw(params(kind))
    assert params_of(kind, algorithms.complete(kind, settings_of(kind, given_params))) == given_params
    # Some of them set no other settings than their own.
    some = {name: given_params[name] for name in data.draw(st.sets(st.sampled_from(sorted(given_params))))}
    assert params_of(kind, algorithms.complete(kind, settings_of(kind, some))) == {
        **params_of(kind, algorithms.complete(kind, {})),
        **some,
    }


def test_each_parameter_has_the_setting_of_its_meaning() -> None:
    assert settings_of("dqn", {"learningRate": 0.01, "priorityAlpha": 0.5, "hidden": [8], "returnSteps": 2}) == {
        "learning_rate": 0.01,
        "final_learning_rate": 0.0005,
        "priorities": {"alpha": 0.5},
        "hidden": [8],
        "return_steps": 2,
    }
    assert settings_of("a2c", {"discount": 0.9, "hidden": [8, 4]}) == {"gamma": 0.9, "shared": [8, 4], "heads": []}
    assert settings_of("ppo", {"hidden": [32, 16, 8]}) == {"embedding": [32, 16], "heads": [8]}
    assert settings_of("ppo", {"hidden": [32]}) == {"embedding": [32], "heads": []}
    assert settings_of("ddpg", {"hidden": [8], "discount": 0.9, "noiseTheta": 0.2}) == {
        "actor_hidden": [8],
        "critic_hidden": [8],
        "discount": 0.9,
        "noise_theta": 0.2,
    }


def test_unknown_names_and_layers_that_one_list_cannot_say_are_refused() -> None:
    with pytest.raises(InvalidInput, match="dqn has no hyperparameter gamma; there are activation, batchSize"):
        settings_of("dqn", {"gamma": 0.9})
    with pytest.raises(InvalidInput, match="'sarsa' is no kind of hyperparameters; there are dqn, a2c, ppo, ddpg"):
        settings_of("sarsa", {})
    with pytest.raises(InvalidInput, match="configuration of dqn has no setting batch_size"):
        params_of("dqn", {"learning_rate": 1, "discount": 0.9, "return_steps": 1})
    for kind, layers in (
        ("a2c", {"shared": [8], "heads": [4]}),
        ("ppo", {"heads": [4, 4]}),
        ("ddpg", {"actor_hidden": [8], "critic_hidden": [4]}),
    ):
        with pytest.raises(InvalidInput, match=f"of {kind} cannot be said by one list"):
            params_of(kind, algorithms.complete(kind, layers))


def test_uniform_replay_is_the_exponent_0() -> None:
    assert params_of("dqn", algorithms.complete("dqn", {"priorities": None}))["priorityAlpha"] == 0


@pytest.mark.parametrize(("fleets", "steps"), [(256, 3000), (16, 2400), (1, 7)])
def test_a_training_with_the_seeds_is_the_training_without(fleets: int, steps: int) -> None:
    plain = JointConfiguration(fleets=fleets, steps=steps)
    own = {agent: settings_of(kind, SEEDS[f"agent-{agent}"]) for agent, kind in ALGORITHMS.items()}
    assert JointConfiguration(fleets=fleets, steps=steps, settings=own).document() == plain.document()


def test_schedules_follow_the_length_of_the_training_whatever_is_tuned() -> None:
    tuned = settings_of("dqn", {**SEEDS["agent-policy"], "priorityAlpha": 0.3, "learningRate": 3e-4, "epsilon": 0.9})
    for steps in (100, 1000):
        found = JointConfiguration(fleets=10, steps=steps, settings={"policy": tuned}).settings_of("policy")
        assert found["priorities"] == {"alpha": 0.3, "beta": 0.4, "beta_steps": 10 * steps}
        assert (found["decay_steps"], found["epsilon_steps"], found["max_age"]) == (10 * steps, 5 * steps, 200)
        assert (found["epsilon"], found["learning_rate"]) == (0.9, 3e-4)
        assert found["final_learning_rate"] == pytest.approx(1.5e-5)
    none = JointConfiguration(settings={"policy": {"priorities": None}}).settings_of("policy")
    assert none["priorities"] is None


@pytest.mark.parametrize("kind", MODELS)
def test_the_first_design_s_defaults_are_a_valid_document(kind: str) -> None:
    found = first_defaults(kind)
    MODELS[kind].model_validate(found)
    assert found["discount"] == 0.95
    assert {found[name] for name in found if name.endswith("Rate")} == {1e-3}
    changed = {name for name, each in params_of(kind, algorithms.complete(kind, {})).items() if each != found[name]}
    assert "discount" in changed and changed <= {"discount", "learningRate", "actorRate", "criticRate"}


def test_what_is_in_force_is_what_was_activated_last(settings: Settings) -> None:
    with transaction(settings) as connection:
        assert hyperparameters.in_force(connection) == {}
        seed.seed(connection)
        assert hyperparameters.in_force(connection) == {agent: SEEDS[f"agent-{agent}"] for agent in AGENT_KINDS}
        wanted = {**SEEDS["agent-policy"], "batchSize": 600}
        draft = drafts.propose_version(connection, "agent-policy", wanted, actor="ada")
        decision = decisions.approve(connection, "agent-policy", draft.version, "ada", "quicker", digest=draft.digest)
        assert hyperparameters.in_force(connection)["policy"] == SEEDS["agent-policy"]
        activate(connection, decision.decision_id, "ada")
        assert hyperparameters.in_force(connection)["policy"] == wanted
        versions = hyperparameters.versions_in_force(connection)
        assert {agent: each.ref for agent, each in versions.items()} == {
            "policy": "agent-policy@1.0.1",
            "consensus": "agent-consensus@1.0.0",
            "ethical": "agent-ethical@1.0.0",
            "resource": "agent-resource@1.0.0",
        }
        trained = JointConfiguration(settings=hyperparameters.training_settings(versions))
        assert trained.settings_of("policy") == {**JointConfiguration().settings_of("policy"), "batch_size": 600}


def test_a_version_whose_row_was_edited_is_not_trained_with(settings: Settings) -> None:
    with transaction(settings) as connection:
        seed.seed(connection)
        edited = json.dumps({**SEEDS["agent-ethical"], "clip": 0.9})
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))  # past the triggers
        connection.execute(
            sa.text("UPDATE policy_versions SET params = CAST(:params AS jsonb) WHERE policy_id = 'agent-ethical'"),
            {"params": edited},
        )
        with pytest.raises(Refused, match=r"agent-ethical@1\.0\.0") as refused:
            hyperparameters.in_force(connection)
    assert refused.value.reason == "digest_mismatch"
