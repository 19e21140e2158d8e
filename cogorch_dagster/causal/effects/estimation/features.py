"""Covariates expanded for penalised regression: linear terms, natural cubic splines, products of pairs.

The expansion looks at the covariates only, never at outcome or treatment, so it may use all rows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_KNOTS = ((0, 5, 0.05), (500, 7, 0.025), (1000, 9, 0.02), (2000, 11, 0.0125))
"""From so many rows on, so many knots, evenly between this quantile and its counterpart; the first two are Harrell's
(2015, table 2.3). More rows show finer curves, and what no curve can follow would be left as confounding."""
_WAVES = 201
_ROUGHNESS = 0.25
"""Half the power of a penalty on slopes: a curve taken out of two columns should rather be rough than smooth."""
_STRAIGHTEST = 1e-4
_SPIKE = 0.1
"""A value that this share of rows takes is a state of its own (no earnings, no queue) and gets an indicator."""
_REACH = 3.0
"""Products are of scores clipped at this many standard deviations: no product lets one row decide."""
_MOST_PAIRS = 400


@dataclass(frozen=True, eq=False)
class Features:
    """Columns with mean 0 and standard deviation 1, of splines at most 1: the wavier, the less.

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
    splines = _splines(varied)
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
    count, outer = next((k, low) for rows, k, low in reversed(_KNOTS) if len(columns) >= rows)
    found = []
    for column in columns.T:
        knots = np.unique(np.quantile(column, np.linspace(outer, 1.0 - outer, count)))
        if len(knots) < 3:
            continue
        t = (column - knots[0]) / (knots[-1] - knots[0])
        k = (knots - knots[0]) / (knots[-1] - knots[0])
        cubes = np.maximum(t[:, None] - k, 0.0) ** 3
        last, before = cubes[:, -1:], cubes[:, -2:-1]
        gap = k[-1] - k[-2]
        terms = cubes[:, :-2] - before * (k[-1] - k[:-2]) / gap + last * (k[-2] - k[:-2]) / gap
        curves = _orthogonal(column, terms)
        if curves.shape[1]:
            found.append(_by_waves(column, curves))
    return np.concatenate(found, axis=1) if found else columns[:, :0]


def _orthogonal(column: Floats, terms: Floats) -> Floats:
    """Orthonormal terms without what the line explains."""
    scaled = (column - column.mean()) / column.std()
    triangle = np.linalg.qr(np.column_stack([np.ones(len(column)), scaled, terms]), mode="reduced")
    diagonal = np.abs(np.diag(triangle[1]))[2:]
    # Against the terms themselves: those of two values are a line, and what is left of them is rounding.
    return np.asarray(triangle[0][:, 2:][:, diagonal > 1e-8 * np.linalg.norm(terms, axis=0).max()])


def _by_waves(column: Floats, terms: Floats) -> Floats:
    """The terms turned into waves of rising frequency (Demmler and Reinsch 1975), the faster the smaller.

    One ridge penalty on all of them is then a penalty on roughness, as that of a smoothing spline.
    """
    order = np.argsort(column, kind="stable")
    grid = np.quantile(column, np.linspace(0.0, 1.0, _WAVES))
    curves = np.column_stack([np.interp(grid, column[order], term[order]) for term in terms.T])
    slopes = np.gradient(curves, axis=0)
    roughness, turned = np.linalg.eigh(slopes.T @ slopes)
    roughness = np.maximum(roughness, _STRAIGHTEST * roughness[-1])
    waves = terms @ turned
    return np.asarray(waves / waves.std(axis=0) * (roughness[0] / roughness) ** _ROUGHNESS)
