"""Studies of architectures: for which agent, what is searched, on which ladder and budget; a row that never changes.

Studies of hyperparameters are `tuning/study.py`'s; both share the table and the names.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from cogorch_dagster.agents.checkpoints import code_version
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AgentName
from cogorch_dagster.platform.tables import studies
from cogorch_dagster.policies import store
from cogorch_dagster.policies.document import as_document, digest
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS, policy_of
from cogorch_dagster.policies.parameter import Level
from cogorch_dagster.tuning.halving.architecture_space import ArchitectureSpace, architecture_space
from cogorch_dagster.tuning.halving.fleet_training import FleetTrials
from cogorch_dagster.tuning.halving.rule import Rule
from cogorch_dagster.tuning.halving.rungs import ladder
from cogorch_dagster.tuning.halving.sampling import Sampler
from cogorch_dagster.tuning.journal import unknown_study
from cogorch_dagster.tuning.objective import Budget
from cogorch_dagster.tuning.planning import plan_for
from cogorch_dagster.tuning.study import differences

SORT = "architecture"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Plan:
    """All that determines what the trials of a study are.

    Attributes:
        agent: whose network.
        space: what is varied; its `fixed` holds the complete params of the version in force.
        version: in force when the study began; None: there was none.
        level: of strictness of the agent's policy then.
        parameters: of the fleets, so that a worker anywhere trains in the same ones.
        budget: of one trial at the top.
        trainings: of the whole study: its budget of steps is that of so many trials trained to the top.
        eta, rungs: of the ladder.
        sampler: random or tpe.
        seed: of everything random.
        code: version of the code that trains.

    Raises:
        InvalidInput: an unknown agent, or numbers that make no ladder or no budget.
    """

    agent: AgentName
    space: ArchitectureSpace
    version: str | None
    level: Level
    parameters: FleetParameters
    budget: Budget
    trainings: float = 20
    eta: int = 3
    rungs: int = 4
    sampler: Sampler = "tpe"
    seed: int = 0
    code: str = ""

    def __post_init__(self) -> None:
        if self.agent not in AGENT_KINDS:
            raise InvalidInput(f"agent {self.agent!r} is unknown; the agents are {', '.join(AGENT_KINDS)}")
        if not 1 <= self.trainings <= 1_000_000:
            raise InvalidInput(f"trainings is {self.trainings}; give 1 to 1000000, as many as the study may cost")
        _ = self.rule
        if not self.code:
            object.__setattr__(self, "code", code_version())

    @property
    def current(self) -> dict[str, Any]:
        """The complete params of the version in force."""
        return dict(self.space.space.fixed)

    @property
    def trials(self) -> FleetTrials:
        """What its trials are."""
        return FleetTrials(self.parameters, self.agent, self.budget, self.seed, self.space.params)

    @property
    def rule(self) -> Rule:
        """How it goes on."""
        trials = self.trials
        steps = ladder(trials.full, eta=self.eta, rungs=self.rungs, unit=trials.unit)
        return Rule(steps, int(self.trainings * trials.full), self.space.distributions(), self.sampler, self.seed)

    def document(self) -> dict[str, Any]:
        """Everything as JSON."""
        return as_document(
            {
                "agent": self.agent,
                "space": self.space.document(),
                "version": self.version,
                "level": self.level,
                "calibration": self.parameters.digest,
                "parameters": self.parameters.model_dump(mode="json"),
                "budget": asdict(self.budget),
                "trainings": self.trainings,
                "eta": self.eta,
                "rungs": self.rungs,
                "sampler": self.sampler,
                "seed": self.seed,
                "code": self.code,
            }
        )

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Plan":
        """What `document` was called on."""
        plain = {name: value for name, value in document.items() if name != "calibration"}
        return cls(
            **{
                **plain,
                "space": ArchitectureSpace.from_document(document["space"]),
                "parameters": FleetParameters.model_validate(document["parameters"]),
                "budget": Budget(**document["budget"]),
            }
        )


@dataclass(frozen=True)
class Study:
    """A study as stored; `result` and `ended_at` are set once its best architecture was judged."""

    name: str
    plan: Plan
    created_at: datetime
    run_id: str | None = None
    ended_at: datetime | None = None
    result: dict[str, Any] | None = None


def planned(
    connection: sa.Connection,
    agent: AgentName,
    parameters: FleetParameters,
    budget: Budget,
    *,
    joint: bool = False,
    **others: Any,
) -> Plan:
    """The plan for an agent as it is now: around the version in force, within the bounds of its policy's strictness.

    Args:
        joint: search the hyperparameters together with the architecture.
        others: further fields of `Plan`.

    Raises:
        InvalidInput: an unknown agent, or as `Plan`. Refused: `digest_mismatch`: the version's row was edited.
    """
    around = plan_for(connection, agent, parameters, budget=budget)
    try:
        level: Level = store.policy(connection, policy_of(agent)).strictness
    except Refused:  # An installation without the seeds: nothing can be proposed, but searched.
        level = "standard"
    space = architecture_space(AGENT_KINDS[agent], level, around.current, joint=joint)
    return Plan(agent, space, around.version, level, parameters, budget, **others)


def name_of(plan: Plan) -> str:
    """A name that the same plan always has, and no other: agent, sampler, seed and a mark of everything else."""
    mark = digest(plan.document()).removeprefix("sha256:")[:8]
    return f"{plan.agent}-networks-{plan.sampler}-{plan.seed}-{mark}"


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
    """Studies of architectures, the newest first."""
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


def _study(row: sa.RowMapping) -> Study:
    return Study(
        name=row["name"],
        plan=Plan.from_document(row["document"]),
        created_at=row["created_at"].astimezone(UTC),
        run_id=row["run_id"],
        ended_at=row["ended_at"] and row["ended_at"].astimezone(UTC),
        result=row["result"],
    )
