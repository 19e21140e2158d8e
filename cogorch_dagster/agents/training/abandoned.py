"""Trainings that were stopped or killed and that nobody went on with: their files are cleared away after a while."""

from datetime import UTC, datetime, timedelta

from cogorch_dagster.agents.training.joint_checkpoints import FOLDER
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.lake import blobs
from cogorch_dagster.settings import Settings


def delete_abandoned(settings: Settings, older_than: timedelta) -> int:
    """Delete the files of open trainings that were last written longer ago, and what killed writers left of them.

    Returns:
        How many; the training of a file that is gone begins anew.

    Raises:
        InvalidInput: a negative duration.
    """
    if older_than < timedelta(0):
        raise InvalidInput(f"older_than must not be negative, got {older_than}")
    folder, limit = f"{settings.lake_root}/{FOLDER}", datetime.now(UTC) - older_than
    old = [name for name, at in blobs.written(folder).items() if at < limit]
    for name in old:
        blobs.delete(f"{folder}/{name}")
    return len(old)
