"""The scored decisions of one policy one by one, in the order of time: what a reward model with features learns from.

`decisions` groups them, which is enough wherever nothing but arms, tenants and propensities is known of a decision.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from cogorch_dagster.evaluation.decisions import scored_decisions, trajectories
from cogorch_dagster.evaluation.patterns import Floats, Ints, Patterns, by_row
from cogorch_dagster.settings import Settings

_ROWS = """
    SELECT half, fold, tenant, actions, propensities, action_sets, decision_id, epoch_us(started_at), reward,
           sample_weight
    FROM scored WHERE problem IS NULL ORDER BY started_at, decision_id"""


@dataclass(frozen=True, eq=False)
class DecisionRows:
    """n usable decisions, the earliest first.

    Attributes:
        decision_id: (n,) text.
        started_us: (n,) microseconds since 1970 at which the first attempt began.
        reward, sample_weight: (n,).
        groups: of each decision what `decisions.trajectories` reads.
        inputs: digest of every file and configuration that went in.
    """

    decision_id: npt.NDArray[np.object_]
    started_us: Ints
    reward: Floats
    sample_weight: Floats
    groups: tuple[tuple[Any, ...], ...]
    inputs: str

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def logged(self) -> tuple[str, ...]:
        """Every arm that was available in some draw."""
        return tuple(sorted({arm for group in self.groups for arms in group[5] for arm in arms}))

    @property
    def first_arm(self) -> npt.NDArray[np.object_]:
        """(n,) the arm of the first attempt."""
        return np.array([group[3][0] for group in self.groups], dtype=object)

    def patterns(self, arms: Sequence[str] = ()) -> Patterns:
        """The decisions as a pattern each, over the logged arms and `arms`."""
        logged = self.logged
        every = tuple(sorted({*logged, *arms}))
        return by_row(trajectories(self.groups, every, set(logged)), self.reward, self.sample_weight)


def read_rows(
    settings: Settings,
    policy_id: str,
    since: datetime,
    until: datetime,
    *,
    seed: int = 0,
    feedback_delay: timedelta | None = None,
    tenants: Collection[str] = (),
) -> DecisionRows:
    """Read the usable decisions whose first attempt lies in [since, until); as `decisions.read_decisions`.

    Raises:
        InvalidInput: an empty period, or a negative delay.
    """
    with scored_decisions(
        settings, policy_id, since, until, seed=seed, feedback_delay=feedback_delay, tenants=tenants
    ) as (duck, by_component, inputs, _):
        rows = duck.execute(_ROWS).fetchall() if by_component else []
    return DecisionRows(
        decision_id=np.array([row[6] for row in rows], dtype=object),
        started_us=np.array([row[7] for row in rows], dtype=np.int64),
        reward=np.array([row[8] for row in rows], dtype=np.float64),
        sample_weight=np.array([row[9] for row in rows], dtype=np.float64),
        groups=tuple(rows),
        inputs=inputs,
    )
