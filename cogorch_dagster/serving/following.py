"""The versions that arrive for running agents: followed by threads, taken out between two steps."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from cogorch_dagster.client import PolicyDocument, PolicyFollower
from cogorch_dagster.fleet.signals import AgentName
from cogorch_dagster.policies.hyperparameters import policy_of


class Following:
    """Follows the hyperparameter policy of each agent; the last good versions are kept in files.

    Args:
        url: of the service.
        token: bearer token with scope `read`.
        folder: for the last good versions, of this process alone.
        poll_interval_s: seconds between two questions beneath the events.
    """

    def __init__(
        self, url: str, token: str, agents: Sequence[AgentName], folder: Path, poll_interval_s: float = 5.0
    ) -> None:
        self._arrived: dict[AgentName, deque[PolicyDocument]] = {agent: deque() for agent in agents}
        self._followers = {
            agent: PolicyFollower(
                url,
                token,
                policy_of(agent),
                folder / f"{policy_of(agent)}.json",
                poll_interval_s=poll_interval_s,
                on_change=partial(self._note, agent),
            )
            for agent in agents
        }

    def _note(self, agent: AgentName, document: PolicyDocument) -> None:
        self._arrived[agent].append(document)

    def wait(self, timeout: float) -> dict[AgentName, PolicyDocument]:
        """The versions in force, after waiting at most that many seconds for the first one of each agent."""
        deadline = time.monotonic() + timeout
        found = {
            agent: follower.wait(max(deadline - time.monotonic(), 0.0)) for agent, follower in self._followers.items()
        }
        return {agent: document for agent, document in found.items() if document is not None}

    def arrived(self, agent: AgentName) -> Iterator[PolicyDocument]:
        """Each version of an agent that was received since the last call, in order; never waits."""
        waiting = self._arrived[agent]
        while waiting:
            yield waiting.popleft()

    def waits(self, agent: AgentName) -> bool:
        """Whether a version of an agent has been received since the last call of `arrived`."""
        return bool(self._arrived[agent])

    @property
    def errors(self) -> dict[AgentName, str]:
        """What keeps a follower from the service now."""
        return {agent: each.error for agent, each in self._followers.items() if each.error}

    def __enter__(self) -> Self:
        for follower in self._followers.values():
            follower.start()
        return self

    def __exit__(self, *_: object) -> None:
        for follower in self._followers.values():
            follower.close()
