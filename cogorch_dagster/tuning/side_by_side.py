"""Agents of the registry that act again: two versions on the same fresh fleets, or an old one as it was measured then.

What versions differ in by what was recorded is `registry/differences.py`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from cogorch_dagster.agents.comparison.comparison import Comparison
from cogorch_dagster.agents.comparison.comparison_figure import comparison_figure
from cogorch_dagster.agents.comparison.equal_success import NotComparable
from cogorch_dagster.agents.comparison.scores_comparison import compare_scores
from cogorch_dagster.agents.evaluation import Scores, evaluate
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.fleet.objectives import RewardWeights
from cogorch_dagster.fleet.parameters import FleetParameters
from cogorch_dagster.fleet.signals import AGENTS, AgentName
from cogorch_dagster.registry import store as registry
from cogorch_dagster.registry.differences import Difference, differences
from cogorch_dagster.registry.records import Registered
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.registration import CHECKPOINT, CHECKPOINT_TAG, COMPANY, FLEET, agent_name

if TYPE_CHECKING:
    from cogorch_dagster.agents.checkpoints import Checkpoint

SEEDS = tuple(range(20))


@dataclass(frozen=True)
class SideBySide:
    """Two versions of an agent, the second compared with the first.

    Attributes:
        differences: in what was recorded.
        scores: of each on the same seeds, each together with those it was trained with.
        comparisons: by metric, paired by seed, with intervals.
    """

    first: Registered
    second: Registered
    differences: list[Difference]
    scores: tuple[Scores, Scores]
    comparisons: Mapping[str, Comparison | NotComparable]

    def picture(self) -> bytes:
        """PNG: how much better or worse the second is, metric by metric."""
        return comparison_figure({self.second.ref: self.comparisons}, baseline=self.first.ref)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "first": self.first.ref,
            "second": self.second.ref,
            "differences": [asdict(each) for each in self.differences],
            "comparisons": {name: asdict(each) | {"verdict": each.verdict} for name, each in self.comparisons.items()},
            "scores": [scores.as_dict() for scores in self.scores],
        }


@dataclass(frozen=True)
class Reproduction:
    """A version measured again as when it was trained.

    Attributes:
        recorded, found: the same metrics, then and now.
        same: whether all of them are equal bit for bit. Another kind of device or processor may round otherwise.
    """

    version: Registered
    recorded: Mapping[str, float]
    found: Mapping[str, float]

    @property
    def same(self) -> bool:
        return dict(self.recorded) == dict(self.found)


@dataclass(frozen=True)
class _Loaded:
    """A version's agents as they were trained together, and their fleet."""

    checkpoint: "Checkpoint"
    company: "Mapping[AgentName, Checkpoint]"
    fleet: FleetParameters


def side_by_side(
    settings: Settings,
    first: Registered,
    second: Registered,
    *,
    seeds: Sequence[int] = SEEDS,
    parameters: FleetParameters | None = None,
    fleets_per_seed: int = 8,
) -> SideBySide:
    """Let two versions of one agent steer the same fresh fleets, and compare them in all that is known of them.

    Args:
        seeds: at least two, that no training has seen.
        parameters: of the fleets; those that the second was trained in without it.

    Raises:
        InvalidInput: versions of two agents, or of something that does not act; or seeds that `evaluate` refuses.
        Refused: what is missing or damaged.
    """
    if first.name != second.name:
        raise InvalidInput(f"{first.ref} and {second.ref} are not versions of one agent; compare those of one name")
    before, after = _loaded(settings, first), _loaded(settings, second)
    fleet = after.fleet if parameters is None else parameters
    weights = _weights(after.checkpoint)
    scores = tuple(
        _scored(each, name, fleet, weights, seeds, fleets_per_seed)
        for each, name in ((before, first.ref), (after, second.ref))
    )
    return SideBySide(
        first,
        second,
        differences(first, second),
        (scores[0], scores[1]),
        compare_scores(scores[0], scores[1]),
    )


def reproduce(settings: Settings, version: Registered) -> Reproduction:
    """Measure a version on the fleets on which its recorded metrics were measured, with those that acted with it.

    Raises:
        InvalidInput: it does not act, or is not from a joint training. Refused: what is missing or damaged.
    """
    from cogorch_dagster.agents.training.joint import FIRST_VALIDATION_SEED, FLEETS_PER_SEED
    from cogorch_dagster.agents.training.joint_checkpoints import configuration_of

    loaded = _loaded(settings, version)
    joint = configuration_of(loaded.checkpoint)
    if missing := [agent for agent in joint.learning if agent not in loaded.company]:
        raise Refused(
            "missing_company",
            f"{version.ref} was measured together with {', '.join(missing)}, which it does not name; "
            "register all agents of a training together",
        )
    seeds = range(FIRST_VALIDATION_SEED, FIRST_VALIDATION_SEED + joint.validation_seeds)
    scores = _scored(loaded, version.ref, loaded.fleet, joint.weights, seeds, FLEETS_PER_SEED)
    found = {name: float(scores.values[name].mean()) for name in version.metrics if name in scores.values}
    return Reproduction(version, {name: version.metrics[name] for name in found}, found)


def _scored(
    loaded: _Loaded,
    name: str,
    fleet: FleetParameters,
    weights: RewardWeights,
    seeds: Sequence[int],
    fleets_per_seed: int,
) -> Scores:
    from cogorch_dagster.agents.training.joint import one_thread
    from cogorch_dagster.agents.training.joint_controller import controller_of

    controller = controller_of(loaded.company, name=name)
    with one_thread():
        return evaluate(fleet, controller, seeds=seeds, fleets_per_seed=fleets_per_seed, weights=weights)


def _weights(checkpoint: "Checkpoint") -> RewardWeights:
    from cogorch_dagster.agents.training.joint_checkpoints import configuration_of

    return configuration_of(checkpoint).weights


def _loaded(settings: Settings, version: Registered) -> _Loaded:
    from cogorch_dagster.agents import checkpoints

    if CHECKPOINT not in version.files:
        raise InvalidInput(
            f"{version.ref} holds {', '.join(version.files)}, not an agent; only agents can be evaluated"
        )
    files = registry.load(settings, version)
    checkpoint = checkpoints.unpack(files[CHECKPOINT])
    fleet = FleetParameters.model_validate_json(files[FLEET])
    if fleet.digest != checkpoint.calibration:
        raise Refused("damaged_artifact", f"{version.ref} was trained in another fleet than the one it holds")
    own = checkpoints.digest(files[CHECKPOINT])
    company = {
        agent: checkpoint if digest == own else _companion(settings, version, agent, digest)
        for agent, digest in cast("dict[AgentName, str]", json.loads(files[COMPANY])).items()
    }
    # In the order of a training, whose agents have no other.
    return _Loaded(checkpoint, {agent: company[agent] for agent in AGENTS if agent in company}, fleet)


def _companion(settings: Settings, version: Registered, agent: AgentName, digest: str) -> "Checkpoint":
    """An agent that acted with it, from the registry, or from where trainings keep theirs."""
    from cogorch_dagster.agents import checkpoints, store

    found = registry.of_tag(settings, agent_name(agent), CHECKPOINT_TAG, digest)
    if found is not None:
        return checkpoints.unpack(registry.load(settings, found)[CHECKPOINT])
    try:
        return store.load(settings, store.get(settings, digest))
    except Refused as error:
        raise Refused(
            "missing_company",
            f"{version.ref} acted together with checkpoint {digest} of agent {agent}, which is neither registered nor "
            f"kept ({error}). Register all agents of a training together.",
        ) from error
