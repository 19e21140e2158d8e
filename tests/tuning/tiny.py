"""Studies so small that their real trainings take some milliseconds."""

from typing import Any

from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import study as studies
from cogorch_dagster.tuning.objective import Budget, Measured
from cogorch_dagster.tuning.search import Stop
from cogorch_dagster.tuning.space import Space, space_of
from cogorch_dagster.tuning.study import Plan, Study

BUDGET = Budget(episodes=2, evaluation_episodes=2, fleets=2, seeds=2)
# A valid document of each kind that these tests train.
PPO: dict[str, Any] = {
    "learningRate": 1e-3,
    "discount": 0.95,
    "rolloutSteps": 8,
    "gaeDecay": 0.95,
    "epochs": 2,
    "minibatch": 128,
    "clip": 0.2,
    "entropyWeight": 0.01,
    "hidden": [16, 16],
    "activation": "relu",
    "dropout": 0.0,
}


def fleet(horizon: int = 10) -> FleetParameters:
    return default_parameters().model_copy(update={"horizon": horizon})


def space(**kwargs: Any) -> Space:
    return space_of("ppo", "standard", PPO, **kwargs)


def plan(**changes: Any) -> Plan:
    own = {"agent": "ethical", "space": space(), "version": None, "parameters": fleet(), "budget": BUDGET}
    return Plan(**{**own, **changes})


def begun(settings: Settings, name: str = "tiny", **changes: Any) -> Study:
    with transaction(settings) as connection:
        return studies.begin(connection, name, plan(**changes))


def bowl(plan: Plan, params: Any, stop: Stop) -> list[Measured]:
    """An objective without training: best, 1, where every dimension is at .7 of its range."""
    value = 1 - sum((place - 0.7) ** 2 for place in plan.space.unit(params)) / len(plan.space.dimensions)
    return [Measured(value, value, 0.0, 0.1, 10, (value,))]
