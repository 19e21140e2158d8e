"""One row of a data set, by the moment that its bucket holds or by its number."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.errors import InvalidInput

_DAY = 86_400


def place_of(dataset: CausalDataset, at: datetime | int | None) -> int:
    """The place of a row, from 0 on.

    Args:
        at: a moment (UTC), or the number of a row from 1 on.

    Raises:
        InvalidInput: no row is there, or the data set has no times.
    """
    if isinstance(at, int):
        if not 1 <= at <= dataset.rows:
            raise InvalidInput(f"there is no row {at}; rows are numbered 1 to {dataset.rows}")
        return at - 1
    if at is None or dataset.since is None or dataset.until is None:
        raise InvalidInput(
            f"the rows of {dataset.scope}, a file, are found by their numbers: give 1 to {dataset.rows}, counted in "
            "the order of the column given as its time, where there is one"
        )
    inside = np.flatnonzero((dataset.times <= at.timestamp()) & (at.timestamp() < dataset.times + width_s(dataset)))
    if not len(inside):
        raise InvalidInput(
            f"no row holds {at.isoformat()}; rows lie between {dataset.since.isoformat()} and "
            f"{dataset.until.isoformat()}, and buckets with few observations are none"
        )
    return int(inside[0])


def values_of(dataset: CausalDataset, place: int, names: Sequence[str]) -> dict[str, float | str]:
    """The values of a row that are known, levels as text."""
    found: dict[str, float | str] = {}
    for name in names:
        value = float(dataset.column(name)[place])
        levels = dataset.variables[dataset.index(name)].levels
        if not np.isnan(value):
            found[name] = levels[int(value)] if levels else value
    return found


def width_s(dataset: CausalDataset) -> int:
    """Seconds of a bucket: the least distance of two rows that differ."""
    apart = np.diff(dataset.times)
    return int(apart[apart > 0].min(initial=_DAY))


def span_of(dataset: CausalDataset) -> timedelta:
    """Width of a bucket."""
    return timedelta(seconds=width_s(dataset))
