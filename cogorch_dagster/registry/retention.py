"""How long versions are kept of names whose versions would otherwise become more for ever, and which are never removed.

What removes them, with their files and figures, is `pruning.py`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.registry.queries import aliases_of, matching
from cogorch_dagster.registry.references import cited
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient


@dataclass(frozen=True)
class Retention:
    """Of which names versions go, and when.

    Attributes:
        prefix: of the names.
        age: since it was registered, from which a version may go.
        newest: so many of each name stay, whatever their age.
    """

    prefix: str
    age: timedelta
    newest: int

    def __post_init__(self) -> None:
        if not self.prefix:
            raise InvalidInput("a retention without a prefix would be one of every name; say of which")
        if self.age < timedelta(0):
            raise InvalidInput(f"age must not be negative, got {self.age}")
        if self.newest < 1:
            raise InvalidInput(f"newest is {self.newest}; at least the newest version stays, so it must be 1 or more")


def expired(settings: Settings, mlflow: "MlflowClient", name: str, retention: Retention) -> "list[ModelVersion]":
    """The versions of a name that may go, the newest first; the caller holds the name's lock.

    None that has an alias, whoever gave it, or that `references.cited` finds.
    """
    if not name.startswith(retention.prefix):
        return []
    limit = datetime.now(UTC) - retention.age
    aliased = set(aliases_of(mlflow, name).values())
    old = [
        each
        for each in list(matching(mlflow, f"name = '{name}'"))[retention.newest :]
        if datetime.fromtimestamp(each.creation_timestamp / 1000, UTC) <= limit and int(each.version) not in aliased
    ]
    if not old:
        return []
    with transaction(settings) as connection:
        spared = cited(connection, name)
    return [each for each in old if int(each.version) not in spared]
