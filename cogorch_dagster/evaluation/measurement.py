"""What a version of a policy was really worth: the mean reward of the decisions that it made itself."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from cogorch_dagster.errors import Refused
from cogorch_dagster.evaluation.decisions import read_decisions
from cogorch_dagster.evaluation.intervals import quantile
from cogorch_dagster.lake.hours import HOUR, floor_hour
from cogorch_dagster.settings import Settings

DEFAULT_PERIOD = timedelta(days=7)


@dataclass(frozen=True)
class Measurement:
    """Mean reward per decision with its standard error, sample weights respected."""

    version: str
    value: float
    se: float
    decisions: int
    ci95: tuple[float, float]


def measure(
    settings: Settings,
    policy_id: str,
    version: str,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    feedback_delay: timedelta | None = None,
) -> Measurement:
    """Mean reward of the decisions that a version made in [since, until); by default in the last 7 days.

    Decisions whose feedback may still be under way are left out, as in `read_decisions`.

    Raises:
        Refused: `too_few_decisions`, fewer than two of them.
        InvalidInput: the period is empty.
    """
    since, until = period(since, until)
    found = read_decisions(settings, policy_id, since, until, feedback_delay=feedback_delay)
    mine = found.of_version(version)
    if mine is None or mine.decisions < 2:
        raise Refused(
            "too_few_decisions",
            f"{policy_id}@{version} made {mine.decisions if mine else 0} scored decisions between {since.isoformat()} "
            f"and {until.isoformat()}; a mean with a standard error needs 2. Widen the period or send traffic.",
        )
    margin = float(quantile(mine.decisions)) * mine.se
    return Measurement(version, mine.value, mine.se, mine.decisions, (mine.value - margin, mine.value + margin))


def difference(before: Measurement, after: Measurement) -> tuple[float, tuple[float, float]]:
    """After minus before with its 95 % interval, for measurements on separate decisions."""
    value = after.value - before.value
    margin = float(quantile(min(before.decisions, after.decisions))) * float(np.hypot(before.se, after.se))
    return value, (value - margin, value + margin)


def period(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """The period to read: until now, from the beginning of an hour 7 days before its end."""
    # The hour ahead is for clocks of senders that run a little fast.
    end = until or datetime.now(UTC) + HOUR
    return since or floor_hour(end - DEFAULT_PERIOD), end
