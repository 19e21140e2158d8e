"""Studies of architectures: for which agent, what is searched, on which ladder and budget; a row that never changes.

How studies of either sort are kept is `tuning/studies.py`; those of hyperparameters are `tuning/study.py`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AgentName
from cogorch_dagster.platform.code_version import code_version
from cogorch_dagster.policies.document import as_document
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS
from cogorch_dagster.policies.parameter import Level
from cogorch_dagster.tuning import studies
from cogorch_dagster.tuning.budget import Budget
from cogorch_dagster.tuning.halving.architecture_space import ArchitectureSpace, architecture_space
from cogorch_dagster.tuning.halving.fleet_training import FleetTrials
from cogorch_dagster.tuning.halving.rule import Rule
from cogorch_dagster.tuning.halving.rungs import ladder
from cogorch_dagster.tuning.halving.sampling import Sampler
from cogorch_dagster.tuning.planning import in_force


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


Study = studies.Study[Plan]
STUDIES: studies.Studies[Plan] = studies.Studies("architecture", Plan.from_document)
begin, get, listing, end = STUDIES.begin, STUDIES.get, STUDIES.listing, STUDIES.end


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
    there = in_force(connection, agent)
    space = architecture_space(AGENT_KINDS[agent], there.level, there.params, joint=joint)
    return Plan(agent, space, there.version, there.level, parameters, budget, **others)


def name_of(plan: Plan) -> str:
    """As `studies.name_of`: agent and sampler, seed and mark."""
    return studies.name_of(f"{plan.agent}-networks-{plan.sampler}", plan)
