"""The plan of a search from what is in force: current version, its policy's strictness, and so the space."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AgentName
from cogorch_dagster.policies import decisions, store
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS, policy_of
from cogorch_dagster.policies.parameter import Level
from cogorch_dagster.tuning.objective import QUICK, Budget
from cogorch_dagster.tuning.space import space_of
from cogorch_dagster.tuning.study import Objective, Plan


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
) -> Plan:
    """A search around the agent's version in force, among what could be proposed as the next one.

    Args:
        parameters: the fleets to train in.
        names: the hyperparameters to vary; all without it.

    Raises:
        InvalidInput: an unknown agent, sampler, objective or hyperparameter.
        Refused: `digest_mismatch`: the row of the version in force was edited.
    """
    policy_id = policy_of(agent)
    kind = AGENT_KINDS[agent]
    active = store.active(connection, policy_id)
    if active is not None:
        decisions.require_digest(active, None)
    current = todays(kind) if active is None else active.params
    space = space_of(kind, _level(connection, policy_id), current, names=names)
    return Plan(
        agent=cast(AgentName, agent),
        space=space,
        version=None if active is None else active.version,
        parameters=parameters,
        budget=budget,
        sampler=sampler,
        objectives=cast(tuple[Objective, ...], tuple(objectives)),
        seed=seed,
    )


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
    except Refused:
        # An installation without the seeds: nothing can be proposed, but searched.
        return "standard"
