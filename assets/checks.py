"""What must hold of the assets: the approval gate, one schema, no row twice, nothing left waiting.

A check reads; it never repairs. The gate's check is the face of a rule that the control plane enforces by itself.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from assets.observations import observations
from assets.policy_versions import policy_versions
from assets.presentation import moment, table
from assets.rewards import rewards
from resources.installation import CogorchResource

if TYPE_CHECKING:
    import sqlalchemy as sa

    from cogorch_dagster.lake.catalogue import HourEntry
    from cogorch_dagster.policies.store import PolicyVersion

# An hour that nobody wrote to was checked when it was written.
RECENT = timedelta(hours=2)
ROW_BUDGET = 5_000_000
FILE_BUDGET = 500
LONGEST_WAIT = timedelta(minutes=15)

GATE_COLUMNS = {
    "version": "policy and version",
    "status": "in its life cycle",
    "finding": "what the gate says",
    "decided_by": "actor of the last decision",
    "reason": "of the last decision",
}


@dg.asset_check(asset=policy_versions, blocking=True)
def policy_approved(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """Every candidate is decided, and what is in force is what was approved.

    A candidate that waits for a decision is a warning: nothing is wrong, a person is needed. An active, approved or
    proposed version whose parameters are not those of its digest, or an active one without a decision on that digest,
    is an error: somebody went around the gate.
    """
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store

    rows, pending, broken = [], [], []
    with transaction(cogorch.settings) as connection:
        for version in store.versions(connection):
            if version.status not in ("draft", "approved", "canary", "active"):
                continue
            finding, row = _gate_row(connection, version)
            rows.append(row)
            pending += [version] if finding == "pending" else []
            broken += [version] if finding.startswith("error") else []
    commands = "\n".join(f"    cogorch policy approve {version.ref} --reason '...'" for version in pending)
    description = "Every candidate is decided and every active version is the one that was approved."
    if pending:
        description = f"Waiting for a decision: {', '.join(version.ref for version in pending)}."
    if broken:
        description = f"Not what was approved: {', '.join(version.ref for version in broken)}."
    return dg.AssetCheckResult(
        passed=not pending and not broken,
        severity=dg.AssetCheckSeverity.ERROR if broken else dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={
            "gate": table(rows, GATE_COLUMNS),
            "pending": len(pending),
            "next": dg.MetadataValue.md(commands or "Nothing to decide."),
        },
    )


@dg.asset_check(asset=observations)
def no_duplicates(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """No observation is stored twice: neither its id nor its (source, source_id), across neighbouring hours.

    Looks at the hours that were written in the last two hours, each with the hours beside it.
    """
    from cogorch_dagster.lake import query
    from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA

    settings = cogorch.settings
    entries = _recent_with_neighbours(cogorch)
    relation = query.scan(settings, entries, OBSERVATION_SCHEMA)
    with query.connected(settings) as duckdb:
        found = duckdb.execute(
            # A list of constants: the relation names our own files.
            f"WITH rows AS (SELECT source, source_id, observation_id, occurred_at FROM {relation}) "  # noqa: S608
            "SELECT source || ' / ' || source_id AS id, count(*) AS times, min(occurred_at) AS first, "
            "max(occurred_at) AS last FROM rows GROUP BY source, source_id HAVING count(*) > 1 "
            "UNION ALL SELECT observation_id, count(*), min(occurred_at), max(occurred_at) FROM rows "
            "GROUP BY observation_id HAVING count(*) > 1 ORDER BY times DESC, id LIMIT 50"
        ).fetchall()
    columns = {"id": "id, or source / source_id", "times": "stored", "first": "UTC", "last": "UTC"}
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(found)} ids are stored more than once." if found else "No id is stored twice.",
        metadata={
            "hours_checked": len(entries),
            "rows_checked": sum(entry.rows for entry in entries),
            "duplicates": table([dict(zip(columns, row, strict=True)) for row in found], columns),
        },
    )


@dg.asset_check(asset=observations)
def schema_matches(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """Every recently written file has exactly the columns and types of the observation."""
    import pyarrow.parquet as pq
    from fsspec.core import open as open_url

    from cogorch_dagster.lake import files
    from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA

    settings = cogorch.settings
    names = [name for entry in _recent(cogorch) for name in entry.files][:FILE_BUDGET]
    wrong = []
    for name, url in zip(names, files.urls(settings, names), strict=True):
        with open_url(url, "rb") as file:
            schema = pq.read_schema(file)
        if not schema.equals(OBSERVATION_SCHEMA, check_metadata=False):
            expected, present = set(map(str, OBSERVATION_SCHEMA)), set(map(str, schema))
            wrong.append(
                {
                    "file": name,
                    "missing": ", ".join(sorted(expected - present)),
                    "unexpected": ", ".join(sorted(present - expected)) or "(order of columns)",
                }
            )
    columns = {"file": "relative to the lake", "missing": "column: type", "unexpected": "column: type"}
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(wrong)} of {len(names)} files differ." if wrong else "All files have the one schema.",
        metadata={"files_checked": len(names), "different": table(wrong, columns)},
    )


@dg.asset_check(asset=observations)
def inbox_fresh(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """No live observation or feedback waits in the inbox for longer than 15 minutes."""
    import sqlalchemy as sa

    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.platform.tables import inbox_feedback, inbox_observations

    with transaction(cogorch.settings) as connection:
        oldest = [
            connection.execute(sa.select(sa.func.min(inbox.c.received_at))).scalar_one()
            for inbox in (inbox_observations, inbox_feedback)
        ]
    waiting = [received for received in oldest if received is not None]
    wait = datetime.now(UTC) - min(waiting) if waiting else timedelta(0)
    return dg.AssetCheckResult(
        passed=wait <= LONGEST_WAIT,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"The oldest row has waited {wait}." if waiting else "The inbox is empty.",
        metadata={
            "oldest_wait_s": round(wait.total_seconds(), 1),
            "newest_hour": moment(max((entry.hour for entry in _entries(cogorch)), default=None)),
        },
    )


@dg.asset_check(asset=rewards)
def all_hours_scored(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """No hour waits to be scored again for longer than 15 minutes, be it for late rows, feedback or configuration."""
    from cogorch_dagster.rewards import materialise

    settings = cogorch.settings
    stale = materialise.stale_hours(settings)
    committed = {entry.hour: entry.committed_at for entry in _entries(cogorch)}
    limit = datetime.now(UTC) - LONGEST_WAIT
    late = [hour for hour in stale if committed.get(hour, limit) <= limit]
    return dg.AssetCheckResult(
        passed=not late,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(late)} hours wait to be scored." if late else "Every hour is scored.",
        metadata={
            "stale_hours": len(stale),
            "oldest": moment(min(late, default=None)),
            "newest": moment(max(late, default=None)),
        },
    )


def _gate_row(connection: "sa.Connection", version: "PolicyVersion") -> tuple[str, dict[str, object]]:
    from cogorch_dagster.policies import decisions

    taken = decisions.decisions_of(connection, version.policy_id, version.version)
    claimed = [decision for decision in taken if decision.claimed_at is not None]
    if not version.digest_matches:
        finding = "error: the parameters are not those of the digest"
    elif version.status == "active":
        approved = any(decision.digest == version.digest for decision in claimed)
        finding = "in force as approved" if approved else "error: in force without a decision on this digest"
    elif version.status == "draft":
        finding = "pending"
    else:
        finding = "approved, waits for its activation"
    last = taken[-1] if taken else None
    return finding, {
        "version": version.ref,
        "status": version.status,
        "finding": finding,
        "decided_by": last.actor if last else "",
        "reason": last.reason if last else "",
    }


def _entries(cogorch: CogorchResource) -> "list[HourEntry]":
    from cogorch_dagster.lake import catalogue
    from cogorch_dagster.platform.database import transaction

    with transaction(cogorch.settings) as connection:
        return catalogue.entries(connection, "observations")


def _recent(cogorch: CogorchResource) -> "list[HourEntry]":
    """The hours written last, newest first: those of the last two hours, at least one, within the budget of rows."""
    limit = datetime.now(UTC) - RECENT
    chosen: list[HourEntry] = []
    for entry in sorted(_entries(cogorch), key=lambda entry: entry.committed_at, reverse=True):
        if chosen and (entry.committed_at < limit or sum(each.rows for each in chosen) + entry.rows > ROW_BUDGET):
            break
        chosen.append(entry)
    return chosen


def _recent_with_neighbours(cogorch: CogorchResource) -> "list[HourEntry]":
    hour = timedelta(hours=1)
    wanted = {moment for entry in _recent(cogorch) for moment in (entry.hour - hour, entry.hour, entry.hour + hour)}
    return [entry for entry in _entries(cogorch) if entry.hour in wanted]


checks = [policy_approved, no_duplicates, schema_matches, inbox_fresh, all_hours_scored]
