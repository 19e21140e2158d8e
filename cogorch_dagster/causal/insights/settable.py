"""Which parameter of which policy sets a variable of a graph."""

import sqlalchemy as sa

from cogorch_dagster.causal.data.lake.parameters import numbers
from cogorch_dagster.causal.insights.parameters import variable_of
from cogorch_dagster.causal.versions.version import CausalVersion
from cogorch_dagster.policies import store


def settable(connection: sa.Connection, version: CausalVersion) -> dict[str, tuple[str, str]]:
    """Variable: (policy, path of its parameter), by the active policies of the version's component."""
    found: dict[str, tuple[str, str]] = {}
    for policy in store.policies(connection):
        active = store.active(connection, policy.policy_id) if policy.component == version.scope else None
        for path, _ in numbers(active.params) if active is not None else ():
            variable = variable_of(version, path)
            if variable is not None:
                found.setdefault(variable, (policy.policy_id, path))
    return found
