"""The agents beside which a trial's conflicts are measured: stored checkpoints of the other three, by their digests.

A study's plan names them, so that all its trials, wherever they run, act together with the same ones.
"""

from collections.abc import Mapping

import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.objective import Companions


def newest_companions(connection: sa.Connection, agent: AgentName) -> dict[AgentName, str]:
    """Digests of the newest stored checkpoints of the other agents.

    Raises:
        InvalidInput: one of them has none.
    """
    from cogorch_dagster.agents import store

    found = {other: store.newest(connection, other) for other in AGENTS if other != agent}
    if missing := [other for other, stored in found.items() if stored is None]:
        raise InvalidInput(
            f"the objective conflicts needs trained agents to conflict with, and there is no checkpoint of "
            f"{', '.join(missing)}; run `cogorch agents train`, or leave the objective out"
        )
    return {other: stored.digest for other, stored in found.items() if stored is not None}


def acting(settings: Settings, digests: Mapping[AgentName, str]) -> Companions:
    """What the agents of these checkpoints do, by agent; nothing for no digests.

    Raises:
        Refused: `missing_companion`: a checkpoint is gone, damaged, or of an earlier shape of its agent.
        Unavailable: the lake or PostgreSQL cannot be reached.
    """
    if not digests:
        return {}
    from cogorch_dagster.agents import store
    from cogorch_dagster.agents.training.joint_controller import controller_of

    try:
        loaded = {agent: store.load(settings, store.get(settings, digest)) for agent, digest in digests.items()}
        return controller_of(loaded).policies
    except (InvalidInput, Refused) as error:
        raise Refused(
            "missing_companion",
            f"an agent beside which the study measures conflicts cannot act any more: {error}. "
            "Begin another study, which takes the newest checkpoints.",
        ) from error
