"""Studies that nobody needs any more: unfinished ones that were left, old ones with a result, and files of neither.

Trials of a study that is deleted while a worker joins it are refused to that worker with `unknown_study`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import studies
from cogorch_dagster.tuning.halving import shelf
from cogorch_dagster.tuning.journal import left_alone
from cogorch_dagster.tuning.studies import Row


@dataclass(frozen=True)
class Cleared:
    """What was deleted: studies by name, each with its journal, and files of paused trials."""

    studies: list[str]
    files: int


def clear(settings: Settings, *, unfinished: timedelta, finished: timedelta) -> Cleared:
    """Delete old studies on which nobody works, and the states of trials that will never be gone on with.

    Args:
        unfinished: age from which a study without a result is deleted, counted from its beginning.
        finished: age from which one with a result is deleted, counted from the result.

    Raises:
        InvalidInput: a negative age. Unavailable: PostgreSQL cannot be reached.
    """
    for name, age in (("unfinished", unfinished), ("finished", finished)):
        if age < timedelta(0):
            raise InvalidInput(f"{name} must not be negative, got {age}")
    with transaction(settings) as connection:
        old = [each.name for each in studies.rows(connection, limit=None) if _old(each, unfinished, finished)]
    deleted = [name for name in old if _deleted(settings, name, unfinished, finished)]
    return Cleared(deleted, sum(_cleared_shelf(settings, name) for name in shelf.studies(settings)))


def checkpoints_in_use(connection: sa.Connection) -> set[str]:
    """Digests of the checkpoints that act in trials of the studies that there are."""
    every = studies.rows(connection, sort="hyperparameters", limit=None)
    return {digest for each in every for digest in each.document.get("companions", {}).values()}


def _old(study: Row, unfinished: timedelta, finished: timedelta) -> bool:
    now = datetime.now(UTC)
    return study.created_at < now - unfinished if study.ended_at is None else study.ended_at < now - finished


def _deleted(settings: Settings, name: str, unfinished: timedelta, finished: timedelta) -> bool:
    with transaction(settings) as connection:
        # Looked at again: it may have got its result, or be gone.
        found = studies.find(connection, name) if left_alone(connection, name) else None
        if found is None or not _old(found, unfinished, finished):
            return False
        studies.delete(connection, name)
    return True


def _cleared_shelf(settings: Settings, name: str) -> int:
    """Delete the states of a study that is gone or has its result, as neither is trained on; how many."""
    with transaction(settings) as connection:
        if not left_alone(connection, name):
            return 0
        # Nobody begins to work on a study of this name until the files are gone.
        found = studies.find(connection, name)
        return shelf.delete(settings, name) if found is None or found.result is not None else 0
