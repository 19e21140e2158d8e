"""Which versions are named by what must stay explicable: evidence of proposals, the audit log, findings of drift."""

import sqlalchemy as sa

from cogorch_dagster.platform.tables import audit_log, canary_ramps, drift_findings, policy_versions

_NAMING = (policy_versions.c.evidence, canary_ramps.c.verdict, audit_log.c.payload, drift_findings.c.details)


def cited(connection: sa.Connection, name: str) -> set[int]:
    """The numbers of the versions of a name that appear as `name@number` anywhere in these documents.

    Each document is searched as text, so that a citation counts wherever it stands in it.
    """
    found: set[int] = set()
    for column in _NAMING:
        text = sa.cast(column, sa.Text)
        # No character of a name means something to a regular expression, see `records.check_name`.
        numbers = sa.func.regexp_matches(text, f"{name}@([0-9]+)", "g")
        query = sa.select(numbers).where(sa.func.strpos(text, f"{name}@") > 0)
        found |= {int(groups[0]) for groups in connection.execute(query).scalars()}
    return found
