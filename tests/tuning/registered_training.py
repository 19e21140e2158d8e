"""A training of seconds, its agents in the store and in the registry."""

from cogorch_dagster.agents.training.joint_configuration import JointConfiguration
from cogorch_dagster.agents.training.kept_training import KeptTraining, train_and_keep
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters
from cogorch_dagster.settings import Settings


def short_fleet() -> FleetParameters:
    """The default fleet with episodes of 12 steps."""
    return default_parameters().model_copy(update={"horizon": 12})


def trained(settings: Settings, seed: int = 0, **changes: object) -> KeptTraining:
    given = {"fleets": 4, "steps": 30, "warm_up": 10, "evaluate_every": 15, "validation_seeds": 2, "device": "cpu"}
    configuration = JointConfiguration(seed=seed, **{**given, **changes})  # type: ignore[arg-type]
    return train_and_keep(settings, short_fleet(), configuration)
