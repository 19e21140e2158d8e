"""What a coordinated step was: everything that was said, found, decided and refused, as one immutable document.

How it comes about is `coordinator.py`, where it is kept `store.py`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cogorch_dagster.games.conflict_resolution import FoundConflict
from cogorch_dagster.games.intentions import Intention
from cogorch_dagster.policies.document import as_document, digest

Played = Literal["pure equilibrium", "drawn from mixed equilibrium", "drawn from coarse correlated equilibrium"]
Decided = Literal["equilibrium", "bargain", "no operation"]
Instead = Literal["last good action", "no operation"]
Among = Literal["intentions", "equilibrium"]


@dataclass(frozen=True)
class Degraded:
    """An agent that gave no intention: why, and what was done instead (`last good action` or `no operation`)."""

    agent: str
    reason: str
    instead: Instead
    action: str


@dataclass(frozen=True)
class Answer:
    """The equilibrium and its proof.

    Attributes:
        mixes: by agent the probability of each action that is played at all.
        nash_conv: sum of what the agents could gain by deviating alone, computed from the game's payoffs; for a coarse
            correlated equilibrium by committing to an action beforehand. A degraded agent cannot deviate.
        relative: nash_conv in units of the payoffs' range.
        verified: whether `relative` is at most 1e-5 (`solving.ACCEPTED`).
        played: how a joint action came out of it.
        actions: that joint action, by agent.
    """

    concept: str
    method: str
    nash_conv: float
    relative: float
    verified: bool
    welfare: float
    mixes: Mapping[str, Mapping[str, float]]
    played: Played
    actions: Mapping[str, str]


@dataclass(frozen=True)
class Settled:
    """A conflict, and every agent's utility with it (`before`) and under what was finally played (`after`)."""

    conflict: FoundConflict
    among: Among
    before: Mapping[str, float]
    after: Mapping[str, float]


@dataclass(frozen=True)
class Veto:
    """A joint action that was not played, and why."""

    actions: Mapping[str, str]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Figures:
    """What a joint action was simulated to bring: own utilities by agent, shared reward, and what the veto looks at."""

    utilities: Mapping[str, float]
    shared: float
    violations: float
    success: float
    cost: float


@dataclass(frozen=True)
class CoordinationResult:
    """One coordinated step.

    Attributes:
        parameters: digest of the fleet's parameters.
        seed: of the simulated futures and of the draw from a mixed equilibrium.
        intentions: what the agents said; degraded: those that said nothing.
        intended: the joint action of all intentions, with what was done instead of those that are missing.
        equilibrium: None if the time was up before the payoffs were known.
        conflicts: among the intentions, then in what the equilibrium would have played.
        vetoes: what was not played for safety.
        decided: how the joint action was chosen: the equilibrium's, a bargain, or no operation.
        remark: why it was not the equilibrium's, if it was not.
        actions: the joint action by name; joint: policy, consensus and ethical as indices; resource: levels in 0..1.
        figures: by `intended`, `no operation` and `played`, what was simulated for it.
        payoffs: digest of the payoffs; scenarios, horizon: what they were simulated over; 0 without payoffs.
        common: weight of the shared reward in the payoffs of the game.
        seconds: wall time by phase, and `total`; payoff_cpu_seconds: of the simulation.
        limit_s: the step's own limit.
    """

    parameters: str
    seed: int
    intentions: tuple[Intention, ...]
    degraded: tuple[Degraded, ...]
    intended: Mapping[str, str]
    equilibrium: Answer | None
    conflicts: tuple[Settled, ...]
    vetoes: tuple[Veto, ...]
    decided: Decided
    remark: str | None
    actions: Mapping[str, str]
    joint: Mapping[str, int]
    resource: tuple[float, ...]
    figures: Mapping[str, Figures]
    payoffs: str | None
    scenarios: int
    horizon: int
    common: float
    seconds: Mapping[str, float]
    payoff_cpu_seconds: float
    limit_s: float

    def document(self) -> dict[str, Any]:
        """Everything as a JSON object."""
        found: dict[str, Any] = as_document(asdict(self))
        return found

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the document."""
        return digest(self.document())
