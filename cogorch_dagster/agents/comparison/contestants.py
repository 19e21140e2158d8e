"""The controllers that joint training is compared with, by name; those that learn get its budget of fleet steps."""

from collections.abc import Callable, Sequence

from cogorch_dagster.agents.baselines.autoscaler import Autoscaler
from cogorch_dagster.agents.baselines.static import StaticDefaults
from cogorch_dagster.agents.baselines.tabular import TabularController, decaying
from cogorch_dagster.agents.baselines.training import train_tabular
from cogorch_dagster.agents.controllers import Controller
from cogorch_dagster.agents.evaluation import evaluate
from cogorch_dagster.agents.training.independent import train_independently
from cogorch_dagster.agents.training.joint import FIRST_VALIDATION_SEED, FLEETS_PER_SEED, Progress
from cogorch_dagster.agents.training.joint_configuration import JointConfiguration
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.parameters import FleetParameters

# Tables that are trained for a tabular baseline, each in that many fleets.
TABLES, TABLE_FLEETS = 3, 64

BASELINES = {
    "static": "every knob at its default",
    "autoscaler": "replicas by target utilisation, every other knob at its default",
    "q-learning": "the tabular learner of the first design; as there, one action in five stays random",
    "q-learning-greedy": "the same table, only its best actions",
    "q-learning-decaying": "the tabular learner whose exploration fades",
    "independent": "the four agents, each trained alone for its own utility",
}


def require_known(names: Sequence[str]) -> None:
    """Raise InvalidInput unless all are names of baselines, each once."""
    if unknown := sorted(set(names) - set(BASELINES)):
        raise InvalidInput(f"there is no baseline {', '.join(unknown)}; there are {', '.join(BASELINES)}")
    if not names or len(set(names)) < len(names):
        raise InvalidInput(f"baselines are {', '.join(names) or 'none'}; name at least one, each once")


def contestant(
    name: str,
    parameters: FleetParameters,
    configuration: JointConfiguration,
    *,
    progress: Callable[[str, Progress], None] | None = None,
) -> Controller:
    """A baseline, trained where it learns.

    Args:
        configuration: of the joint training; its fleets, steps, seed and reward weights are the baseline's too.
        progress: called with the agent's name after each evaluation of an independent training.

    Raises:
        InvalidInput: an unknown name.
    """
    match name:
        case "static":
            return StaticDefaults()
        case "autoscaler":
            return Autoscaler(parameters)
        case "q-learning":
            return _tabular(parameters, configuration)
        case "q-learning-greedy":
            return _tabular(parameters, configuration, explore=False)
        case "q-learning-decaying":
            return _tabular(parameters, configuration, fading=True)
        case "independent":
            return train_independently(parameters, configuration, progress=progress)[0]
    raise InvalidInput(f"there is no baseline {name!r}; there are {', '.join(BASELINES)}")


def _tabular(
    parameters: FleetParameters, configuration: JointConfiguration, *, explore: bool = True, fading: bool = False
) -> TabularController:
    """The best of some tables, as the agents are the best of their evaluations, chosen on the same validation seeds.

    Tables depend much on their run, and learn more from many steps of few fleets: each has the budget of the agents in
    that form.
    """
    budget = configuration.fleets * configuration.steps
    fleets = min(TABLE_FLEETS, configuration.fleets)
    # Half of the budget for exploring, as the policy agent has it.
    kind = decaying(max(budget // 2, 1)) if fading else None
    seeds = range(FIRST_VALIDATION_SEED, FIRST_VALIDATION_SEED + configuration.validation_seeds)

    def validated(controller: TabularController) -> float:
        scores = evaluate(
            parameters, controller, seeds=seeds, fleets_per_seed=FLEETS_PER_SEED, weights=configuration.weights
        )
        return float(scores.values["reward"].mean())

    tables = [
        train_tabular(
            parameters,
            kind,
            fleets=fleets,
            steps=max(budget // fleets, 1),
            seed=configuration.seed_of(f"table {table}"),
            weights=configuration.weights,
        )[0].deployed(explore=explore)
        for table in range(TABLES)
    ]
    return max(tables, key=validated)
