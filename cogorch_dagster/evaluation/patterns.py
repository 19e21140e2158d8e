"""Logged decisions, grouped by everything that an importance weight depends on.

A router's decision is a trajectory: a first arm is drawn from the arms available then, and after a failure another from
those that remain. Two decisions with the same arms, propensities, available sets and tenant have the same importance
weight under every candidate, so the six sums kept here answer any candidate in O(patterns) instead of O(decisions).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from cogorch_dagster.errors import InvalidInput

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NO_ATTEMPT = -1
"""Marks the columns after a decision's last attempt."""


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over the decisions of each pattern; s is the sample weight, y the reward. All of shape (patterns,)."""

    n: Floats
    s: Floats
    sy: Floats
    syy: Floats
    ss: Floats
    ssy: Floats
    ssyy: Floats

    @classmethod
    def of(cls, group: Ints, reward: Floats, sample_weight: Floats) -> "Sums":
        """Add up decisions by the number of their group."""
        terms = vars(cls.of_rows(reward, sample_weight)).values()
        groups = int(group.max()) + 1 if len(group) else 0
        return cls(*(np.bincount(group, weights=term, minlength=groups).astype(np.float64) for term in terms))

    @classmethod
    def of_rows(cls, reward: Floats, sample_weight: Floats) -> "Sums":
        """Decisions that are a pattern each."""
        s, y = sample_weight, np.asarray(reward, dtype=np.float64)
        sy, ss = s * y, s * s
        return cls(np.ones_like(y), s, sy, sy * y, ss, s * sy, sy * sy)


@dataclass(frozen=True, eq=False)
class States:
    """What the router knew when it drew: the available arms, the tenant, the attempt; and the cross-fitting fold."""

    available: Bools
    tenant: Ints
    attempt: Ints
    fold: Ints


@dataclass(frozen=True, eq=False)
class Slicing:
    """A way to cut a log into slices, such as by tenant: its name, the labels, and each pattern's label."""

    name: str
    labels: tuple[str, ...]
    code: Ints

    def rows(self) -> Iterator[tuple[str, Ints]]:
        """Each label with the numbers of its patterns."""
        order = np.argsort(self.code, kind="stable")
        ends = np.cumsum(np.bincount(self.code, minlength=len(self.labels)))
        for label, end, size in zip(self.labels, ends, np.diff(ends, prepend=0), strict=True):
            yield label, order[end - size : end]


@dataclass(frozen=True, eq=False)
class Patterns:
    """Patterns (P) of at most T attempts over K arms, with the states (S) in which the arms were drawn.

    Where every decision is its own pattern, this is a log row by row (`bandit.LoggedBandit`).

    Attributes:
        action: (P, T) index of the drawn arm, `NO_ATTEMPT` after the last one.
        propensity: (P, T) logged probability of that draw, 1 after the last one.
        state: (P, T) index into `states`, 0 after the last one.
        folds: number of cross-fitting folds.
        slicings: the ways in which the log can be cut.
    """

    arms: tuple[str, ...]
    tenants: tuple[str, ...]
    action: Ints
    propensity: Floats
    state: Ints
    states: States
    sums: Sums
    folds: int
    slicings: tuple[Slicing, ...] = ()

    @property
    def decisions(self) -> int:
        """Number of logged decisions."""
        return round(float(self.sums.n.sum()))

    @property
    def attempted(self) -> Bools:
        """(P, T) true where there was an attempt."""
        return np.not_equal(self.action, NO_ATTEMPT)

    def attempts_by_arm(self) -> Ints:
        """How many logged attempts went to each arm."""
        counts = np.where(self.attempted, self.sums.n[:, None], 0.0)
        return np.rint(
            np.bincount(np.maximum(self.action, 0).ravel(), weights=counts.ravel(), minlength=len(self.arms))
        ).astype(np.int64)

    def weights(self, by_arm: dict[str, float]) -> Floats:
        """The vector of a `modelWeights` document in the order of `arms`; arms it lacks get 0.

        Raises:
            InvalidInput: it weights an arm that these patterns do not know.
        """
        if unknown := sorted(arm for arm, weight in by_arm.items() if weight > 0 and arm not in self.arms):
            raise InvalidInput(f"arms {unknown} have weight but are not among the arms of the log {list(self.arms)}")
        return np.array([by_arm.get(arm, 0.0) for arm in self.arms])

    def table(self, everywhere: dict[str, float], by_tenant: Mapping[str, dict[str, float]]) -> Floats:
        """(X, K) the weights of every tenant: its own where `by_tenant` names it, else those that hold everywhere."""
        return np.array([self.weights(by_tenant.get(tenant, everywhere)) for tenant in self.tenants])

    def rows(self, which: Ints) -> "Patterns":
        """The log of some patterns alone; states that none of them visits are dropped."""
        visited, state = _renumbered(self.state[which], len(self.states.fold))
        return replace(
            self,
            action=self.action[which],
            propensity=self.propensity[which],
            state=state,
            states=States(*(getattr(self.states, name)[visited] for name in States.__dataclass_fields__)),
            sums=Sums(*(getattr(self.sums, name)[which] for name in Sums.__dataclass_fields__)),
            slicings=tuple(replace(each, code=each.code[which]) for each in self.slicings),
        )

    def visited(self, which: Ints) -> Ints:
        """The states, in the order that `rows` leaves them in."""
        return _renumbered(self.state[which], len(self.states.fold))[0]


def _renumbered(state: Ints, states: int) -> tuple[Ints, Ints]:
    """The states that occur, and the same visits counted among those."""
    seen = np.zeros(states, dtype=np.bool_)
    seen[state] = True
    return np.flatnonzero(seen), (np.cumsum(seen) - 1)[state]


@dataclass(frozen=True, eq=False)
class Trajectories:
    """What was drawn in each decision, or in each group of equal ones; one row each.

    Attributes:
        sets: (U, K) the distinct sets of available arms.
        action: (n, T) drawn arm per attempt, `NO_ATTEMPT` after the last.
        propensity: (n, T) in (0, 1] where there was an attempt.
        set_index: (n, T) row of `sets` per attempt; anything valid after the last.
        tenant: (n,) index into `tenants`.
        fold: (n,) cross-fitting fold, drawn apart from everything else about the decision.
    """

    arms: tuple[str, ...]
    tenants: tuple[str, ...]
    sets: Bools
    action: Ints
    propensity: Floats
    set_index: Ints
    tenant: Ints
    fold: Ints

    @property
    def tried(self) -> Bools:
        """(n, T) true where there was an attempt."""
        return np.not_equal(self.action, NO_ATTEMPT)

    def rows(self, which: Ints) -> "Trajectories":
        """Only some rows."""
        columns = ("action", "propensity", "set_index", "tenant", "fold")
        return replace(self, **{name: getattr(self, name)[which] for name in columns})


def group_decisions(drawn: Trajectories, reward: Floats, sample_weight: Floats | None = None) -> Patterns:
    """Group decisions.

    Args:
        reward: (n,) of the whole decision.
        sample_weight: (n,) inverse of the probability with which the decision was kept; 1 when absent.

    Raises:
        InvalidInput: an arm drawn outside its set, or a propensity outside (0, 1]; names the first such row.
    """
    _validate(drawn)
    tried = drawn.tried
    key = combine([drawn.tenant, drawn.fold])
    for t in range(tried.shape[1]):
        here = tried[:, t]
        probability = pd.factorize(np.where(here, drawn.propensity[:, t], 1.0))[0]
        key = combine([key, drawn.action[:, t] + 1, probability, np.where(here, drawn.set_index[:, t], 0)])
    _, first = np.unique(key, return_index=True)
    weight = np.ones(len(reward)) if sample_weight is None else sample_weight
    return grouped(drawn.rows(first), Sums.of(key, reward, weight))


def grouped(drawn: Trajectories, sums: Sums) -> Patterns:
    """Patterns of trajectories that are groups already, with their sums."""
    tried = drawn.tried
    attempt = np.broadcast_to(np.arange(tried.shape[1]), tried.shape)[tried]
    row = np.nonzero(tried)[0]
    code = combine([drawn.tenant[row], drawn.fold[row], drawn.set_index[tried], attempt])
    _, first = np.unique(code, return_index=True)
    state = np.zeros(tried.shape, dtype=np.int64)
    state[tried] = code
    states = States(
        available=drawn.sets[drawn.set_index[tried][first]],
        tenant=drawn.tenant[row[first]],
        attempt=attempt[first],
        fold=drawn.fold[row[first]],
    )
    return Patterns(
        arms=drawn.arms,
        tenants=drawn.tenants,
        action=drawn.action,
        propensity=np.where(tried, drawn.propensity, 1.0),
        state=state,
        states=states,
        sums=sums,
        folds=int(drawn.fold.max(initial=0)) + 1,
    )


def by_row(drawn: Trajectories, reward: Floats, sample_weight: Floats | None = None) -> Patterns:
    """Decisions that are a pattern each, every draw in a state of its own, so that anything may be known of it.

    Args:
        reward, sample_weight: as in `group_decisions`.

    Raises:
        InvalidInput: as `group_decisions`.
    """
    _validate(drawn)
    tried = drawn.tried
    row, attempt = np.nonzero(tried)
    state = np.zeros(tried.shape, dtype=np.int64)
    state[tried] = np.arange(len(row))
    return Patterns(
        arms=drawn.arms,
        tenants=drawn.tenants,
        action=drawn.action,
        propensity=np.where(tried, drawn.propensity, 1.0),
        state=state,
        states=States(drawn.sets[drawn.set_index[tried]], drawn.tenant[row], attempt, drawn.fold[row]),
        sums=Sums.of_rows(reward, np.ones(len(reward)) if sample_weight is None else sample_weight),
        folds=int(drawn.fold.max(initial=0)) + 1,
    )


def combine(columns: list[Ints]) -> Ints:
    """One dense code per distinct row of the columns."""
    code = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        width = int(column.max(initial=0)) + 1
        code = pd.factorize(code * width + column)[0].astype(np.int64)
    return code


def _validate(drawn: Trajectories) -> None:
    tried = drawn.tried
    outside = tried & ~((drawn.propensity > 0) & (drawn.propensity <= 1))
    if outside.any():
        row, t = np.argwhere(outside)[0]
        raise InvalidInput(
            f"decision {row}, attempt {t + 1}: propensity {drawn.propensity[row, t]} is outside (0, 1]; "
            "log the probability with which the arm was drawn"
        )
    unavailable = tried & ~drawn.sets[np.where(tried, drawn.set_index, 0), np.maximum(drawn.action, 0)]
    if unavailable.any():
        row, t = np.argwhere(unavailable)[0]
        raise InvalidInput(f"decision {row}, attempt {t + 1}: the drawn arm is not in its action set")
