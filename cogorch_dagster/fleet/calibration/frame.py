"""The data of a calibration, already in the places of a fleet: exact counts by the minute and a sample of rows."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.fleet.calibration.grouping import Group

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Below so many requests in a recorded hour on average, an hour without any may just be a quiet one.
RECORDED_MEAN = 20.0


@dataclass(frozen=True)
class Rows:
    """N attempts, drawn by a hash of their ids; NaN where something was not recorded.

    Attributes:
        tenant, model: places in the fleet, -1 for none.
        minute: since the frame's beginning.
        first: whether it is the first attempt of its request.
        outcome: 0 success, 1 failure, 2 timeout, 3 anything else.
        work_ms: duration without time in a queue.
        concurrency: requests in work at once on a replica, the mean over its own time.
        weight: how many attempts of the traffic the row stands for.
    """

    tenant: Integers
    model: Integers
    minute: Integers
    first: NDArray[np.bool_]
    outcome: Integers
    work_ms: Floats
    input_tokens: Floats
    output_tokens: Floats
    cost_usd: Floats
    concurrency: Floats
    weight: Floats

    def take(self, chosen: NDArray[np.bool_]) -> "Rows":
        """The rows where `chosen` [N] is true."""
        return Rows(**{name: column[chosen] for name, column in vars(self).items()})

    def __len__(self) -> int:
        return len(self.tenant)


@dataclass(frozen=True)
class Frame:
    """Everything that a calibration looks at, for n minutes from `begin`.

    Attributes:
        requests: first attempts of each tenant in each minute [4, n].
        thinning: sum of w (w - 1) over sum of w for each tenant [4]: what sampling adds to variance over mean.
        attempts, failures: ended attempts and errors of each model in each minute [3, n].
        timeouts: share of each model's attempts [3].
        total: observations read.
        inputs: digest of what was read.
    """

    begin: datetime
    tenants: tuple[Group, ...]
    models: tuple[Group, ...]
    requests: Floats
    thinning: Floats
    attempts: Floats
    failures: Floats
    timeouts: Floats
    rows: Rows
    total: int
    inputs: str

    @property
    def minutes(self) -> int:
        """Number of minutes n."""
        return len(self.requests[0])

    @property
    def minute_of_day(self) -> Integers:
        """Of each minute, UTC [n]."""
        first = self.begin.hour * 60 + self.begin.minute
        return (first + np.arange(self.minutes)) % 1440

    @property
    def observed(self) -> NDArray[np.bool_]:
        """Minutes [n] for which traffic was recorded.

        The first and the last may be cut, and an hour without a single request, where there are usually 20 or more,
        was not recorded rather than quiet.
        """
        total = self.requests.sum(axis=0) + self.attempts.sum(axis=0)
        seen = np.ones(self.minutes, dtype=bool)
        if self.minutes > 10:
            seen[[0, -1]] = False
        hour = np.arange(self.minutes) // 60
        per_hour = np.bincount(hour, weights=total)
        if per_hour.sum() > RECORDED_MEAN * (per_hour > 0).sum():
            seen &= per_hour[hour] > 0
        return seen

    def between(self, start: int, end: int) -> Self:
        """The part from minute `start` until before minute `end`."""
        rows = self.rows.take((self.rows.minute >= start) & (self.rows.minute < end))
        return replace(
            self,
            begin=self.begin + timedelta(minutes=start),
            requests=self.requests[:, start:end],
            attempts=self.attempts[:, start:end],
            failures=self.failures[:, start:end],
            rows=replace(rows, minute=rows.minute - start),
        )
