"""Covariates expanded for penalised regression: linear terms, natural cubic splines, products of pairs.

The expansion looks at the covariates only, never at outcome or treatment, so it may use all rows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_KNOTS = (0.05, 0.275, 0.5, 0.725, 0.95)
_MORE_KNOTS = (0.025, 0.1833, 0.3417, 0.5, 0.6583, 0.8167, 0.975)
"""Quantiles of five knots, and of seven where there are rows for them (Harrell 2015, table 2.3)."""
_ROWS_FOR_MORE = 500
_SPIKE = 0.1
"""A value that this share of rows takes is a state of its own (no earnings, no queue) and gets an indicator."""
_REACH = 3.0
"""Products are of scores clipped at this many standard deviations: no product lets one row decide."""
_MOST_PAIRS = 400


@dataclass(frozen=True, eq=False)
class Features:
    """Columns with mean 0 and standard deviation 1.

    Attributes:
        columns: (n, k): linear terms, then splines, then products.
        linear: how many are linear terms (indicators of spikes among them).
        smooth: how many are linear terms or splines.
        trees: (n, p) the covariates as they are, for trees.
    """

    columns: Floats
    linear: int
    smooth: int
    trees: Floats


def expand(covariates: Floats) -> Features:
    """The expansion of (n, p) covariates; constant ones vanish, beyond 400 pairs no products are formed."""
    varied = covariates[:, np.ptp(covariates, axis=0) > 0] if covariates.size else covariates[:, :0]
    linear = _standard(np.column_stack([varied, _spikes(varied)]) if varied.shape[1] else varied)
    splines = _standard(_splines(varied))
    p = linear.shape[1]
    first, second = np.triu_indices(p, 1)
    clipped = np.clip(linear, -_REACH, _REACH)
    pairs = _standard(clipped[:, first] * clipped[:, second] if len(first) <= _MOST_PAIRS else linear[:, :0])
    return Features(np.concatenate([linear, splines, pairs], axis=1), p, p + splines.shape[1], covariates)


def _standard(columns: Floats) -> Floats:
    if not columns.shape[1]:
        return columns
    centred = columns - columns.mean(axis=0)
    scale = np.sqrt(np.einsum("ij,ij->j", centred, centred) / max(len(columns), 1))
    used = scale > 1e-9
    return np.asarray(centred[:, used] / scale[used])


def _spikes(columns: Floats) -> Floats:
    found = []
    for column in columns.T:
        values, counts = np.unique(column, return_counts=True)
        most = int(np.argmax(counts))
        # Few values make no spike but levels, which the linear term and the spline hold.
        if len(values) > 10 and counts[most] >= _SPIKE * len(column):
            found.append((column == values[most]).astype(np.float64))
    return np.column_stack(found) if found else columns[:, :0]


def _splines(columns: Floats) -> Floats:
    """Nonlinear terms of restricted cubic splines, linear beyond the outer knots."""
    found = []
    for column in columns.T:
        knots = np.unique(np.quantile(column, _MORE_KNOTS if len(column) >= _ROWS_FOR_MORE else _KNOTS))
        if len(knots) < 3:
            continue
        t = (column - knots[0]) / (knots[-1] - knots[0])
        k = (knots - knots[0]) / (knots[-1] - knots[0])
        cubes = np.maximum(t[:, None] - k, 0.0) ** 3
        last, before = cubes[:, -1:], cubes[:, -2:-1]
        gap = k[-1] - k[-2]
        terms = cubes[:, :-2] - before * (k[-1] - k[:-2]) / gap + last * (k[-2] - k[:-2]) / gap
        found.append(_orthogonal(column, terms))
    return np.concatenate(found, axis=1) if found else columns[:, :0]


def _orthogonal(column: Floats, terms: Floats) -> Floats:
    """Each term without what the line and the terms before explain, so that a penalty bears on all curves alike."""
    scaled = (column - column.mean()) / column.std()
    triangle = np.linalg.qr(np.column_stack([np.ones(len(column)), scaled, terms]), mode="reduced")
    diagonal = np.abs(np.diag(triangle[1]))[2:]
    return np.asarray(triangle[0][:, 2:][:, diagonal > 1e-8 * diagonal.max(initial=1e-300)])
