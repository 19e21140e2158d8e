"""Studies of hyperparameters: what is searched, for which agent, from where and at what cost; it never changes.

How studies of either sort are kept is `studies.py`; those of architectures are `halving/study.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.platform.code_version import code_version
from cogorch_dagster.policies.document import as_document
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS
from cogorch_dagster.tuning import studies
from cogorch_dagster.tuning.budget import Budget
from cogorch_dagster.tuning.rejection import Selection
from cogorch_dagster.tuning.sampling import check_sampler
from cogorch_dagster.tuning.space import Space

Objective = Literal["reward", "conflicts", "latency"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)


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
        selection: how the winner is chosen among the best trials (`finalists.py`); None: the best score wins, as it did
            in studies that were begun before there was a choice.
        companions: by agent the digest of the checkpoint that acts beside it where conflicts are measured; for the
            objective conflicts those of all other agents, else none.

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
    selection: Selection | None = None
    companions: Mapping[AgentName, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.agent not in AGENT_KINDS:
            raise InvalidInput(f"agent {self.agent!r} is unknown; the agents are {', '.join(AGENT_KINDS)}")
        check_objectives(self.objectives)
        if not 0 <= self.seed < 2**63:
            raise InvalidInput(f"the seed of a study must lie between 0 and 2**63 - 1, got {self.seed}")
        others = {each for each in AGENTS if each != self.agent} if "conflicts" in self.objectives else set()
        if set(self.companions) != others:
            raise InvalidInput(
                f"objectives {', '.join(self.objectives)} need checkpoints of {', '.join(sorted(others)) or 'nobody'} "
                f"to act beside agent {self.agent}, got those of {', '.join(sorted(self.companions)) or 'nobody'}"
            )
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
                # Left out where there are none: so plans had their names before.
                **({"selection": asdict(self.selection)} if self.selection else {}),
                **({"companions": dict(self.companions)} if self.companions else {}),
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
            selection=Selection(**document["selection"]) if "selection" in document else None,
            companions=document.get("companions", {}),
        )


def check_objectives(given: Sequence[str]) -> None:
    """Raises InvalidInput for an unknown objective, for two of the same, and where reward is not the first."""
    if unknown := sorted(set(given) - set(OBJECTIVES)):
        raise InvalidInput(f"objectives {', '.join(unknown)} are unknown; there are {', '.join(OBJECTIVES)}")
    if tuple(given[:1]) != ("reward",) or len(set(given)) < len(given):
        raise InvalidInput(
            f"objectives {', '.join(given) or 'none'}: name reward first, and each once; there are "
            f"{', '.join(OBJECTIVES)}"
        )


Study = studies.Study[Plan]
STUDIES: studies.Studies[Plan] = studies.Studies("hyperparameters", Plan.from_document)
begin, get, listing, end = STUDIES.begin, STUDIES.get, STUDIES.listing, STUDIES.end


def name_of(plan: Plan) -> str:
    """As `studies.name_of`: agent and sampler, seed and mark."""
    return studies.name_of(f"{plan.agent}-{plan.sampler}", plan)
