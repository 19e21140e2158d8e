"""The plan of a search from what is in force: current version, its policy's strictness, and so the space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AgentName
from cogorch_dagster.policies import decisions, store
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS, policy_of
from cogorch_dagster.policies.parameter import Level
from cogorch_dagster.tuning.budget import QUICK, Budget
from cogorch_dagster.tuning.companions import newest_companions
from cogorch_dagster.tuning.rejection import DEFAULT, Selection
from cogorch_dagster.tuning.space import space_of
from cogorch_dagster.tuning.study import Objective, Plan, check_objectives


def plan_for(
    connection: sa.Connection,
    agent: str,
    parameters: FleetParameters,
    *,
    budget: Budget = QUICK,
    sampler: str = "tpe",
    objectives: Sequence[str] = ("reward",),
    seed: int = 0,
    names: Sequence[str] | None = None,
    selection: Selection | None = DEFAULT,
) -> Plan:
    """A search around the agent's version in force, among what could be proposed as the next one.

    Args:
        parameters: the fleets to train in.
        names: the hyperparameters to vary; all without it.
        selection: how the winner is chosen; None: by the best score.

    Raises:
        InvalidInput: an unknown agent, sampler, objective or hyperparameter; or conflicts are an objective, and another
            agent has no checkpoint.
        Refused: `digest_mismatch`: the row of the version in force was edited.
    """
    check_objectives(objectives)
    there = in_force(connection, agent)
    name, kind = cast(AgentName, agent), AGENT_KINDS[agent]
    return Plan(
        agent=name,
        space=space_of(kind, there.level, there.params, names=names),
        version=there.version,
        parameters=parameters,
        budget=budget,
        sampler=sampler,
        objectives=cast(tuple[Objective, ...], tuple(objectives)),
        seed=seed,
        selection=selection,
        companions=newest_companions(connection, name) if "conflicts" in objectives else {},
    )


@dataclass(frozen=True)
class InForce:
    """What a search of an agent starts from.

    Attributes:
        version: of its hyperparameters; None: there is none.
        params: of that version, or those of today's trainings.
        level: of strictness of its policy.
    """

    version: str | None
    params: dict[str, Any]
    level: Level


def in_force(connection: sa.Connection, agent: str) -> InForce:
    """What a search of an agent starts from now; raises as `plan_for` for an unknown agent and an edited row."""
    policy_id = policy_of(agent)
    active = store.active(connection, policy_id)
    if active is None:
        return InForce(None, todays(AGENT_KINDS[agent]), _level(connection, policy_id))
    decisions.require_digest(active, None)
    return InForce(active.version, dict(active.params), _level(connection, policy_id))


def todays(kind: str) -> dict[str, Any]:
    """The hyperparameters with which the agents of a kind are trained where no version is in force."""
    from cogorch_dagster.agents.hyperparameters import params_of
    from cogorch_dagster.agents.training.joint_configuration import JointConfiguration

    agents: Mapping[str, Any] = {kind: agent for agent, kind in AGENT_KINDS.items()}
    if kind not in agents:
        raise InvalidInput(f"kind {kind!r} has no hyperparameters; there are {', '.join(agents)}")
    return params_of(kind, JointConfiguration().settings_of(agents[kind]))


def _level(connection: sa.Connection, policy_id: str) -> Level:
    try:
        return store.policy(connection, policy_id).strictness
    except Refused as error:
        if error.reason != "unknown_policy":
            raise
        # An installation without the seeds: nothing can be proposed, but searched.
        return "standard"
