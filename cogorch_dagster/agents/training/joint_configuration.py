"""How the fleet's four agents are trained: algorithms, their settings, the shared reward, and how long.

The training itself is `joint.py`. Settings that are not given here have the defaults below, whose schedules end with
the training; what each means is in the algorithm's file.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from cogorch_dagster.agents import algorithms
from cogorch_dagster.agents.algorithms import merged
from cogorch_dagster.agents.checks import number, whole
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.actions import ACTION_COUNTS, RESOURCE_DIMENSIONS
from cogorch_dagster.fleet.objectives import RewardWeights
from cogorch_dagster.fleet.signals import AGENTS, STATE_SIZES, AgentName

Aim = Literal["shared", "own"]

ALGORITHMS: dict[AgentName, str] = {"policy": "dqn", "consensus": "a2c", "ethical": "ppo", "resource": "ddpg"}
# Of each agent: discrete actions, or dimensions of the continuous one.
ACTIONS: dict[AgentName, int] = {**ACTION_COUNTS, "resource": len(RESOURCE_DIMENSIONS)}
# Steps after which a row of a replay is forgotten: by then the other agents behave differently.
STALE_AFTER = 200


@dataclass(frozen=True)
class JointConfiguration:
    """Settings of a training.

    Attributes:
        fleets: simulated at once, 1 to 1,000,000.
        steps: of all fleets at once, 1 to 10^9; schedules of learning rates and exploration end with them.
        seed: of everything random, 0 to 2**63 - 1.
        discount: per step of the fleets, 0..1.
        reward_center: subtracted from every reward. As no episode of a fleet terminates, that changes no policy, but
            values begin near 0 instead of far below what they will be.
        reward_scale: factor on what is left, above 0 to 1000.
        weights: of the shared reward.
        warm_up: steps at the start in which the resource agent only tries levels, 0 to 10^9, so that the others learn
            to use whatever the fleet has, and it what they make of it, before anything is taken away: else all settle
            where the cheapest model does everything, which none of them can leave alone.
        evaluate_every: steps from one evaluation to the next, 1 to 10^9.
        validation_seeds: of an evaluation, 1 to 1000; the same in each, and never those of training or of a report.
        learning: the agents that act and learn; the others leave everything at its defaults.
        aim: what is learned from, the shared reward or each agent's own utility.
        settings: by agent, settings of its algorithm that differ from the defaults; of a nested one only what differs.
        device: auto (the GPU where there is one), cpu or cuda.

    Raises:
        InvalidInput: a setting is unknown or outside of its range.
    """

    fleets: int = 256
    steps: int = 3000
    seed: int = 0
    discount: float = 0.95
    reward_center: float = 0.8
    reward_scale: float = 4.0
    weights: RewardWeights = field(default_factory=RewardWeights)
    warm_up: int = 800
    evaluate_every: int = 250
    validation_seeds: int = 8
    learning: tuple[AgentName, ...] = AGENTS
    aim: Aim = "shared"
    settings: Mapping[AgentName, Mapping[str, Any]] = field(default_factory=dict)
    device: str = "auto"

    def __post_init__(self) -> None:
        whole("fleets", self.fleets, 1, 1_000_000)
        whole("steps", self.steps, 1, 10**9)
        whole("seed", self.seed, 0, 2**63 - 1)
        number("discount", self.discount, 0, 1)
        number("reward_center", self.reward_center, -1000, 1000)
        number("reward_scale", self.reward_scale, 0, 1000, above=True)
        whole("warm_up", self.warm_up, 0, 10**9)
        whole("evaluate_every", self.evaluate_every, 1, 10**9)
        whole("validation_seeds", self.validation_seeds, 1, 1000)
        if not self.learning or len(set(self.learning)) < len(self.learning) or not set(self.learning) <= set(AGENTS):
            raise InvalidInput(f"learning agents are {self.learning}; name some of {', '.join(AGENTS)}, each once")
        if self.aim not in ("shared", "own"):
            raise InvalidInput(f"aim is {self.aim!r}; it must be shared or own")
        if unknown := sorted(set(self.settings) - set(AGENTS)):
            raise InvalidInput(f"settings are given for {', '.join(unknown)}; the agents are {', '.join(AGENTS)}")
        for agent in self.learning:
            self.settings_of(agent)

    def settings_of(self, agent: AgentName) -> dict[str, Any]:
        """All settings of an agent's algorithm, as `algorithms.complete` gives them."""
        defaults = {**_DEFAULTS[agent](self), "device": self.device}
        return algorithms.complete(ALGORITHMS[agent], merged(defaults, self.settings.get(agent, {})))

    def seed_of(self, purpose: str) -> int:
        """A seed for one purpose, such as an agent's name: 0 to 2**63 - 1, unrelated to that of any other."""
        return int.from_bytes(hashlib.sha256(f"{self.seed} {purpose}".encode()).digest()[:8], "big") >> 1

    def document(self) -> dict[str, Any]:
        """Everything as JSON, the agents' settings complete."""
        plain = asdict(self) | {"weights": self.weights.model_dump(), "learning": list(self.learning)}
        return plain | {"settings": {agent: self.settings_of(agent) for agent in self.learning}}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "JointConfiguration":
        """What `document` was called on.

        Raises:
            InvalidInput: a setting is unknown or outside of its range.
        """
        try:
            weights, learning = RewardWeights.model_validate(document["weights"]), tuple(document["learning"])
            return cls(**{**document, "weights": weights, "learning": learning})
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"the configuration of a training cannot be read: {error}") from error


class Sizes(NamedTuple):
    """Dimensions of an agent's states, and number of its discrete actions or dimensions of its continuous one."""

    states: int
    actions: int


def sizes_of(agent: AgentName) -> Sizes:
    """The sizes of one of the fleet's agents."""
    return Sizes(STATE_SIZES[agent], ACTIONS[agent])


def _policy(joint: JointConfiguration) -> dict[str, Any]:
    total = joint.fleets * joint.steps
    return {
        "discount": joint.discount,
        "return_steps": 3,
        "learning_rate": 1e-3,
        "final_learning_rate": 5e-5,
        "decay_steps": total,
        "capacity": min(STALE_AFTER * joint.fleets, 100_000),
        "max_age": STALE_AFTER,
        "learning_start": 20 * joint.fleets,
        "train_every": 2,
        "epsilon": 0.4,
        "final_epsilon": 0.03,
        "epsilon_steps": max(total // 2, 1),
        "priorities": {"beta_steps": total},
    }


def _consensus(joint: JointConfiguration) -> dict[str, Any]:
    # Its best settings lie several actions away from the defaults: with less entropy it stops before it gets there.
    return {
        "gamma": joint.discount,
        "learning_rate": 1.5e-3,
        "anneal_steps": joint.fleets * joint.steps,
        "rollout_steps": 8,
        "entropy_weight": 0.05,
    }


def _ethical(joint: JointConfiguration) -> dict[str, Any]:
    return {
        "gamma": joint.discount,
        "learning_rate": 7e-4,
        "anneal_steps": joint.fleets * joint.steps,
        "rollout_steps": 32,
        "epochs": 4,
        "minibatch": 2048,
        "entropy_weight": 0.01,
    }


def _resource(joint: JointConfiguration) -> dict[str, Any]:
    total = joint.fleets * joint.steps
    return {
        "discount": joint.discount,
        "return_steps": 3,
        "actor_rate": 1e-4,
        "critic_rate": 1e-3,
        "capacity": min(STALE_AFTER * joint.fleets, 100_000),
        "max_age": STALE_AFTER,
        "learning_start": joint.warm_up * joint.fleets // 2,
        "train_every": 2,
        "noise_theta": 0.05,
        "noise": 0.06,
        "final_noise": 0.01,
        "noise_steps": max(total * 4 // 5, 1),
    }


_DEFAULTS = {"policy": _policy, "consensus": _consensus, "ethical": _ethical, "resource": _resource}
