"""Studies: what is searched, for which agent, from where and at what cost; a row of `studies` that never changes.

What its trials found is in its journal (`trials.py`), what became of its winner in its result (`confirmation.py`).
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from cogorch_dagster.agents.checkpoints import code_version
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AgentName
from cogorch_dagster.platform.tables import studies
from cogorch_dagster.policies.document import as_document, digest
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS
from cogorch_dagster.tuning.journal import unknown_study
from cogorch_dagster.tuning.objective import Budget
from cogorch_dagster.tuning.sampling import check_sampler
from cogorch_dagster.tuning.space import Space

Objective = Literal["reward", "conflicts", "latency"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
SORT = "hyperparameters"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Plan:
    """All that determines what the trials of a study are.

    Attributes:
        agent: whose hyperparameters.
        space: what is varied; `fixed` holds the complete params of the version in force, the first trial.
        version: in force when the study began; None: there was none.
        parameters: of the fleets, so that a worker anywhere trains in the same ones.
        budget: of a trial.
        sampler: one of `sampling.SAMPLERS`.
        objectives: reward (up) first; conflicts and inference latency (down) as further ones.
        seed: of everything random.
        code: version of the code that trains.

    Raises:
        InvalidInput: an unknown agent, sampler or objective, or one that does not fit the others.
    """

    agent: AgentName
    space: Space
    version: str | None
    parameters: FleetParameters
    budget: Budget
    sampler: str = "tpe"
    objectives: tuple[Objective, ...] = ("reward",)
    seed: int = 0
    code: str = ""

    def __post_init__(self) -> None:
        if self.agent not in AGENT_KINDS:
            raise InvalidInput(f"agent {self.agent!r} is unknown; the agents are {', '.join(AGENT_KINDS)}")
        if self.objectives[:1] != ("reward",) or len(set(self.objectives)) < len(self.objectives):
            raise InvalidInput(f"objectives {', '.join(self.objectives)}: name reward first, and each once")
        if unknown := sorted(set(self.objectives) - set(OBJECTIVES)):
            raise InvalidInput(f"objectives {', '.join(unknown)} are unknown; there are {', '.join(OBJECTIVES)}")
        if not 0 <= self.seed < 2**63:
            raise InvalidInput(f"the seed of a study must lie between 0 and 2**63 - 1, got {self.seed}")
        check_sampler(self.sampler, self.space, len(self.objectives))
        if not self.code:
            object.__setattr__(self, "code", code_version())

    @property
    def kind(self) -> str:
        """Of the agent's policy."""
        return AGENT_KINDS[self.agent]

    @property
    def current(self) -> dict[str, Any]:
        """The complete params of the version in force."""
        return dict(self.space.fixed)

    def document(self) -> dict[str, Any]:
        """Everything as JSON."""
        return as_document(
            {
                "agent": self.agent,
                "space": self.space.document(),
                "version": self.version,
                "calibration": self.parameters.digest,
                "parameters": self.parameters.model_dump(mode="json"),
                "budget": asdict(self.budget),
                "sampler": self.sampler,
                "objectives": list(self.objectives),
                "seed": self.seed,
                "code": self.code,
            }
        )

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Plan":
        """What `document` was called on."""
        return cls(
            agent=document["agent"],
            space=Space.from_document(document["space"]),
            version=document["version"],
            parameters=FleetParameters.model_validate(document["parameters"]),
            budget=Budget(**document["budget"]),
            sampler=document["sampler"],
            objectives=tuple(document["objectives"]),
            seed=document["seed"],
            code=document["code"],
        )


@dataclass(frozen=True)
class Study:
    """A study as stored; `result` and `ended_at` are set once its winner was confirmed."""

    name: str
    plan: Plan
    created_at: datetime
    run_id: str | None = None
    ended_at: datetime | None = None
    result: dict[str, Any] | None = None


def name_of(plan: Plan) -> str:
    """A name that the same plan always has, and no other: agent, sampler, seed and a mark of everything else."""
    mark = digest(plan.document()).removeprefix("sha256:")[:8]
    return f"{plan.agent}-{plan.sampler}-{plan.seed}-{mark}"


def begin(connection: sa.Connection, name: str, plan: Plan, run_id: str | None = None) -> Study:
    """Create a study, or join the one that is there with the same plan.

    Raises:
        InvalidInput: a name that is not possible.
        Refused: `other_study`: the study of this name has another plan; the differences are named.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is no name of a study: lower-case letters, digits, dots and dashes, at most 100")
    values = {"name": name, "agent": plan.agent, "sort": SORT, "document": plan.document(), "run_id": run_id}
    connection.execute(insert(studies).values(values).on_conflict_do_nothing())
    row = connection.execute(sa.select(studies).where(studies.c.name == name)).mappings().one()
    if row["sort"] != SORT:
        raise Refused("other_study", f"study {name} is one of {row['sort']}; choose another name")
    if found := differences(row["document"], plan.document()):
        raise Refused("other_study", f"study {name} is another: {'; '.join(found)}. Choose another name, or its plan.")
    return _study(row)


def get(connection: sa.Connection, name: str) -> Study:
    """The study of a name; raises Refused(`unknown_study`)."""
    query = sa.select(studies).where(studies.c.name == name, studies.c.sort == SORT)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise unknown_study(name)
    return _study(row)


def listing(connection: sa.Connection, agent: str | None = None, *, limit: int = 100) -> list[Study]:
    """Studies of hyperparameters, the newest first."""
    query = sa.select(studies).where(studies.c.sort == SORT)
    if agent is not None:
        query = query.where(studies.c.agent == agent)
    query = query.order_by(studies.c.created_at.desc(), studies.c.name).limit(limit)
    return [_study(row) for row in connection.execute(query).mappings()]


def end(connection: sa.Connection, name: str, result: Mapping[str, Any]) -> Study:
    """Store the result of a study, in place of an earlier one; raises Refused(`unknown_study`)."""
    values = {"result": as_document(result), "ended_at": sa.func.clock_timestamp()}
    connection.execute(sa.update(studies).where(studies.c.name == name, studies.c.sort == SORT).values(values))
    return get(connection, name)


def delete(connection: sa.Connection, name: str) -> None:
    """Delete a study with its journal; workers that still run it stop. Raises Refused(`unknown_study`)."""
    get(connection, name)
    connection.execute(sa.delete(studies).where(studies.c.name == name))


def delete_old(connection: sa.Connection, older_than: timedelta) -> list[str]:
    """Delete the studies of hyperparameters that were created longer ago; their names.

    Raises:
        InvalidInput: a negative duration.
    """
    if older_than < timedelta(0):
        raise InvalidInput(f"older_than must not be negative, got {older_than}")
    old = studies.c.created_at < sa.func.clock_timestamp() - sa.literal(older_than, sa.Interval)
    query = sa.delete(studies).where(old, studies.c.sort == SORT).returning(studies.c.name)
    return sorted(connection.execute(query).scalars())


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


def _study(row: sa.RowMapping) -> Study:
    return Study(
        name=row["name"],
        plan=Plan.from_document(row["document"]),
        created_at=row["created_at"].astimezone(UTC),
        run_id=row["run_id"],
        ended_at=row["ended_at"] and row["ended_at"].astimezone(UTC),
        result=row["result"],
    )
