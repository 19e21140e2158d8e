"""What running agents earn, in figures that may be compared before and after a change.

A window is as many steps as an episode has. The episodes of the fleets are staggered, so in any such window every fleet
passes every hour of its traffic once: windows differ by chance, and by what the agents do. A window in which a version
changed belongs to neither and is thrown away; so is one in which the agents had only begun: what they earn then rises
by itself, whatever version is in force (`beginning.Beginning.settled_from`). Exploration is part of what is earned.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Earned:
    """The mean shared reward per step over one window.

    Attributes:
        versions: by policy id, the version that each agent had taken over.
        steps: of all fleets at once, done at its end.
        measured_at: its end, UTC.
    """

    value: float
    versions: Mapping[str, str]
    steps: int
    measured_at: datetime


class Window:
    """Sums rewards of consecutive steps; `length` in steps, at least 1."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.restart()

    def restart(self) -> None:
        """Forget the window that is open."""
        self._sum, self._steps = 0.0, 0

    def add(self, reward: float, versions: Mapping[str, str], steps: int) -> Earned | None:
        """Take a step's reward in; the window that is complete with it."""
        self._sum += reward
        self._steps += 1
        if self._steps < self.length:
            return None
        earned = Earned(self._sum / self._steps, dict(versions), steps, datetime.now(UTC))
        self.restart()
        return earned
