"""What was observed lately, wherever it lies: files of the lake and rows that still wait in the inbox, as one.

For judgements that cannot wait for the next drain. Both are read in one snapshot, so a drain in between neither hides a
row nor shows it twice.
"""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import sqlalchemy as sa

from cogorch_dagster.lake import catalogue
from cogorch_dagster.lake.catalogue import HourEntry
from cogorch_dagster.lake.hours import HOUR
from cogorch_dagster.observations.inbox import parsed
from cogorch_dagster.observations.schema import FEEDBACK_SCHEMA

_WAITING = sa.text("""
    SELECT CAST(payload AS text), CAST(extract(epoch FROM received_at) * 1000000 AS bigint)
    FROM inbox_observations
    WHERE occurred_at >= :since AND payload ->> 'policy_id' = :policy_id
""")
_WAITING_FEEDBACK = sa.text("""
    SELECT CAST(observation_id AS text), metric, value, occurred_at, received_at
    FROM inbox_feedback WHERE occurred_at >= :since
""")


@dataclass(frozen=True)
class Recent:
    """Observations and feedback since a moment: hours of the lake, and tables of what waits."""

    observations: list[HourEntry]
    feedback: list[HourEntry]
    waiting: pa.Table
    waiting_feedback: pa.Table


def read(connection: sa.Connection, policy_id: str, since: datetime) -> Recent:
    """What is known of a policy's observations from `since` on; the hours may hold earlier ones too.

    Args:
        connection: of a transaction of isolation REPEATABLE READ.
    """
    begin = since - HOUR
    rows = connection.execute(_WAITING, {"since": since, "policy_id": policy_id}).all()
    judged = connection.execute(_WAITING_FEEDBACK, {"since": since}).all()
    columns = list(zip(*judged, strict=True)) if judged else [()] * len(FEEDBACK_SCHEMA)
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, FEEDBACK_SCHEMA, strict=True)]
    return Recent(
        catalogue.entries(connection, "observations", begin),
        catalogue.entries(connection, "feedback", begin),
        parsed([row[0] for row in rows], [row[1] for row in rows]),
        pa.Table.from_arrays(arrays, schema=FEEDBACK_SCHEMA),
    )
