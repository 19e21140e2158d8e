"""Whether anything at all stands in the way of an activation, asked by one statement.

Mostly nothing does: no switch was ever turned, no incident is open, no rule is in force, no version ramps. Who finds
something asks the module that it belongs to, which decides.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from cogorch_dagster.platform.pipeline import Rows, Step
from cogorch_dagster.platform.tables import canary_ramps, drift_findings, flags, policies, policy_versions
from cogorch_dagster.policies.flags import LEARNING
from cogorch_dagster.policies.guards.checks import KIND

_QUERY = sa.select(
    sa.exists().where(flags.c.name == LEARNING).label("switch"),
    sa.exists()
    .where(
        drift_findings.c.component == sa.bindparam("component"),
        drift_findings.c.sort == "incident",
        drift_findings.c.ended_at.is_(None),
    )
    .label("incident"),
    sa.exists()
    .where(
        policy_versions.c.policy_id == policies.c.policy_id,
        policies.c.kind == KIND,
        policy_versions.c.status == "active",
    )
    .label("rule"),
    sa.exists()
    .where(canary_ramps.c.policy_id == sa.bindparam("policy_id"), canary_ramps.c.ended_at.is_(None))
    .label("ramp"),
)


@dataclass(frozen=True)
class Hindrances:
    """What there is: a switch that was ever turned, an open incident of the component, a rule, a ramp of the policy."""

    switch: bool
    incident: bool
    rule: bool
    ramp: bool


def asked(policy_id: str, component: str | None) -> Step:
    """Asks what may stand in the way of a policy's next version now; the caller holds the locks. See `read`."""
    return Step(_QUERY, {"policy_id": policy_id, "component": component})


def read(rows: Rows) -> Hindrances:
    """The answer to `asked`."""
    return Hindrances(**rows[0])
