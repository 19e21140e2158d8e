"""From rows of SQL to arrays: what was drawn in each decision or group of equal ones, and how these may be cut."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from cogorch_dagster.evaluation.patterns import NO_ATTEMPT, Patterns, Slicing, Sums, Trajectories, grouped


def patterns_of(groups: Sequence[tuple[Any, ...]], arms: tuple[str, ...], logged: Collection[str]) -> Patterns:
    """The patterns of groups of equal decisions, each a row of `decision_query.PATTERNS`."""
    sums = np.array([group[6:13] for group in groups], dtype=np.float64).reshape(-1, 7)
    return grouped(trajectories(groups, arms, logged), Sums(*sums.T))


def trajectories(groups: Sequence[tuple[Any, ...]], arms: tuple[str, ...], logged: Collection[str]) -> Trajectories:
    """What was drawn, from rows of (anything, fold, tenant, actions, propensities, action sets, ...)."""
    arm_number = {arm: number for number, arm in enumerate(arms)}
    tenants = tuple(sorted({group[2] for group in groups})) or ("",)
    tenant_number = {tenant: number for number, tenant in enumerate(tenants)}
    longest = max((len(group[3]) for group in groups), default=1)
    shape = (len(groups), longest)
    action = np.full(shape, NO_ATTEMPT, dtype=np.int64)
    propensity, set_index = np.ones(shape), np.zeros(shape, dtype=np.int64)
    set_number: dict[tuple[str, ...], int] = {}
    for row, group in enumerate(groups):
        for t, (arm, probability, available) in enumerate(zip(*group[3:6], strict=True)):
            action[row, t] = arm_number[arm]
            propensity[row, t] = probability
            set_index[row, t] = set_number.setdefault(tuple(available), len(set_number))
    sets = np.zeros((max(len(set_number), 1), len(arms)), dtype=np.bool_)
    for available, number in set_number.items():
        sets[number, [arm_number[arm] for arm in available]] = True
    # An arm that no set has named is new: a policy that gives it weight would find it there, and the log says nothing
    # about it. Taken as unavailable it would drop out of the draw, and another policy be evaluated than was asked for.
    sets[:, [arm_number[arm] for arm in arms if arm not in logged]] = True
    return Trajectories(
        arms=arms,
        tenants=tenants,
        sets=sets,
        action=action,
        propensity=propensity,
        set_index=set_index,
        tenant=np.array([tenant_number[group[2]] for group in groups], dtype=np.int64),
        fold=np.array([group[1] for group in groups], dtype=np.int64),
    )


def slicings_of(tenants: Sequence[str], labels: Sequence[str], context_key: str | None) -> tuple[Slicing, ...]:
    """The ways to cut patterns: by tenant and, where a key of the context was asked for, by its label."""
    by_tenant = _slicing("tenant", tenants)
    return (by_tenant,) if context_key is None else (by_tenant, _slicing(f"context.{context_key}", labels))


def _slicing(name: str, labels: Sequence[str]) -> Slicing:
    """Patterns cut by their labels; decisions without any are called (none)."""
    known = sorted(set(labels))
    number = {label: code for code, label in enumerate(known)}
    shown = tuple(label or "(none)" for label in known)
    return Slicing(name, shown, np.array([number[label] for label in labels], dtype=np.int64))
