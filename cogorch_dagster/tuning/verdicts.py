"""What a check found of agents, written on their versions in the registry."""

from collections.abc import Mapping

from cogorch_dagster.fleet.signals import AgentName
from cogorch_dagster.registry import store as registry
from cogorch_dagster.registry.aliases import remove_alias, set_alias
from cogorch_dagster.registry.records import Registered
from cogorch_dagster.registry.tags import set_tag
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.registration import CHECKPOINT_TAG, agent_name


def mark(settings: Settings, checkpoints: Mapping[AgentName, str], tag: str, passed: bool) -> dict[AgentName, str]:
    """Write a verdict on all versions of these checkpoints; the newest of each is the candidate if they passed.

    What is the champion already does not become a candidate, and what did not pass is none any longer.

    Args:
        checkpoints: digests by agent.
        tag: of the verdict, such as `registry.tags.BEATS_STATIC`; its text is yes or no.

    Returns:
        By agent its newest version of that checkpoint, such as `agent-policy@3`; without those that have none.

    Raises:
        Unavailable: the registry cannot be reached.
    """
    found: dict[AgentName, str] = {}
    for agent, digest in checkpoints.items():
        versions = _of_checkpoint(settings, agent, digest)
        for version in versions:
            set_tag(settings, version, tag, "yes" if passed else "no")
            if not passed and "candidate" in version.aliases:
                remove_alias(settings, version.name, "candidate")
        if not versions:
            continue
        newest = versions[0]
        if passed and "champion" not in newest.aliases:
            set_alias(settings, newest.name, "candidate", newest.version)
        found[agent] = newest.ref
    return found


def _of_checkpoint(settings: Settings, agent: AgentName, digest: str) -> list[Registered]:
    """The newest first; a checkpoint has several if it was registered for several studies."""
    versions = registry.versions(settings, agent_name(agent))
    return [each for each in versions if each.tags.get(CHECKPOINT_TAG) == digest]
