"""What an agent's settings mean in a process without an end.

A training's schedules lead from its first step to its last. Here there is no last step, so every schedule stands where
it would lead: exploration at its final value, the correction of priorities complete. The learning rate is the
document's own and stays there: a running agent goes on learning, where a training lets it fade.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cogorch_dagster.agents.algorithms import merged
from cogorch_dagster.fleet.signals import AgentName

if TYPE_CHECKING:
    from cogorch_dagster.agents.training.joint_configuration import JointConfiguration

# Never reached: a step takes milliseconds, so this is a hundred days.
LAST_STEP = 10**9
WARM_UP = 800


def configuration(
    agents: tuple[AgentName, ...],
    fleets: int,
    seed: int,
    settings: Mapping[AgentName, Mapping[str, Any]],
    *,
    warm_up: int,
) -> "JointConfiguration":
    """The configuration of agents that run, each with settings of its algorithm as a training has them.

    Args:
        settings: by agent; what is left out has the training's defaults.
        warm_up: steps in which new agents begin as those of a training do; 0 for agents that know something.

    Raises:
        InvalidInput: a setting is unknown or out of its range.
    """
    from cogorch_dagster.agents.training.joint_configuration import JointConfiguration

    plain = JointConfiguration(fleets=fleets, steps=LAST_STEP, seed=seed, warm_up=warm_up, learning=agents)
    return with_settings(plain, settings)


def with_settings(joint: "JointConfiguration", settings: Mapping[AgentName, Mapping[str, Any]]) -> "JointConfiguration":
    """The configuration with other settings of the agents named; all else as it is.

    Raises:
        InvalidInput: a setting is unknown or out of its range.
    """
    from cogorch_dagster.agents.training.joint_configuration import ALGORITHMS

    own = {
        agent: _standing(ALGORITHMS[agent], merged(joint.settings_of(agent), settings.get(agent, {})))
        for agent in (settings if joint.settings else joint.learning)
    }
    return replace(joint, settings={**joint.settings, **own})


def for_fleets(settings: Mapping[str, Any], fleets: int) -> dict[str, Any]:
    """Settings of an agent that was trained in another number of fleets: its replay is as long, in steps."""
    from cogorch_dagster.agents.training.joint_configuration import STALE_AFTER

    own = dict(settings)
    if "capacity" in own:
        own["capacity"] = min(STALE_AFTER * fleets, 100_000)
    return own


def _standing(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    own = dict(settings)
    if kind == "dqn":
        own |= {"final_learning_rate": None, "epsilon": own["final_epsilon"], "epsilon_steps": 1}
        if own.get("priorities") is not None:
            own["priorities"] = {**own["priorities"], "beta": 1.0, "beta_steps": 1}
    elif kind == "ddpg":
        own |= {"noise": own["final_noise"], "noise_steps": 1}
    else:
        own["anneal_steps"] = 0
    return own
