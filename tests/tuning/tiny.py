"""Studies so small that their real trainings take some milliseconds."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters
from cogorch_dagster.fleet.signals import AGENTS
from cogorch_dagster.lake import blobs
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.platform.tables import studies as table
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import study as studies
from cogorch_dagster.tuning.budget import Budget
from cogorch_dagster.tuning.halving import shelf
from cogorch_dagster.tuning.objective import Measured
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
    if "conflicts" in changes.get("objectives", ()):
        own["companions"] = {agent: f"sha256:{agent}" for agent in AGENTS if agent != "ethical"}
    return Plan(**{**own, **changes})


def begun(settings: Settings, name: str = "tiny", **changes: Any) -> Study:
    with transaction(settings) as connection:
        return studies.begin(connection, name, plan(**changes))


def aged(settings: Settings, name: str, *, days: float) -> None:
    """Let a study have begun, and ended if it has, so many days ago."""
    at = sa.func.now() - timedelta(days=days)
    ended = sa.case((table.c.ended_at.is_(None), None), else_=at)
    with transaction(settings) as connection:
        connection.execute(sa.update(table).where(table.c.name == name).values(created_at=at, ended_at=ended))


def shelved(settings: Settings, name: str) -> Path:
    """The file of a paused trial of a study of architectures."""
    path = shelf.path(settings, name, 0, 0)
    blobs.write(path, b"state")
    return Path(path)


def bowl(plan: Plan, params: Any, stop: Stop) -> list[Measured]:
    """An objective without training: best, 1, where every dimension is at .7 of its range."""
    return [measured(1 - sum((place - 0.7) ** 2 for place in plan.space.unit(params)) / len(plan.space.dimensions))]


def measured(value: float) -> Measured:
    """A training that came to this normalised return."""
    return Measured(value, value, 0.0, 0.1, 10, (value,))
