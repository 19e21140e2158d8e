"""Training of the tabular baseline in the fleet environment, with the budget of the agents it is compared with."""

from cogorch_dagster.agents.baselines.tabular import TabularConfiguration, TabularController
from cogorch_dagster.agents.evaluation import driven
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.objectives import RewardWeights
from cogorch_dagster.fleet.parameters import FleetParameters


def train_tabular(
    parameters: FleetParameters,
    configuration: TabularConfiguration | None = None,
    *,
    fleets: int,
    steps: int,
    seed: int,
    weights: RewardWeights | None = None,
) -> tuple[TabularController, list[float]]:
    """A controller that has learned from `fleets * steps` steps of single fleets, and its mean reward at each step.

    Args:
        fleets: at once, as `FleetEnvironment` takes them. steps: of all of them, 1 or more.
        seed: of the environment and of the random actions, 0 or more.

    Raises:
        InvalidInput: a number is outside of its range.
    """
    if steps < 1:
        raise InvalidInput(f"steps must be 1 or more, got {steps}")
    environment = FleetEnvironment(parameters, fleets, seed=seed, weights=weights, stagger=True)
    controller = TabularController(parameters, configuration, seed=seed)
    rewards = [float(step.rewards.mean()) for step in driven(environment, controller, steps)]
    return controller, rewards
