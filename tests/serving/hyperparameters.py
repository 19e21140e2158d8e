"""What tests of running agents share: small fleets, documents, versions that come into force, and a process's rows."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
import torch

from cogorch_dagster.agents.training.joint import JointTraining
from cogorch_dagster.client import PolicyDocument
from cogorch_dagster.client.document import params_digest
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import decisions, drafts, seed, store
from cogorch_dagster.policies.activation import Activation, activate
from cogorch_dagster.policies.hyperparameters import policy_of
from cogorch_dagster.serving import endless
from cogorch_dagster.settings import Settings

FLEET = default_parameters().model_copy(update={"horizon": 20})
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def seeded_params(agent: str) -> dict[str, Any]:
    """The hyperparameters that an installation begins with."""
    return dict(next(each["params"] for each in seed.documents() if each["policyId"] == policy_of(agent)))


def document(agent: str, version: str = "1.0.1", **changes: Any) -> PolicyDocument:
    """A version of an agent's seed with changes, as the service would send it."""
    params = seeded_params(agent) | changes
    return PolicyDocument(policy_of(agent), version, params_digest(params), params, MOMENT, MOMENT, MOMENT)


def small_training(agents: tuple[AgentName, ...] = AGENTS, *, steps: int = 0, fleets: int = 2) -> JointTraining:
    """Agents that have run for some steps and learn from the first on."""
    own = {agent: {"learning_start": 8} for agent in agents if agent in ("policy", "resource")}
    training = JointTraining(FLEET, endless.configuration(agents, fleets, 3, own, warm_up=0))
    for _ in range(steps):
        training.advance()
    return training


def same(one: Any, other: Any) -> bool:
    """Whether two nested parts are equal, bit for bit."""
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if hasattr(one, "tobytes"):
        return bool(one.dtype == other.dtype and one.tobytes() == other.tobytes())
    return bool(one == other)


def into_force(settings: Settings, agent: str, **changes: Any) -> Activation:
    """Propose, approve and activate the version in force with changes."""
    policy_id = policy_of(agent)
    with transaction(settings) as connection:
        current = store.active(connection, policy_id)
        assert current is not None
        draft = drafts.propose_version(connection, policy_id, current.params | changes, actor="ada")
        decision = decisions.approve(connection, policy_id, draft.version, "ada", "tuned")
        return activate(connection, decision.decision_id, "ada")


def plant(settings: Settings) -> None:
    """Create the seed policies."""
    with transaction(settings) as connection:
        seed.seed(connection)


def rows(settings: Settings, table: sa.Table) -> list[Any]:
    """All rows of a table in the order in which they were written."""
    with transaction(settings) as connection:
        return list(connection.execute(sa.select(table).order_by(table.c.id)))
