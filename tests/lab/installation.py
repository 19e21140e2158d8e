"""An installation whose service runs, and the router's policy as the test wants it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cogorch_dagster.platform.database import transaction
from cogorch_dagster.platform.tables import inbox_feedback, inbox_observations
from cogorch_dagster.policies import decisions, drafts, store
from cogorch_dagster.policies.activation import activate
from cogorch_dagster.policies.seed import seed
from cogorch_dagster.settings import Settings
from tests.service.processes import service_of, token_for


@contextmanager
def serving(settings: Settings, folder: Path) -> Iterator[tuple[str, str, str]]:
    """URL, ingest token and read token of a running service whose seeds are planted."""
    with transaction(settings) as connection:
        seed(connection)
    with service_of(settings, folder) as service:
        yield service.url, token_for(settings, "ingest"), token_for(settings, "read")


def put_in_force(settings: Settings, **changes: Any) -> str:
    """Propose, approve and activate a change of the router's active parameters; returns the version."""
    with transaction(settings) as connection:
        current = store.active(connection, "router-core")
        assert current is not None
        draft = drafts.propose_version(connection, "router-core", {**current.params, **changes}, actor="tests")
        decision = decisions.approve(connection, "router-core", draft.version, "tests", "the test wants it")
        activate(connection, decision.decision_id, "tests")
    return draft.version


def observed(settings: Settings) -> list[dict[str, Any]]:
    """What the service holds, in the order in which it happened."""
    with transaction(settings) as connection:
        statement = sa.select(inbox_observations.c.payload).order_by(inbox_observations.c.occurred_at)
        return list(connection.scalars(statement))


def judged(settings: Settings) -> dict[str, float]:
    """The quality that feedback gave each observation."""
    table = inbox_feedback.c
    with transaction(settings) as connection:
        statement = sa.select(table.observation_id, table.value).where(table.metric == "quality")
        return {str(row.observation_id): float(row.value) for row in connection.execute(statement)}
