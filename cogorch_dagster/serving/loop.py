"""The loop of running agents: versions that have arrived are taken over, then all fleets do one step.

Nothing here waits for the service, PostgreSQL or the lake; what may have to is left to threads (`following`, `reports`,
`kept`).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from cogorch_dagster.client import PolicyDocument
from cogorch_dagster.errors import Refused
from cogorch_dagster.fleet.signals import AgentName
from cogorch_dagster.serving.beginning import Beginning
from cogorch_dagster.serving.following import Following
from cogorch_dagster.serving.kept import Keeper
from cogorch_dagster.serving.reload import LONGEST_REASON, Reload, reload
from cogorch_dagster.serving.reports import Reports
from cogorch_dagster.serving.returns import Window
from cogorch_dagster.serving.update import STARTED

if TYPE_CHECKING:
    from cogorch_dagster.agents.training.joint import JointTraining

Around = Callable[["JointTraining", AgentName, PolicyDocument], AbstractContextManager[None]]


class Loop:
    """The agents, and what is known of their versions between two steps.

    Attributes:
        sound: False while a state is broken.
        reward: mean shared reward per step of the last window; None before the first.
        settled_from: windows that begin before this step are not reported.
    """

    def __init__(
        self,
        beginning: Beginning,
        following: Following,
        reports: Reports,
        keeper: Keeper,
        told: Callable[[Reload], None],
        around: Around,
    ) -> None:
        self.training, self.versions = beginning.training, beginning.versions
        self._following, self._reports, self._keeper = following, reports, keeper
        self._told, self._around = told, around
        self._window = Window(self.training.parameters.horizon)
        self._heard: set[AgentName] = set()
        self._latest: dict[AgentName, tuple[str, str]] = {}
        self._complete: list[AgentName] = []
        self._changed = False
        self.steps = self.accepted = self.refused = 0
        self.reward: float | None = None
        self.settled_from = beginning.settled_from
        self.sound = True
        keeper.remember(self.training, self.versions)

    def step(self) -> None:
        """Take over what has arrived, then one step of all fleets.

        What arrives meanwhile waits for the end of its own agent's step alone, and that agent learns next: a step of
        all lasts as long as the updates of all four together.
        """
        for agent in self.training.learners:
            self._take_over(agent)
        self._complete.clear()
        try:
            reward = self.training.advance(self._completed, self._next)
        except Refused as error:
            self._recover(error)
            return
        self.steps += 1
        earned = self._window.add(reward, self.versions, self.training.steps)
        if self._changed:
            # What is open holds steps under another version.
            self._window.restart()
            self._changed = False
        elif earned is not None:
            self.reward = earned.value
            # A window of memories that are still filling up says nothing about a version.
            if earned.steps - self._window.length >= self.settled_from:
                self._reports.earned(earned)
        self._keeper.keep_when_due(self.training, self.versions)

    def _next(self, agents: Sequence[AgentName]) -> AgentName:
        return next((each for each in agents if self._following.waits(each)), agents[0])

    def _completed(self, agent: AgentName) -> None:
        self._complete.append(agent)
        for each in self._complete:
            self._take_over(each)

    def _take_over(self, agent: AgentName) -> None:
        for document in self._following.arrived(agent):
            first = agent not in self._heard
            if not first and self._latest.get(agent) == (document.version, document.digest):
                continue  # Only what is tried beside it has changed.
            self._latest[agent] = document.version, document.digest
            with self._around(self.training, agent, document):
                found = reload(self.training, agent, document)
            self._take(agent, found)
            if first:
                # What was in force at the start is what a divergence goes back to.
                self._keeper.remember(self.training, self.versions)

    def _take(self, agent: AgentName, found: Reload) -> None:
        if agent not in self._heard:
            reason = STARTED if found.accepted else f"{STARTED}: {found.reason}"[:LONGEST_REASON]
            found = replace(found, reason=reason)
        self._heard.add(agent)
        self._report(found)
        if found.accepted:
            self.versions[found.policy_id] = found.version
            self._changed = True

    def _report(self, found: Reload) -> None:
        self._reports.acknowledge(found)
        self.accepted += found.accepted
        self.refused += not found.accepted
        self._told(found)

    def _recover(self, error: Refused) -> None:
        """Go back to the last checkpoint, if versions came since: they are refused, and the good ones stay."""
        diverged, steps = self.versions, self.training.steps
        self.sound = False
        self.versions = self._keeper.restore(self.training)
        guilty = {name: version for name, version in diverged.items() if self.versions.get(name) != version}
        if not guilty:
            raise error
        self.sound = True
        self._changed = False
        self._window.restart()
        for policy_id, version in guilty.items():
            self._report(Reload(policy_id, version, False, f"the agents diverged with it: {error}"[:2000], steps))
