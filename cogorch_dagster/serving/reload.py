"""One agent takes a version of its hyperparameters over, between two steps: wholly, or not at all.

How an algorithm does that is its `adopt`. Here: whether the document may be believed, and what it says.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cogorch_dagster.agents.hyperparameters import other_architecture, settings_of
from cogorch_dagster.client import PolicyDocument
from cogorch_dagster.client.document import params_digest
from cogorch_dagster.errors import CogorchError, InvalidInput
from cogorch_dagster.fleet.signals import AgentName
from cogorch_dagster.policies import kinds
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS, policy_of
from cogorch_dagster.serving import endless

if TYPE_CHECKING:
    from cogorch_dagster.agents.training.joint import JointTraining

LONGEST_REASON = 2000


@dataclass(frozen=True)
class Reload:
    """What became of a version in a process.

    Attributes:
        reason: why it was refused; of one that was taken over, None or what was special about it.
        steps: of all fleets at once, done by then.
    """

    policy_id: str
    version: str
    accepted: bool
    reason: str | None
    steps: int


def reload(training: "JointTraining", agent: AgentName, document: PolicyDocument) -> Reload:
    """Let a running agent go on with a document's hyperparameters; weights, memory and random state stay as they are.

    Refused is what does not fit its digest or the agent's kind, what is out of range, and another architecture, which
    takes effect with the next training. A refusal changes nothing.
    """
    steps = training.steps
    try:
        settings = endless.with_settings(training.configuration, {agent: settings_in(agent, document)})
        _require_same_architecture(training, agent, document)
        training.learners[agent].adopt(settings.settings[agent])
    except CogorchError as error:
        return Reload(document.policy_id, document.version, False, str(error)[:LONGEST_REASON], steps)
    training.configuration = settings
    return Reload(document.policy_id, document.version, True, None, steps)


def settings_in(agent: AgentName, document: PolicyDocument) -> dict[str, Any]:
    """The settings of an agent's algorithm that a document asks for.

    Raises:
        InvalidInput: the document is of another policy or kind, altered, or out of range.
    """
    if document.policy_id != policy_of(agent):
        raise InvalidInput(f"it is of policy {document.policy_id}, the {agent} agent follows {policy_of(agent)}")
    kind = AGENT_KINDS[agent]
    params = kinds.validated(kind, document.params)
    found = params_digest(document.params)
    if found != document.digest:
        raise InvalidInput(
            f"its parameters have digest {found}, not {document.digest} as approved; propose them as a new version"
        )
    return settings_of(kind, params)


def _require_same_architecture(training: "JointTraining", agent: AgentName, document: PolicyDocument) -> None:
    try:
        wrong = other_architecture(AGENT_KINDS[agent], training.configuration.settings_of(agent), document.params)
    except InvalidInput:
        return  # Networks that no document can name: `adopt` says what does not fit.
    if wrong:
        raise InvalidInput(
            f"{'; '.join(wrong)} in a running agent: it takes effect with the next training; "
            "nothing else of this version is taken over either"
        )
