"""A version is taken over wholly between two steps, or refused with the reason and nothing changed."""

import dataclasses
from typing import Any

import pytest

from cogorch_dagster.fleet.signals import AGENTS
from cogorch_dagster.serving.reload import reload
from tests.serving.hyperparameters import document, same, seeded_params, small_training

CHANGES: dict[str, dict[str, Any]] = {
    "policy": {"learningRate": 7e-4, "discount": 0.9, "returnSteps": 2, "priorityAlpha": 0.5, "finalEpsilon": 0.05},
    "consensus": {"learningRate": 7e-4, "rolloutSteps": 4, "entropyWeight": 0.02},
    "ethical": {"learningRate": 5e-4, "rolloutSteps": 16, "clip": 0.1, "epochs": 2},
    "resource": {"actorRate": 2e-4, "criticRate": 5e-4, "batchSize": 128, "finalNoise": 0.02},
}
# Where the algorithms' settings hold what the documents say.
SETTINGS = {
    "policy": {"learning_rate": 7e-4, "final_learning_rate": None, "epsilon": 0.05, "return_steps": 2},
    "consensus": {"learning_rate": 7e-4, "rollout_steps": 4, "entropy_weight": 0.02, "anneal_steps": 0},
    "ethical": {"learning_rate": 5e-4, "rollout_steps": 16, "clip": 0.1, "epochs": 2, "anneal_steps": 0},
    "resource": {"actor_rate": 2e-4, "critic_rate": 5e-4, "batch_size": 128, "noise": 0.02, "final_noise": 0.02},
}


def test_all_four_take_new_versions_over_and_keep_every_bit() -> None:
    training, still = small_training(steps=21), small_training(steps=21)
    before = training.parts()
    assert same(before, still.parts())
    for agent in AGENTS:
        found = reload(training, agent, document(agent, **CHANGES[agent]))
        assert found.accepted, found.reason
        assert (found.policy_id, found.version, found.steps) == (f"agent-{agent}", "1.0.1", 21)
    after = training.parts()
    # Rollouts that are open keep the length that they were begun with, which is now told beside them.
    assert [after["learners"][agent]["rollout"].pop("steps") for agent in ("consensus", "ethical")] == [8, 32]
    assert same(before, after)
    for agent, wanted in SETTINGS.items():
        settings = training.configuration.settings_of(agent)
        assert {name: settings[name] for name in wanted} == wanted
        learner: Any = training.learners[agent]
        in_force = dataclasses.asdict(learner.settings if hasattr(learner, "settings") else learner.configuration)
        assert {name: in_force[name] for name in wanted} == wanted
    for _ in range(20):
        training.advance()
        still.advance()
    # They go on, and the new settings make a difference to each of them.
    for agent in AGENTS:
        assert not same(training.learners[agent].parts(), still.learners[agent].parts())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": [16, 16]}, "next training"),
        ({"activation": "tanh"}, "next training"),
        ({"dropout": 0.25}, "next training"),
        ({"learningRate": 7.0}, "learningRate"),
        ({"learningRate": float("nan")}, "learningRate"),
        ({"luck": 1.0}, "luck"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason_and_changes_nothing(change: dict[str, Any], message: str) -> None:
    training = small_training(("policy",), steps=12)
    before, configuration = training.parts(), training.configuration
    try:
        sent = document("policy", **change)
    except ValueError:
        # Not-a-number has no digest; whoever sends it must have made one up.
        sent = dataclasses.replace(document("policy"), params=document("policy").params | change)
    found = reload(training, "policy", sent)
    assert not found.accepted
    assert found.reason is not None
    assert message in found.reason
    assert training.configuration is configuration
    assert same(before, training.parts())


def test_another_architecture_is_refused_in_the_words_of_the_document() -> None:
    training = small_training(("ethical",), steps=12)
    now = seeded_params("ethical")
    found = reload(training, "ethical", document("ethical", hidden=[64, 32], dropout=0.25, clip=0.25))
    assert found.reason == (
        f"hidden {now['hidden']} cannot become [64, 32]; dropout {now['dropout']} cannot become 0.25 "
        "in a running agent: it takes effect with the next training; "
        "nothing else of this version is taken over either"
    )
    assert training.configuration.settings_of("ethical")["clip"] != 0.25


def test_an_altered_document_and_one_of_another_kind_are_refused() -> None:
    training = small_training(("policy",), steps=12)
    good = document("policy", learningRate=7e-4)
    altered = dataclasses.replace(good, params=good.params | {"discount": 0.5})
    assert "digest" in str(reload(training, "policy", altered).reason)
    foreign = dataclasses.replace(document("ethical"), policy_id="agent-policy")
    assert "parameters of kind dqn" in str(reload(training, "policy", foreign).reason)
    assert "agent-ethical" in str(reload(training, "policy", document("ethical")).reason)
    assert reload(training, "policy", good).accepted
