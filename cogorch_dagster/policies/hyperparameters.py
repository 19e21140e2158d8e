"""The hyperparameters of the four agents as documents: one kind per algorithm, with bounds and largest steps.

The bounds of level `wide` are the schema's, so that nothing passes them in any way. Those of a stricter level hold for
what is proposed, approved and activated; so does the largest step from the version in force (`limits`).
"""

from typing import Self

from pydantic import BaseModel, model_validator

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies import architecture
from cogorch_dagster.policies.architecture import Activation, Hidden
from cogorch_dagster.policies.parameter import Parameter
from cogorch_dagster.policies.schema import Params

AGENT_KINDS: dict[str, str] = {"policy": "dqn", "consensus": "a2c", "ethical": "ppo", "resource": "ddpg"}
ARCHITECTURE = architecture.NAMES

_FACTORS = (1.5, 3.0, 10.0)
_WHOLE_FACTORS = (2.0, 4.0, 16.0)


def _rate(name: str, meaning: str, least: float = 1e-4) -> Parameter:
    """A learning rate; `least`: at level `strict`."""
    return Parameter(name, "log", (1e-6, 1e-1), (1e-5, 1e-2), (least, 3e-3), _FACTORS, (3e-5, 1e-2), meaning)


LEARNING_RATE = _rate("learningRate", "Of Adam at the start of a training; it falls from there.")
# An actor follows a critic that is still wrong, so it is often the slower of the two.
ACTOR_RATE = _rate("actorRate", "Learning rate of the actor.", least=3e-5)
CRITIC_RATE = _rate("criticRate", "Learning rate of the critic.")
DISCOUNT = Parameter(
    "discount", "horizon", (0.5, 0.9995), (0.8, 0.999), (0.9, 0.99), _FACTORS, (0.8, 0.995),
    "Per step; 1 / (1 - discount) steps ahead are counted.",
)  # fmt: skip
RETURN_STEPS = Parameter(
    "returnSteps", "linear", (1, 50), (1, 10), (1, 5), (1, 3, 10), (1, 8),
    "Steps of reward before the value of a state is asked.", whole=True,
)  # fmt: skip
BATCH_SIZE = Parameter(
    "batchSize", "log", (8, 65_536), (32, 8192), (128, 2048), _WHOLE_FACTORS, (64, 2048),
    "Rows of the replay to a gradient step.", whole=True,
)  # fmt: skip
TRAIN_EVERY = Parameter(
    "trainEvery", "log", (1, 64), (1, 16), (1, 8), _WHOLE_FACTORS, (1, 8),
    "Steps of all environments from one update to the next.", whole=True,
)  # fmt: skip
TARGET_SHARE = Parameter(
    "targetShare", "log", (1e-4, 1), (5e-4, 0.1), (1e-3, 2e-2), _FACTORS, (1e-3, 5e-2),
    "How far the target networks move to the online ones in an update.",
)  # fmt: skip
EPSILON = Parameter(
    "epsilon", "linear", (0, 1), (0, 1), (0.05, 1), (0.1, 0.3, 1), (0.1, 1),
    "Share of random actions at the start.",
)  # fmt: skip
FINAL_EPSILON = Parameter(
    "finalEpsilon", "linear", (0, 1), (0, 0.2), (0.01, 0.1), (0.02, 0.05, 1), (0.005, 0.1),
    "Share of random actions at the end; at most epsilon.",
)  # fmt: skip
PRIORITY_ALPHA = Parameter(
    "priorityAlpha", "linear", (0, 1), (0, 1), (0.2, 0.8), (0.1, 0.3, 1), (0, 1),
    "How much the TD error of a row counts when it is drawn; 0 draws uniformly.",
)  # fmt: skip
ROLLOUT_STEPS = Parameter(
    "rolloutSteps", "log", (1, 1024), (2, 256), (4, 128), _WHOLE_FACTORS, (4, 128),
    "Steps of each environment between two updates.", whole=True,
)  # fmt: skip
GAE_DECAY = Parameter(
    "gaeDecay", "linear", (0, 1), (0.7, 1), (0.9, 0.99), (0.02, 0.1, 1), (0.8, 1),
    "Lambda of the generalised advantage estimates.",
)  # fmt: skip
ENTROPY_WEIGHT = Parameter(
    "entropyWeight", "linear", (0, 1), (0, 0.2), (0, 0.1), (0.01, 0.05, 0.5), (0, 0.1),
    "Of the policy's entropy in the loss; more keeps it exploring.",
)  # fmt: skip
VALUE_WEIGHT = Parameter(
    "valueWeight", "log", (0.01, 10), (0.1, 2), (0.25, 1), _FACTORS, (0.1, 2),
    "Of the error of the value in the loss.",
)  # fmt: skip
MAX_GRADIENT_NORM = Parameter(
    "maxGradientNorm", "log", (0.01, 100), (0.05, 10), (0.2, 2), _FACTORS, (0.1, 5),
    "Longer gradients are cut to it.",
)  # fmt: skip
EPOCHS = Parameter(
    "epochs", "linear", (1, 50), (1, 20), (2, 10), (2, 6, 20), (1, 12), "Over a rollout.", whole=True
)  # fmt: skip
MINIBATCH = Parameter(
    "minibatch", "log", (16, 65_536), (64, 16_384), (256, 4096), _WHOLE_FACTORS, (128, 4096),
    "Steps in a minibatch; a rollout that is smaller is one.", whole=True,
)  # fmt: skip
CLIP = Parameter(
    "clip", "linear", (0.01, 1), (0.05, 0.5), (0.1, 0.3), (0.05, 0.1, 0.5), (0.05, 0.4),
    "How far the ratio of probabilities is followed from 1.",
)  # fmt: skip
NOISE = Parameter(
    "noise", "linear", (0, 1), (0, 0.4), (0.02, 0.2), (0.02, 0.1, 0.5), (0.03, 0.3),
    "Deviation of the noise on actions at the start, in units of the action.",
)  # fmt: skip
FINAL_NOISE = Parameter(
    "finalNoise", "linear", (0, 1), (0, 0.2), (0, 0.05), (0.01, 0.03, 0.5), (0, 0.03),
    "Deviation of the noise at the end; at most noise.",
)  # fmt: skip
NOISE_THETA = Parameter(
    "noiseTheta", "log", (1e-3, 1), (0.01, 0.5), (0.03, 0.3), _FACTORS, (0.02, 0.5),
    "How fast the noise returns to 0, per step.",
)  # fmt: skip

# What a running agent takes over; the architecture is apart.
PARAMETERS: dict[str, tuple[Parameter, ...]] = {
    "dqn": (
        LEARNING_RATE, DISCOUNT, RETURN_STEPS, BATCH_SIZE, TRAIN_EVERY, TARGET_SHARE, EPSILON, FINAL_EPSILON,
        PRIORITY_ALPHA,
    ),
    "a2c": (
        LEARNING_RATE, DISCOUNT, ROLLOUT_STEPS, GAE_DECAY, ENTROPY_WEIGHT, VALUE_WEIGHT, MAX_GRADIENT_NORM,
    ),
    "ppo": (
        LEARNING_RATE, DISCOUNT, ROLLOUT_STEPS, GAE_DECAY, EPOCHS, MINIBATCH, CLIP, ENTROPY_WEIGHT,
    ),
    "ddpg": (
        ACTOR_RATE, CRITIC_RATE, DISCOUNT, RETURN_STEPS, BATCH_SIZE, TRAIN_EVERY, TARGET_SHARE, NOISE, FINAL_NOISE,
        NOISE_THETA,
    ),
}  # fmt: skip


class DQNParams(Params):
    """Hyperparameters of the policy agent's deep Q-network."""

    learning_rate: float = LEARNING_RATE.field()
    discount: float = DISCOUNT.field()
    return_steps: int = RETURN_STEPS.field()
    batch_size: int = BATCH_SIZE.field()
    train_every: int = TRAIN_EVERY.field()
    target_share: float = TARGET_SHARE.field()
    epsilon: float = EPSILON.field()
    final_epsilon: float = FINAL_EPSILON.field()
    priority_alpha: float = PRIORITY_ALPHA.field()
    hidden: Hidden
    activation: Activation
    dropout: float = architecture.DROPOUT.field()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.final_epsilon > self.epsilon:
            raise ValueError(f"finalEpsilon {self.final_epsilon:g} is above epsilon {self.epsilon:g}")
        return self


class A2CParams(Params):
    """Hyperparameters of the consensus agent's advantage actor-critic."""

    learning_rate: float = LEARNING_RATE.field()
    discount: float = DISCOUNT.field()
    rollout_steps: int = ROLLOUT_STEPS.field()
    gae_decay: float = GAE_DECAY.field()
    entropy_weight: float = ENTROPY_WEIGHT.field()
    value_weight: float = VALUE_WEIGHT.field()
    max_gradient_norm: float = MAX_GRADIENT_NORM.field()
    hidden: Hidden
    activation: Activation
    dropout: float = architecture.DROPOUT.field()


class PPOParams(Params):
    """Hyperparameters of the ethical agent's proximal policy optimisation."""

    learning_rate: float = LEARNING_RATE.field()
    discount: float = DISCOUNT.field()
    rollout_steps: int = ROLLOUT_STEPS.field()
    gae_decay: float = GAE_DECAY.field()
    epochs: int = EPOCHS.field()
    minibatch: int = MINIBATCH.field()
    clip: float = CLIP.field()
    entropy_weight: float = ENTROPY_WEIGHT.field()
    hidden: Hidden
    activation: Activation
    dropout: float = architecture.DROPOUT.field()


class DDPGParams(Params):
    """Hyperparameters of the resource agent's deep deterministic policy gradient."""

    actor_rate: float = ACTOR_RATE.field()
    critic_rate: float = CRITIC_RATE.field()
    discount: float = DISCOUNT.field()
    return_steps: int = RETURN_STEPS.field()
    batch_size: int = BATCH_SIZE.field()
    train_every: int = TRAIN_EVERY.field()
    target_share: float = TARGET_SHARE.field()
    noise: float = NOISE.field()
    final_noise: float = FINAL_NOISE.field()
    noise_theta: float = NOISE_THETA.field()
    hidden: Hidden
    activation: Activation
    dropout: float = architecture.DROPOUT.field()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.final_noise > self.noise:
            raise ValueError(f"finalNoise {self.final_noise:g} is above noise {self.noise:g}")
        return self


MODELS: dict[str, type[BaseModel]] = {"dqn": DQNParams, "a2c": A2CParams, "ppo": PPOParams, "ddpg": DDPGParams}


def policy_of(agent: str) -> str:
    """The id of the policy that holds an agent's hyperparameters; raises InvalidInput for an unknown agent."""
    if agent not in AGENT_KINDS:
        raise InvalidInput(f"agent {agent!r} is unknown; the agents are {', '.join(AGENT_KINDS)}")
    return f"agent-{agent}"
