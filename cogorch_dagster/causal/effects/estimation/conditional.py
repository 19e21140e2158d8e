"""Effects per slice of the rows (a tenant, an hour of the day, a range of load), with intervals that hold together."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cogorch_dagster.causal.effects.estimation.estimate import (
    LEVEL,
    Estimate,
    Floats,
    Integers,
    checked,
    from_influence,
    t_quantile,
)
from cogorch_dagster.causal.effects.estimation.ols import ols
from cogorch_dagster.errors import InvalidInput

_FEWEST = 20


@dataclass(frozen=True)
class Slice:
    """One slice.

    Attributes:
        label: its code. share: of the rows.
        estimate: its `interval` and `p` are by themselves; None with fewer than 20 rows or no variation.
        simultaneous: 95 % for all slices together (Šidák 1967); None without an estimate.
        detail: why there is no estimate, "" where there is one.
    """

    label: int
    share: float
    estimate: Estimate | None
    simultaneous: tuple[float, float] | None
    detail: str = ""


@dataclass(frozen=True)
class Conditional:
    """Effects of all slices, and the p-value that they are the same (Cochran 1954); 1 with fewer than two."""

    slices: tuple[Slice, ...]
    homogeneity: float


def by_slice(
    outcome: npt.ArrayLike,
    treatment: npt.ArrayLike,
    slices: npt.ArrayLike,
    controls: npt.ArrayLike | None = None,
    *,
    groups: Integers | None = None,
) -> Conditional:
    """Least squares in each slice by itself.

    Args:
        outcome, treatment: (n,). controls: (n, k). groups: (n,) as `ols` takes them.
        slices: (n,) whole numbers, the slice of each row.

    Raises:
        InvalidInput: shapes, missing values.
    """
    y, t, z = checked(outcome, treatment, controls)
    labels = _labels(slices, len(y))
    found: dict[int, Estimate | str] = {}
    for label in np.unique(labels):
        rows = labels == label
        try:
            found[int(label)] = (
                ols(y[rows], t[rows], z[rows], groups=None if groups is None else groups[rows]).estimate
                if rows.sum() >= _FEWEST
                else f"{int(rows.sum())} rows are fewer than {_FEWEST}"
            )
        except InvalidInput as error:
            found[int(label)] = str(error)
    return _together(labels, found)


def from_scores(scores: npt.ArrayLike, slices: npt.ArrayLike, *, groups: Integers | None = None) -> Conditional:
    """Means of the scores of a doubly robust average effect (Semenova and Chernozhukov 2021).

    Args:
        scores: (n,) of `doubly_robust` for a binary treatment. slices: (n,).

    Raises:
        InvalidInput: shapes that do not fit.
    """
    values = np.asarray(scores, dtype=np.float64)
    labels = _labels(slices, len(values))
    found: dict[int, Estimate | str] = {}
    for label in np.unique(labels):
        rows = labels == label
        count = int(rows.sum())
        if count < _FEWEST:
            found[int(label)] = f"{count} rows are fewer than {_FEWEST}"
            continue
        mean = float(values[rows].mean())
        influence: Floats = (values[rows] - mean) / count
        found[int(label)] = from_influence(
            mean,
            influence,
            parameters=1,
            method="doubly_robust",
            target="ATE",
            groups=None if groups is None else groups[rows],
        )
    return _together(labels, found)


def _labels(slices: npt.ArrayLike, rows: int) -> Integers:
    given = np.asarray(slices)
    labels = given.astype(np.int64)
    if given.shape != (rows,) or (labels != given).any():
        raise InvalidInput(f"slices {given.shape} need one whole number for each of {rows} rows")
    return labels


def _together(labels: Integers, found: dict[int, Estimate | str]) -> Conditional:
    known = [each for each in found.values() if isinstance(each, Estimate)]
    level = LEVEL ** (1.0 / max(len(known), 1))
    slices = []
    for label, each in found.items():
        share = float(np.mean(labels == label))
        if isinstance(each, Estimate):
            half = t_quantile(each.degrees, level) * each.se
            slices.append(Slice(label, share, each, (each.value - half, each.value + half)))
        else:
            slices.append(Slice(label, share, None, None, each))
    return Conditional(tuple(slices), _homogeneity(known))


def _homogeneity(known: list[Estimate]) -> float:
    from scipy.special import chdtrc

    if len(known) < 2:
        return 1.0
    values = np.array([each.value for each in known])
    weights = np.array([each.se for each in known]) ** -2.0
    centre = float(values @ weights / weights.sum())
    return float(chdtrc(len(known) - 1, float(weights @ (values - centre) ** 2)))
