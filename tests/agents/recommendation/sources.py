"""What recommendations are made from in tests: controllers whose aims are plain, a calibration, policies in force."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from cogorch_dagster.agents.baselines.static import passive
from cogorch_dagster.agents.controllers import States
from cogorch_dagster.agents.recommendation.limits import Limits
from cogorch_dagster.fleet.actions import POLICY, Values
from cogorch_dagster.fleet.calibration.calibration import Calibration
from cogorch_dagster.fleet.calibration.goodness import Distance, Fit
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, store
from cogorch_dagster.settings import Settings
from tests.evaluation.traffic import ROUTER, bring_into_force

# Enough for plain differences, quick.
QUICK = Limits(fleets=16, steps=60, seeds=8, fleets_per_seed=4, minimum_orders=10)
# A router whose targets the agents' knobs can express; most traffic goes to the slowest model.
SETTABLE = {**ROUTER, "latencyTargetMs": 12_000, "maxCostUsd": 0.02, "timeoutMs": 20_000}
AUTOSCALER = {"minReplicas": 2, "maxReplicas": 6, "targetUtilization": 0.8}


@dataclass(frozen=True)
class Steady:
    """Takes the same action of the policy agent in every step, and orders the same share of all replicas."""

    action: str = "none"
    replicas: float | None = None
    name: str = "steady"

    def act(self, states: States) -> dict[str, Values]:
        fleets = len(states["resource"])
        actions = passive(fleets)
        actions["policy"] = np.full(fleets, [each.name for each in POLICY].index(self.action))
        if self.replicas is not None:
            actions["resource"][:, :3] = self.replicas
        return actions


def calibration(parameters: FleetParameters | None = None, rows: int = 5000) -> Calibration:
    """As if observations had given these parameters."""
    fit = Fit("model small: work_ms", 900, Distance(0.04, 0.03), Distance(0.3, 0.5), None, None, "good", ((), (), ()))
    moment = datetime(2026, 3, 2, tzinfo=UTC)
    return Calibration(
        parameters=parameters or default_parameters(),
        fits=(fit,),
        quantities=(),
        rows=rows,
        since=moment,
        until=moment.replace(day=3),
        inputs="sha256:test",
        seed=0,
        warnings=("no tokens were recorded",),
    )


def autoscaler(settings: Settings, policy_id: str, component: str | None, **params: Any) -> None:
    """Bring an autoscaler into force."""
    with transaction(settings) as connection:
        administration.create_policy(connection, policy_id, "autoscaler", component, actor="test")
    bring_into_force(settings, policy_id, {**AUTOSCALER, **params})


def stored(settings: Settings) -> Mapping[str, str]:
    """Every version with its status."""
    with transaction(settings) as connection:
        return {each.ref: each.status for each in store.versions(connection)}
