"""Variables that follow from others: duplicates, and sets that a linear equation ties, such as shares that add up to 1.

A correlation matrix with such columns has no inverse. One variable of each set goes, with a reason that names the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cogorch_dagster.causal.data.dataset import Floats, SetAside
from cogorch_dagster.causal.data.indicators import Embedded
from cogorch_dagster.causal.data.missing import em_moments

TOLERANCE = 1e-8
"""A column follows from others when they explain all but this share of its variance."""

# Moments by EM tell a dependent set only roughly; the rows that know all of it decide.
_SUSPECT = 1e-2
_SPARE_ROWS = 10
_SLOPE, _ROUGH_SLOPE = 1e-3, 5e-2


@dataclass(frozen=True, eq=False)
class _Columns:
    """What is searched: columns, whose they are, and their correlation, `rough` when it is by EM."""

    names: Sequence[str]
    values: Floats
    owned: list[list[int]]
    correlation: Floats
    rough: bool

    def of(self, places: Sequence[int]) -> list[int]:
        return [column for place in places for column in self.owned[place]]


@dataclass(frozen=True, eq=False)
class _Equation:
    """How a variable follows from its partners; slopes and constant are of its first column."""

    partners: list[int]
    slopes: Floats
    constant: float
    scale: float


def dependent(names: Sequence[str], found: Embedded, prefer: Sequence[str] = ()) -> list[SetAside]:
    """The variables to set aside so that no column depends linearly on those of the other variables.

    Of a dependent set the last goes, in the order of the variables; of two discrete variables the coarser one.

    Args:
        names: of the variables that own the columns; none is constant.
        prefer: variables that are taken to come first.
    """
    held = _columns(names, found)
    kept: list[int] = []
    aside: dict[int, SetAside] = {}
    rest = held.correlation.copy()
    for place in sorted(range(len(names)), key=lambda each: (names[each] not in prefer, each)):
        if _least_own(rest, held.owned[place]) <= (_SUSPECT if held.rough else TOLERANCE):
            gone = _goes(held, place, kept)
            if gone is not None:
                follower, equation = gone
                aside[follower] = SetAside(names[follower], _said(held, follower, equation))
                if follower == place:
                    continue
                kept.remove(follower)
                rest = _swept(held.correlation.copy(), held.of(kept))
        kept.append(place)
        rest = _swept(rest, held.owned[place])
    return [aside[place] for place in sorted(aside)]


def _columns(names: Sequence[str], found: Embedded) -> _Columns:
    """With the correlation of the complete rows, if they are enough and every column varies in them; else by EM."""
    values = found.values
    complete = values[~np.isnan(values).any(axis=1)]
    enough = len(complete) >= values.shape[1] + _SPARE_ROWS and bool((np.ptp(complete, axis=0) > 0).all())
    covariance = em_moments(complete if enough else values).covariance
    scale = np.sqrt(np.diag(covariance))
    owned = [np.flatnonzero(found.owner == place).tolist() for place in range(len(names))]
    return _Columns(names, values, owned, covariance / np.outer(scale, scale), not enough)


def _least_own(rest: Floats, columns: list[int]) -> float:
    """The least share of variance of a combination of these columns that those swept out do not explain."""
    return float(np.linalg.eigvalsh(rest[np.ix_(columns, columns)])[0])


def _swept(rest: Floats, columns: Sequence[int]) -> Floats:
    """What is left of all columns when these have explained what they can."""
    for column in columns:
        if rest[column, column] > TOLERANCE / 1e3:
            rest = rest - np.outer(rest[:, column], rest[column]) / rest[column, column]
    return rest


def _goes(held: _Columns, place: int, kept: list[int]) -> tuple[int, _Equation] | None:
    """The variable itself if it follows from those kept, else the last of them that does with it; None if neither."""
    for follower, others in [(place, kept), *((k, [*(j for j in kept if j != k), place]) for k in reversed(kept))]:
        equation = _equation(held, follower, others)
        if equation is not None:
            return follower, equation
    return None


def _equation(held: _Columns, place: int, others: list[int]) -> _Equation | None:
    """How every column of a variable follows from those of others; None if one does not."""
    mine, theirs = held.owned[place], held.of(others)
    if not theirs:
        return None
    matrix = held.correlation[np.ix_(theirs, theirs)]
    slopes = np.linalg.pinv(matrix, rcond=1e-9, hermitian=True) @ held.correlation[np.ix_(theirs, mine)]
    size = dict(zip(theirs, np.abs(slopes).max(axis=1), strict=True))
    least = _ROUGH_SLOPE if held.rough else _SLOPE
    partners = [k for k in others if max(size[column] for column in held.owned[k]) > least]
    used = held.values[:, [*mine, *held.of(partners)]]
    used = used[~np.isnan(used).any(axis=1)]
    if not partners or len(used) < used.shape[1] + 1 + _SPARE_ROWS:
        return None
    # In standard units: a constant beside a column far from 0, such as bytes, would pass for the same column.
    mean, scale = used.mean(axis=0), used.std(axis=0)
    if (scale == 0).any():
        return None
    unit = (used - mean) / scale
    fitted, *_ = np.linalg.lstsq(unit[:, len(mine) :], unit[:, : len(mine)], rcond=None)
    left = ((unit[:, : len(mine)] - unit[:, len(mine) :] @ fitted) ** 2).mean(axis=0)
    if (left > TOLERANCE).any():
        return None
    slopes = np.asarray(fitted[:, 0] * scale[0] / scale[len(mine) :])
    return _Equation(partners, slopes, float(mean[0] - slopes @ mean[len(mine) :]), float(scale[0]))


def _said(held: _Columns, place: int, found: _Equation) -> str:
    """In words: equal, proportional, of a fixed sum, or dependent."""
    names = [held.names[k] for k in found.partners]
    if len(held.owned[place]) > 1 or len(found.slopes) > len(names):
        return f"is determined by {_listed(names)}"
    if len(names) == 1:
        same = abs(found.slopes[0] - 1) < _SLOPE and abs(found.constant) < _SLOPE * found.scale
        return f"equals {names[0]}" if same else f"is {found.slopes[0]:.4g} times {names[0]} plus {found.constant:.4g}"
    if (np.abs(found.slopes + 1) < _SLOPE).all():
        return f"adds up to {found.constant:.4g} with {_listed(names)}"
    return f"depends linearly on {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), *names[-1:]])
