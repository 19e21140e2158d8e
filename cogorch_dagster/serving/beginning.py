"""Where a process begins: from what the last one of its name left, from stored checkpoints, or with new agents.

Each agent by itself: what a training has stored since the last process began goes before that process's own state.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cogorch_dagster.agents import store
from cogorch_dagster.client import PolicyDocument
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.calibration import store as calibrations
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters
from cogorch_dagster.fleet.signals import AgentName
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies.hyperparameters import policy_of
from cogorch_dagster.serving import endless, kept
from cogorch_dagster.serving.kept import Kept
from cogorch_dagster.serving.reload import settings_in
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    from cogorch_dagster.agents.training.joint import JointTraining

log = logging.getLogger("cogorch.serving")

NEW_FLEETS = 16
# Of a learner's parts, those that have a row for each fleet.
_OF_FLEETS = ("replay", "rollout", "drift")


@dataclass(frozen=True)
class Beginning:
    """Agents that are ready to run.

    Attributes:
        versions: by policy id, those whose hyperparameters the agents have as far as is known.
        origins: by agent, the digest of the stored checkpoint behind it; an agent that began anew has none.
        sources: by agent, where it comes from, in a word: kept, stored or new.
        settled_from: the step of all fleets from which returns say something about versions: new agents have tried what
            they can do, every memory has filled up once, and every fleet has passed an episode.
    """

    training: "JointTraining"
    versions: dict[str, str]
    origins: dict[AgentName, str]
    sources: dict[AgentName, str]
    settled_from: int


@dataclass(frozen=True)
class _Source:
    word: str
    settings: Mapping[str, Any]
    parts: Mapping[str, Any] | None
    fleets: int | None


def begin(
    settings: Settings,
    path: str,
    agents: tuple[AgentName, ...],
    documents: Mapping[AgentName, PolicyDocument],
    *,
    fleets: int | None,
    seed: int,
    parameters: FleetParameters | None = None,
) -> Beginning:
    """Make the agents.

    Args:
        path: of the file that the last process of the name left, if it did.
        documents: versions in force; only a new agent has its architecture from them.
        fleets: simulated at once; None: as many as before, so that replays go on; else, weights go on and replays
            begin empty.
        seed: of new agents and of the fleets.
        parameters: of the fleet; None: the latest calibration's, or the defaults.

    Raises:
        Unavailable: PostgreSQL or the lake cannot be reached. Refused: a stored checkpoint is damaged.
        InvalidInput: a stored checkpoint does not fit this version.
    """
    from cogorch_dagster.agents.training.joint import JointTraining

    parameters = parameters or calibrated(settings)
    left = kept.read(path)
    newest = {agent: store.latest(settings, agent) for agent in agents}
    origins = {agent: each.digest for agent, each in newest.items() if each is not None}
    sources = {agent: _source(settings, agent, left, newest[agent], documents.get(agent)) for agent in agents}
    known = [each.fleets for each in sources.values() if each.fleets is not None]
    count = fleets or (max(known) if known else NEW_FLEETS)
    own = {
        agent: endless.for_fleets(each.settings, count) if each.fleets not in (None, count) else each.settings
        for agent, each in sources.items()
    }
    configuration = endless.configuration(agents, count, seed, own, warm_up=_warm_up(left, sources))
    training = JointTraining(parameters, configuration)
    for agent, source in sources.items():
        if source.parts is not None:
            _restore(training, agent, source)
    fleets_go_on = _go_on(training, left, sources)
    whole = fleets_go_on and {each.word for each in sources.values()} == {"kept"}
    settled_from = left.settled_from if whole and left is not None else training.steps + _settling(training, sources)
    there = left.versions if left is not None else {}
    going_on = [policy_of(agent) for agent in agents if sources[agent].word == "kept"]
    versions = {policy_id: there[policy_id] for policy_id in going_on if policy_id in there}
    return Beginning(training, versions, origins, {agent: each.word for agent, each in sources.items()}, settled_from)


def calibrated(settings: Settings) -> FleetParameters:
    """The fleet of the latest calibration, or of the documented defaults."""
    with transaction(settings) as connection:
        found = calibrations.latest(connection)
    return default_parameters() if found is None else found.parameters


def _source(
    settings: Settings,
    agent: AgentName,
    left: Kept | None,
    newest: store.StoredCheckpoint | None,
    document: PolicyDocument | None,
) -> _Source:
    from cogorch_dagster.agents.training import joint_checkpoints

    there = left is not None and agent in left.checkpoint.parts["learners"]
    if left is not None and there and left.origins.get(agent) == (newest.digest if newest else None):
        joint = left.configuration
        return _Source("kept", joint.settings_of(agent), left.checkpoint.parts["learners"][agent], joint.fleets)
    if newest is not None:
        checkpoint = store.load(settings, newest)
        joint = joint_checkpoints.configuration_of(checkpoint)
        return _Source("stored", checkpoint.configuration, checkpoint.parts, joint.fleets)
    try:
        asked = settings_in(agent, document) if document is not None else {}
    except InvalidInput as error:
        log.warning("the new %s agent has its defaults, as its document is refused: %s", agent, error)
        asked = {}
    return _Source("new", asked, None, None)


def _warm_up(left: Kept | None, sources: Mapping[AgentName, _Source]) -> int:
    words = {each.word for each in sources.values()}
    if left is not None and "kept" in words:
        return left.configuration.warm_up
    return endless.WARM_UP if words == {"new"} else 0


def _restore(training: "JointTraining", agent: AgentName, source: _Source) -> None:
    learner = training.learners[agent]
    assert source.parts is not None  # noqa: S101
    parts = dict(source.parts)
    if source.fleets != training.configuration.fleets:
        fresh = learner.parts()
        for name in _OF_FLEETS:
            if name in fresh:
                parts[name] = fresh[name]
        if "replay" in fresh:
            # What has been seen moves exploration on, and lets learning begin with the first rows.
            parts["replay"] = {**fresh["replay"], "seen": source.parts["replay"]["seen"]}
        log.warning(
            "the %s agent was trained in %s fleets and runs in %d: its weights go on, its memory begins empty",
            agent, source.fleets, training.configuration.fleets,
        )  # fmt: skip
    learner.restore(parts)


def _go_on(training: "JointTraining", left: Kept | None, sources: Mapping[AgentName, _Source]) -> bool:
    """Let the fleets, too, stand where the last process left them, where they are the same fleets; whether they do."""
    if left is None or all(each.word != "kept" for each in sources.values()):
        return False
    training.steps = left.checkpoint.parts["steps"]
    same = left.checkpoint.calibration == training.parameters.digest
    if not same or left.configuration.fleets != training.configuration.fleets:
        return False
    training.environment.restore(left.checkpoint.parts["environment"])
    return True


def _settling(training: "JointTraining", sources: Mapping[AgentName, _Source]) -> int:
    """Steps until returns count, of agents of which any began anew or in other fleets."""
    fleets = training.configuration.fleets
    own = [training.configuration.settings_of(agent) for agent in sources]
    memories: list[int] = [each.get("max_age") or each["capacity"] // fleets for each in own if "capacity" in each]
    tried = endless.WARM_UP if any(each.word == "new" for each in sources.values()) else 0
    return tried + max([*memories, training.parameters.horizon])
