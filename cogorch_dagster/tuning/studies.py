"""Rows of `studies`, of either sort: begun once, joined with the same plan, listed, ended, deleted with their journal.

What a plan is belongs to the sort: `study.py` (hyperparameters) and `halving/study.py` (architectures). What the trials
found is in the journal, what became of the winner in the result (`confirmation.py`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Literal, Protocol, TypeVar, get_args

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AgentName
from cogorch_dagster.platform.tables import studies
from cogorch_dagster.policies.document import as_document, digest
from cogorch_dagster.tuning.budget import Budget
from cogorch_dagster.tuning.journal import unknown_study

Sort = Literal["hyperparameters", "architecture"]
SORTS: tuple[Sort, ...] = get_args(Sort)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
# What to do with a study of the other sort.
_ELSEWHERE: dict[str, str] = {
    "hyperparameters": "`cogorch tune show` shows it, `cogorch tune run` goes on with it",
    "architecture": "`cogorch tune show` shows it, `cogorch tune architectures` goes on with it and confirms it",
}


class Planned(Protocol):
    """What a plan of either sort says: enough to store it, and to confirm and propose what its search finds."""

    @property
    def agent(self) -> AgentName:
        """Whose hyperparameters or network."""

    @property
    def version(self) -> str | None:
        """In force when the study began; None: there was none."""

    @property
    def current(self) -> dict[str, Any]:
        """The complete params of that version, or those of today's trainings."""

    @property
    def parameters(self) -> FleetParameters:
        """Of the fleets that are trained in."""

    @property
    def budget(self) -> Budget:
        """Of a whole training."""

    @property
    def seed(self) -> int:
        """Of everything random."""

    @property
    def code(self) -> str:
        """Version of the code that trains."""

    def document(self) -> dict[str, Any]:
        """Everything as JSON."""


P = TypeVar("P", bound=Planned)
P_co = TypeVar("P_co", bound=Planned, covariant=True)


@dataclass(frozen=True)
class Row:
    """A study of whatever sort as stored; `result` and `ended_at` are set once its winner was confirmed."""

    name: str
    agent: str
    sort: Sort
    created_at: datetime
    document: dict[str, Any]
    run_id: str | None
    ended_at: datetime | None
    result: dict[str, Any] | None


@dataclass(frozen=True)
class Study(Generic[P_co]):
    """A study of one sort, its plan read; else as `Row`."""

    name: str
    plan: P_co
    created_at: datetime
    run_id: str | None = None
    ended_at: datetime | None = None
    result: dict[str, Any] | None = None


@dataclass(frozen=True)
class Studies(Generic[P]):
    """The studies of one sort.

    Attributes:
        sort: of all of them.
        plan_of: the plan of a document.
    """

    sort: Sort
    plan_of: Callable[[Mapping[str, Any]], P]

    def begin(self, connection: sa.Connection, name: str, plan: P, run_id: str | None = None) -> Study[P]:
        """Create a study, or join the one that is there with the same plan.

        Raises:
            InvalidInput: a name that is not possible.
            Refused: `other_study`: the study of this name has another plan; the differences are named.
        """
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"{name!r} is no name of a study: lower-case letters, digits, dots and dashes, at most 100"
            )
        document = plan.document()
        values = {"name": name, "agent": plan.agent, "sort": self.sort, "document": document, "run_id": run_id}
        connection.execute(insert(studies).values(values).on_conflict_do_nothing())
        found = row(connection, name)
        self._require_sort(found)
        if others := differences(found.document, document):
            raise Refused(
                "other_study", f"study {name} is another: {'; '.join(others)}. Choose another name, or its plan."
            )
        return self.of(found)

    def get(self, connection: sa.Connection, name: str) -> Study[P]:
        """The study of a name; raises Refused(`unknown_study`, or `other_study` for one of the other sort)."""
        found = row(connection, name)
        self._require_sort(found)
        return self.of(found)

    def listing(self, connection: sa.Connection, agent: str | None = None, *, limit: int = 100) -> list[Study[P]]:
        """All of them or an agent's, the newest first."""
        return [self.of(each) for each in rows(connection, agent, sort=self.sort, limit=limit)]

    def end(self, connection: sa.Connection, name: str, result: Mapping[str, Any]) -> Study[P]:
        """Store the result of a study, in place of an earlier one; raises as `get`."""
        self.get(connection, name)
        values = {"result": as_document(result), "ended_at": sa.func.clock_timestamp()}
        connection.execute(sa.update(studies).where(studies.c.name == name).values(values))
        return self.get(connection, name)

    def _require_sort(self, found: Row) -> None:
        if found.sort != self.sort:
            raise Refused(
                "other_study", f"study {found.name} is one of {found.sort}, not {self.sort}: {_ELSEWHERE[found.sort]}"
            )

    def of(self, found: Row) -> Study[P]:
        """The study of a row of this sort, its plan read."""
        plan = self.plan_of(found.document)
        return Study(found.name, plan, found.created_at, found.run_id, found.ended_at, found.result)


def name_of(head: str, plan: Planned) -> str:
    """A name that the same plan always has, and no other: what it begins with, the seed and a mark of everything."""
    return f"{head}-{plan.seed}-{digest(plan.document()).removeprefix('sha256:')[:8]}"


def row(connection: sa.Connection, name: str) -> Row:
    """The study of a name, whatever its sort; raises Refused(`unknown_study`)."""
    found = find(connection, name)
    if found is None:
        raise unknown_study(name)
    return found


def find(connection: sa.Connection, name: str) -> Row | None:
    """The study of a name, whatever its sort, if there is one."""
    found = connection.execute(sa.select(studies).where(studies.c.name == name)).mappings().one_or_none()
    return None if found is None else _row(found)


def rows(
    connection: sa.Connection, agent: str | None = None, *, sort: Sort | None = None, limit: int | None = 100
) -> list[Row]:
    """Studies of one sort or of both, of one agent or of all, the newest first."""
    query = sa.select(studies).order_by(studies.c.created_at.desc(), studies.c.name).limit(limit)
    if sort is not None:
        query = query.where(studies.c.sort == sort)
    if agent is not None:
        query = query.where(studies.c.agent == agent)
    return [_row(each) for each in connection.execute(query).mappings()]


def delete(connection: sa.Connection, name: str) -> None:
    """Delete a study of any sort with its journal; workers that still run it stop. Raises Refused(`unknown_study`)."""
    row(connection, name)
    connection.execute(sa.delete(studies).where(studies.c.name == name))


def differences(stored: Any, given: Any, path: str = "") -> list[str]:
    """Where two documents differ, each as `path is stored, not given`."""
    if isinstance(stored, Mapping) and isinstance(given, Mapping):
        names = sorted(stored.keys() | given.keys())
        return [found for name in names for found in differences(stored.get(name), given.get(name), f"{path}.{name}")]
    if isinstance(stored, list) and isinstance(given, list) and len(stored) == len(given):
        return [
            found
            for place, (one, other) in enumerate(zip(stored, given, strict=True))
            for found in differences(one, other, f"{path}[{place}]")
        ]
    return [] if stored == given else [f"its {path.lstrip('.')} is {stored!r}, not {given!r}"]


def _row(found: sa.RowMapping) -> Row:
    moments = {name: found[name] and found[name].astimezone(UTC) for name in ("created_at", "ended_at")}
    return Row(**{**found, **moments})
