"""Coefficients of the equations of a linear model from means and covariances, for many bootstrap draws at once.

An equation whose error is independent of its causes is a regression. Where bidirected edges tie it to an ancestor's
error, its district is fitted by residual iterative conditional fitting (Drton, Eichler and Richardson 2009), which
needs that no cause is also tied by a bidirected edge (Brito and Pearl 2002); with one, the equation is not identified.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.graphs.separation import ancestors

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

_MOST_SWEEPS = 200
_TOLERANCE = 1e-9
# Of a unit variance; keeps solvable what is collinear in a draw.
_RIDGE = 1e-12
# Of the largest deviation of a column among the draws; less is none.
_STILL = 1e-6


@dataclass(frozen=True)
class Equations:
    """Fitted equations of q columns in d draws.

    Attributes:
        coefficients: (d, q, q); `[:, i, j]` is how much j rises with i.
        variances: (d, q) of the errors.
        unidentified: (q,) whether the regression says nothing of the equation.
    """

    coefficients: Floats
    variances: Floats
    unidentified: Booleans


def fitted(covariances: Floats, directed: Booleans, bidirected: Booleans) -> Equations:
    """The equations of a graph.

    Args:
        covariances: (d, q, q).
        directed, bidirected: (q, q), acyclic and symmetric.
    """
    deviation = np.sqrt(np.maximum(np.diagonal(covariances, axis1=1, axis2=2), 0.0))
    # A rare event may be in no row of a draw; what is left of its variance is rounding, and its coefficients are 0.
    moves = deviation > _STILL * deviation.max(axis=0)
    scale = np.where(moves, deviation, 1.0)
    unit = covariances / (scale[:, :, None] * scale[:, None, :]) * (moves[:, :, None] & moves[:, None, :])
    coefficients = np.zeros_like(unit)
    for j in range(len(directed)):
        parents = np.flatnonzero(directed[:, j])
        if len(parents):
            coefficients[:, parents, j] = _solved(unit[:, parents[:, None], parents], unit[:, parents, j])
    above = ancestors(directed)
    tied = np.asarray((bidirected & above).any(axis=0))
    unidentified = np.zeros(len(directed), dtype=bool)
    for district in _districts(bidirected):
        own = district[tied[district]]
        if not len(own):
            continue
        if (directed & bidirected)[np.ix_(district, district)].any():
            unidentified[own] = True
        else:
            _fit_district(unit, coefficients, directed, bidirected, district)
    errors = np.eye(len(directed)) - coefficients
    variances = np.einsum("dij,dik,dkj->dj", errors, unit, errors, optimize=True)
    coefficients *= scale[:, None, :] / scale[:, :, None]
    return Equations(coefficients, np.maximum(variances, 0.0) * scale**2, unidentified)


def _solved(left: Floats, right: Floats) -> Floats:
    """(d, k) solutions of d symmetric systems."""
    system = left + _RIDGE * np.eye(left.shape[1])
    try:
        return np.asarray(np.linalg.solve(system, right[..., None])[..., 0])
    except np.linalg.LinAlgError:
        return np.asarray((np.linalg.pinv(system, hermitian=True) @ right[..., None])[..., 0])


def _districts(bidirected: Booleans) -> list[NDArray[np.int64]]:
    """Sets of columns joined by bidirected edges, those of one left out."""
    reach = ancestors(bidirected)
    seen = np.zeros(len(reach), dtype=bool)
    found = []
    for i in range(len(reach)):
        if not seen[i] and bidirected[i].any():
            found.append(np.flatnonzero(reach[i]))
            seen |= reach[i]
    return found


def _fit_district(
    unit: Floats, coefficients: Floats, directed: Booleans, bidirected: Booleans, district: NDArray[np.int64]
) -> None:
    """Changes the coefficients of a district in place, from those of plain regressions on."""
    q = unit.shape[1]
    selected = np.eye(q)[:, district]
    residual = selected - coefficients[:, :, district]
    omega = np.swapaxes(residual, 1, 2) @ unit @ residual
    joined = bidirected[np.ix_(district, district)]
    omega = np.where(joined | np.eye(len(district), dtype=bool), omega, 0.0)
    # Off-diagonals of plain residuals need not be positive definite together.
    omega = np.where(np.eye(len(district), dtype=bool), omega, omega * 0.1)
    for _ in range(_MOST_SWEEPS):
        before = coefficients[:, :, district].copy()
        for place, j in enumerate(district):
            _fit_node(unit, coefficients, omega, directed, joined, district, place, int(j))
        if np.abs(coefficients[:, :, district] - before).max() < _TOLERANCE:
            break


def _fit_node(
    unit: Floats,
    coefficients: Floats,
    omega: Floats,
    directed: Booleans,
    joined: Booleans,
    district: NDArray[np.int64],
    place: int,
    j: int,
) -> None:
    """Regress a column on its causes and on what the other errors of the district tell of its own."""
    others = np.flatnonzero(np.arange(len(district)) != place)
    spouses = np.flatnonzero(joined[place, others])
    parents = np.flatnonzero(directed[:, j])
    identity = np.eye(unit.shape[1])
    residual = identity[:, district[others]] - coefficients[:, :, district[others]]
    inverse = np.linalg.inv(omega[:, others[:, None], others])
    told = residual @ inverse[:, :, spouses]
    design = np.concatenate([np.broadcast_to(identity[:, parents], (*told.shape[:2], len(parents))), told], axis=2)
    across = np.swapaxes(design, 1, 2) @ unit
    found = _solved(across @ design, across[:, :, j])
    coefficients[:, parents, j] = found[:, : len(parents)]
    tie = found[:, len(parents) :]
    fit = np.einsum("dk,dk->d", found, across[:, :, j])
    conditional = np.maximum(unit[:, j, j] - fit, 1e-12)
    omega[:, place, others[spouses]] = omega[:, others[spouses], place] = tie
    omega[:, place, place] = conditional + np.einsum("dk,dkl,dl->d", tie, inverse[:, spouses[:, None], spouses], tie)
