"""Any number of models and tenants becomes the three and four that the simulated fleet has: pooled or padded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cogorch_dagster.fleet.parameters import MODELS, TENANTS

OTHERS = "(others)"
MOST_NAME = 150


@dataclass(frozen=True)
class Group:
    """Names of the data that share one place in the fleet; none where the data have too few."""

    name: str
    members: tuple[str, ...]
    rest: bool = False


@dataclass(frozen=True)
class ModelSummary:
    """A model in the data; `mean_ms` of its successes is None where no duration was recorded."""

    name: str
    rows: float
    mean_ms: float | None


def group_tenants(sizes: Sequence[tuple[str, float]], defaults: Sequence[str]) -> tuple[Group, ...]:
    """The largest tenants and the rest, by number of requests, then name; what is missing has no members.

    Args:
        sizes: name and number of requests.
        defaults: names for the places that no tenant takes.
    """
    ordered = sorted(sizes, key=lambda each: (-each[1], each[0]))
    own = ordered if len(ordered) <= TENANTS else ordered[: TENANTS - 1]
    groups = [Group(_short(name), (name,)) for name, _ in own]
    if len(ordered) > TENANTS:
        groups.append(Group(_free(OTHERS, groups), (), rest=True))
    while len(groups) < TENANTS:
        groups.append(Group(_free(f"{defaults[len(groups)]} (absent)", groups), ()))
    return tuple(groups)


def group_models(models: Sequence[ModelSummary], defaults: Sequence[str]) -> tuple[Group, ...]:
    """Three classes from fast to slow by mean duration; fewer models keep the defaults in the last places.

    Classes minimise the rows-weighted sum of squares of ln(mean duration) within them (Fisher, JASA 53, 1958). Models
    without any duration belong to no class.
    """
    known = [each for each in models if each.mean_ms is not None and each.mean_ms > 0 and each.rows > 0]
    known.sort(key=lambda each: (each.mean_ms or 0.0, each.name))
    groups = [_pooled(members) for members in _classes(known)]
    while len(groups) < MODELS:
        groups.append(Group(_free(f"{defaults[len(groups)]} (absent)", groups), ()))
    return tuple(groups)


def _classes(models: list[ModelSummary]) -> list[list[ModelSummary]]:
    if len(models) <= MODELS:
        return [[each] for each in models]
    weight = np.array([each.rows for each in models])
    value = np.log([each.mean_ms or 1.0 for each in models])
    sums = [np.concatenate([[0.0], np.cumsum(weight * value**power)]) for power in range(3)]

    def scatter(start: int, end: int) -> float:
        w, s, q = (each[end] - each[start] for each in sums)
        return float(q - s * s / w)

    n = len(models)
    cuts = min(
        ((i, j) for i in range(1, n - 1) for j in range(i + 1, n)),
        key=lambda cut: (scatter(0, cut[0]) + scatter(cut[0], cut[1]) + scatter(cut[1], n), cut),
    )
    return [models[: cuts[0]], models[cuts[0] : cuts[1]], models[cuts[1] :]]


def _pooled(members: list[ModelSummary]) -> Group:
    largest = max(members, key=lambda each: (each.rows, each.name))
    more = f" and {len(members) - 1} more" if len(members) > 1 else ""
    return Group(_short(largest.name) + more, tuple(each.name for each in members))


def _short(name: str) -> str:
    return name if len(name) <= MOST_NAME else name[: MOST_NAME - 1] + "…"


def _free(name: str, groups: Sequence[Group]) -> str:
    """The name, or one like it that no group has."""
    while any(each.name == name for each in groups):
        name += "'"
    return name
