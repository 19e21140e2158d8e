"""Hyperparameters as the policy documents name them, and as the algorithms' settings: the one place that knows both.

A document holds what is tuned and approved (`policies/hyperparameters.py` has the bounds). Everything else that an
algorithm can be set to, such as the schedules that follow the length of a training, stays with the training.
"""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.policies import decisions, store
from cogorch_dagster.policies.hyperparameters import policy_of
from cogorch_dagster.policies.store import PolicyVersion

# Of the first design, where they are not the algorithms' own defaults.
FIRST_RATE, FIRST_DISCOUNT = 1e-3, 0.95
# What is left of DQN's learning rate at the end of its schedule; A2C and PPO have the same as `anneal_to`.
FINAL_SHARE = 0.05

# By kind: the parameter's name in a document, and the setting's; a dot leads into a nested setting.
_NETWORK = {"activation": "activation", "dropout": "dropout"}
_OFF_POLICY = {
    "discount": "discount",
    "returnSteps": "return_steps",
    "batchSize": "batch_size",
    "trainEvery": "train_every",
    "targetShare": "target_share",
}
_ON_POLICY = {
    "learningRate": "learning_rate",
    "discount": "gamma",
    "rolloutSteps": "rollout_steps",
    "gaeDecay": "gae_decay",
    "entropyWeight": "entropy_weight",
}
_SETTINGS: dict[str, dict[str, str]] = {
    "dqn": {
        "learningRate": "learning_rate",
        **_OFF_POLICY,
        "epsilon": "epsilon",
        "finalEpsilon": "final_epsilon",
        "priorityAlpha": "priorities.alpha",
        **_NETWORK,
    },
    "a2c": {**_ON_POLICY, "valueWeight": "value_weight", "maxGradientNorm": "max_gradient_norm", **_NETWORK},
    "ppo": {**_ON_POLICY, "epochs": "epochs", "minibatch": "minibatch", "clip": "clip", **_NETWORK},
    "ddpg": {
        "actorRate": "actor_rate",
        "criticRate": "critic_rate",
        **_OFF_POLICY,
        "noise": "noise",
        "finalNoise": "final_noise",
        "noiseTheta": "noise_theta",
        **_NETWORK,
    },
}

# How `hidden` becomes layers: DDPG has two networks of the same widths, A2C's policy and value share all layers, and
# those of PPO all but the last.
_LAYERS: dict[str, Callable[[list[int]], dict[str, list[int]]]] = {
    "dqn": lambda hidden: {"hidden": hidden},
    "a2c": lambda hidden: {"shared": hidden, "heads": []},
    "ppo": lambda hidden: {"embedding": hidden[:-1] or hidden, "heads": hidden[1:] and hidden[-1:]},
    "ddpg": lambda hidden: {"actor_hidden": hidden, "critic_hidden": hidden},
}


def settings_of(kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters as settings of the algorithm, for `JointConfiguration.settings` and `Learner.adopt`.

    DQN's final learning rate follows the first one. Values are not checked here: that is done where they are used.

    Args:
        kind: dqn, a2c, ppo or ddpg.
        params: some or all of the kind's hyperparameters by their names in a document.

    Raises:
        InvalidInput: an unknown kind or hyperparameter.
    """
    names = _names(kind)
    if unknown := sorted(params.keys() - {*names, "hidden"}):
        raise InvalidInput(
            f"{kind} has no hyperparameter {', '.join(unknown)}; there are {', '.join(sorted({*names, 'hidden'}))}"
        )
    found: dict[str, Any] = {}
    for name, value in params.items():
        if name == "hidden":
            found |= _LAYERS[kind](list(value))
            continue
        outer, _, inner = names[name].partition(".")
        found[outer] = {inner: value} if inner else value
    if kind == "dqn" and "learning_rate" in found:
        found["final_learning_rate"] = FINAL_SHARE * found["learning_rate"]
    return found


def params_of(kind: str, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters that a complete configuration holds (`algorithms.complete`, `settings_of` of a training).

    Uniform replay counts as prioritised with exponent 0, which draws the same.

    Raises:
        InvalidInput: an unknown kind, a setting is missing, or the networks have layers that `hidden` cannot name.
    """
    found: dict[str, Any] = {}
    for name, setting in _names(kind).items():
        outer, _, inner = setting.partition(".")
        if outer not in configuration:
            raise InvalidInput(f"the configuration of {kind} has no setting {outer}; give it complete")
        value = configuration[outer]
        found[name] = value if not inner else 0 if value is None else value[inner]
    return found | {"hidden": _hidden(kind, configuration)}


def other_architecture(kind: str, configuration: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    """What of the architecture differs between a complete configuration and a document, in the document's names.

    Raises:
        InvalidInput: as `params_of`.
    """
    there = params_of(kind, configuration)
    return [
        f"{name} {there[name]} cannot become {params[name]}"
        for name in ("hidden", *_NETWORK)
        if params.get(name, there[name]) != there[name]
    ]


def first_defaults(kind: str) -> dict[str, Any]:
    """The defaults of the first design as complete hyperparameters: where tuning begins. Imports torch.

    Learning rates are 1e-3 and the discount .95; the others are the algorithm's own defaults.

    Raises:
        InvalidInput: an unknown kind.
    """
    from cogorch_dagster.agents import algorithms

    found = params_of(kind, algorithms.complete(kind, {}))
    rates = {name: FIRST_RATE for name in ("learningRate", "actorRate", "criticRate") if name in found}
    return found | rates | {"discount": FIRST_DISCOUNT}


def versions_in_force(connection: sa.Connection) -> dict[AgentName, PolicyVersion]:
    """The active version of each agent's hyperparameters; an agent without one is left out.

    Raises:
        Refused: `digest_mismatch`: a version's row was edited.
    """
    found: dict[AgentName, PolicyVersion] = {}
    for agent in AGENTS:
        version = store.active(connection, policy_of(agent))
        if version is not None:
            decisions.require_digest(version, None)
            found[agent] = version
    return found


def in_force(connection: sa.Connection) -> dict[AgentName, dict[str, Any]]:
    """The hyperparameters of the active versions by agent; see `versions_in_force`."""
    return {agent: version.params for agent, version in versions_in_force(connection).items()}


def training_settings(versions: Mapping[AgentName, PolicyVersion]) -> dict[AgentName, dict[str, Any]]:
    """What a training with these versions is configured with: `JointConfiguration.settings`."""
    return {agent: settings_of(version.kind, version.params) for agent, version in versions.items()}


def _names(kind: str) -> dict[str, str]:
    if kind not in _SETTINGS:
        raise InvalidInput(f"{kind!r} is no kind of hyperparameters; there are {', '.join(_SETTINGS)}")
    return _SETTINGS[kind]


def _hidden(kind: str, configuration: Mapping[str, Any]) -> list[int]:
    layers = {name: list(configuration.get(name, [])) for name in _LAYERS[kind]([1])}
    # DDPG's two networks are not one after the other.
    hidden = layers["actor_hidden"] if kind == "ddpg" else [width for widths in layers.values() for width in widths]
    if not hidden or _LAYERS[kind](hidden) != layers:
        raise InvalidInput(f"layers {layers} of {kind} cannot be said by one list of widths")
    return hidden
