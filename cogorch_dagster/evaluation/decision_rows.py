"""The scored decisions of one policy one by one, in the order of time: what a reward model with features learns from.

`decisions` groups them, which is enough wherever nothing but arms, tenants and propensities is known of a decision.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cogorch_dagster.evaluation.decisions import Decisions, collected, scored_decisions
from cogorch_dagster.evaluation.grouping import slicings_of, trajectories
from cogorch_dagster.evaluation.patterns import Floats, Ints, Patterns, by_row
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    import duckdb

_ROWS = """
    SELECT half, fold, tenant, actions, propensities, action_sets, decision_id, epoch_us(started_at), reward,
           sample_weight, label
    FROM scored WHERE problem IS NULL ORDER BY started_at, decision_id"""


_FIRST_DRAWS = """
    SELECT decision_id, epoch_us(started_at) AS started_us, tenant, coalesce(actions[1], '') AS arm, reward,
           sample_weight
    FROM scored ORDER BY started_at, decision_id"""


@dataclass(frozen=True, eq=False)
class FirstDraws:
    """n scored decisions, the earliest first, and no more of each than its first draw; all (n,).

    Attributes:
        started_us: microseconds since 1970 at which the first attempt began.
        tenant: the many rare ones share one name.
        reward, weight: of the whole decision, and its sample weight.
    """

    decision_id: npt.NDArray[np.object_]
    started_us: Ints
    tenant: npt.NDArray[np.object_]
    arm: npt.NDArray[np.object_]
    reward: Floats
    weight: Floats


@dataclass(frozen=True, eq=False)
class DecisionRows:
    """n usable decisions, the earliest first.

    Attributes:
        decision_id: (n,) text.
        started_us: (n,) microseconds since 1970 at which the first attempt began.
        reward, sample_weight: (n,).
        groups: of each decision what `grouping.trajectories` reads.
        inputs: digest of every file and configuration that went in.
        context_key: as in `decisions.Decisions`.
    """

    decision_id: npt.NDArray[np.object_]
    started_us: Ints
    reward: Floats
    sample_weight: Floats
    groups: tuple[tuple[Any, ...], ...]
    inputs: str
    context_key: str | None = None

    def __len__(self) -> int:
        return len(self.reward)

    @cached_property
    def logged(self) -> tuple[str, ...]:
        """Every arm that was available in some draw."""
        return tuple(sorted({arm for group in self.groups for arms in group[5] for arm in arms}))

    @cached_property
    def first_arm(self) -> npt.NDArray[np.object_]:
        """(n,) the arm of the first attempt."""
        return np.array([group[3][0] for group in self.groups], dtype=object)

    @cached_property
    def tenant(self) -> npt.NDArray[np.object_]:
        """(n,) the tenants' names; the many rare ones share one."""
        return np.array([group[2] for group in self.groups], dtype=object)

    def of_half(self, half: int | None) -> Ints:
        """The numbers of the decisions of one half; None: of all."""
        if half is None:
            return np.arange(len(self))
        return np.flatnonzero(np.array([group[0] for group in self.groups], dtype=np.int64) == half)

    def patterns(self, arms: Sequence[str] = (), *, half: int | None = None) -> Patterns:
        """The decisions, or those of one half, as a pattern each: arms and slices as in `decisions.Decisions`."""
        logged, which = self.logged, self.of_half(half)
        every = tuple(sorted({*logged, *arms}))
        groups = [self.groups[number] for number in which]
        found = by_row(trajectories(groups, every, set(logged)), self.reward[which], self.sample_weight[which])
        return replace(
            found, slicings=slicings_of([each[2] for each in groups], [each[10] for each in groups], self.context_key)
        )


def read_rows(
    settings: Settings,
    policy_id: str,
    since: datetime,
    until: datetime,
    *,
    seed: int = 0,
    feedback_delay: timedelta | None = None,
    tenants: Collection[str] = (),
    context_key: str | None = None,
) -> DecisionRows:
    """Read the usable decisions whose first attempt lies in [since, until); as `decisions.read_decisions`.

    Raises:
        InvalidInput: an empty period, a negative delay, or a context key with a quotation mark.
    """
    with scored_decisions(
        settings, policy_id, since, until, seed=seed, feedback_delay=feedback_delay, tenants=tenants, key=context_key
    ) as (duck, by_component, inputs, _):
        return _rows(duck, bool(by_component), inputs, context_key)


def read_log(
    settings: Settings,
    policy_id: str,
    since: datetime,
    until: datetime,
    *,
    seed: int = 0,
    feedback_delay: timedelta | None = None,
    tenants: Collection[str] = (),
    context_key: str | None = None,
    one_by_one: bool = True,
) -> tuple[Decisions, DecisionRows | None]:
    """The same decisions in groups and, if wanted, one by one, from one reading; as `decisions.read_decisions`."""
    with scored_decisions(
        settings, policy_id, since, until, seed=seed, feedback_delay=feedback_delay, tenants=tenants, key=context_key
    ) as (duck, by_component, inputs, delay):
        grouped = collected(duck, policy_id, by_component, inputs, delay, context_key)
        return grouped, _rows(duck, bool(by_component), inputs, context_key) if one_by_one else None


def read_first_draws(settings: Settings, policy_id: str, since: datetime, until: datetime) -> FirstDraws:
    """Read the scored decisions of [since, until), with a logged propensity or without, quickly.

    Raises:
        InvalidInput: an empty period.
    """
    with scored_decisions(settings, policy_id, since, until) as (duck, by_component, _, _):
        if not by_component:
            nothing, none = np.empty(0, dtype=object), np.empty(0)
            return FirstDraws(nothing, np.empty(0, dtype=np.int64), nothing, nothing, none, none)
        frame = duck.execute(_FIRST_DRAWS).df()
    return FirstDraws(
        decision_id=frame["decision_id"].to_numpy(dtype=object),
        started_us=frame["started_us"].to_numpy(np.int64),
        tenant=frame["tenant"].to_numpy(dtype=object),
        arm=frame["arm"].to_numpy(dtype=object),
        reward=frame["reward"].to_numpy(np.float64),
        weight=frame["sample_weight"].to_numpy(np.float64),
    )


def _rows(duck: "duckdb.DuckDBPyConnection", scored: bool, inputs: str, context_key: str | None) -> DecisionRows:
    rows = duck.execute(_ROWS).fetchall() if scored else []
    return DecisionRows(
        decision_id=np.array([row[6] for row in rows], dtype=object),
        started_us=np.array([row[7] for row in rows], dtype=np.int64),
        reward=np.array([row[8] for row in rows], dtype=np.float64),
        sample_weight=np.array([row[9] for row in rows], dtype=np.float64),
        groups=tuple(rows),
        inputs=inputs,
        context_key=context_key,
    )
