"""Ridge regression from cross-products, and logistic ridge, with penalties by leave-one-out prediction error.

The columns are taken as standardised (`features.expand`); the constant is not penalised.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PENALTIES: tuple[float, ...] = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Per row and column: the ridge penalty is this times the rows."""
_LOGISTIC_PENALTIES: tuple[float, ...] = (1.0, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
_STEPS = 25
_CLOSE = 1e-6
_EDGE = 1e-6


@dataclass(frozen=True, eq=False)
class Linear:
    """constant + columns @ slopes; through the logistic function where `logistic`."""

    constant: float
    slopes: Floats
    logistic: bool = False

    def predict(self, columns: Floats) -> Floats:
        score = self.constant + columns[:, : len(self.slopes)] @ self.slopes
        return np.asarray(_logistic(score) if self.logistic else score)


def tuned_ridge(columns: Floats, y: Floats) -> tuple[float, float]:
    """The penalty with the least mean squared leave-one-out error (Allen 1974), and that error."""
    n = len(y)
    centred, target = columns - columns.mean(axis=0), y - y.mean()
    values, vectors = np.linalg.eigh(centred.T @ centred)
    values = np.maximum(values, 0.0)
    rotated = centred @ vectors
    projected, squares = rotated.T @ target, rotated**2
    best = (PENALTIES[-1], np.inf)
    for penalty in PENALTIES:
        shrink = 1.0 / (values + penalty * n)
        leverage = np.minimum(squares @ shrink + 1.0 / n, 1.0 - _EDGE)
        error = float(np.mean(((target - rotated @ (shrink * projected)) / (1.0 - leverage)) ** 2))
        if error < best[1]:
            best = (penalty, error)
    return best


def ridge(columns: Floats, y: Floats, penalty: float) -> Linear:
    """The fit at a penalty."""
    mean, centre = columns.mean(axis=0), float(y.mean())
    gram = columns.T @ columns - len(y) * np.outer(mean, mean)
    gram[np.diag_indices_from(gram)] += penalty * len(y)
    slopes = np.linalg.solve(gram, columns.T @ y - len(y) * mean * centre)
    return Linear(centre - float(mean @ slopes), slopes)


def tuned_logistic(columns: Floats, labels: Floats) -> tuple[float, float]:
    """The penalty with the least approximate leave-one-out deviance (Rad and Maleki 2020), and that per row."""
    best = (_LOGISTIC_PENALTIES[0], np.inf)
    start: Linear | None = None
    for penalty in _LOGISTIC_PENALTIES:
        start = logistic(columns, labels, penalty, start)
        deviance = _left_out_deviance(columns, labels, penalty, start)
        if deviance < best[1]:
            best = (penalty, deviance)
        elif deviance > 1.05 * best[1]:
            break
    return best


def logistic(columns: Floats, labels: Floats, penalty: float, start: Linear | None = None) -> Linear:
    """Penalised maximum likelihood by Newton's method; `labels` are 0 and 1."""
    n, k = columns.shape
    share = float(np.clip(labels.mean(), _EDGE, 1.0 - _EDGE))
    held = np.concatenate([[np.log(share / (1.0 - share))], np.zeros(k)])
    if start is not None:
        held = np.concatenate([[start.constant], start.slopes])
    design = np.concatenate([np.ones((n, 1)), columns], axis=1)
    weight = np.concatenate([[0.0], np.full(k, penalty * n)])
    loss = _penalised(design, labels, held, weight)
    for _ in range(_STEPS):
        probability = _logistic(design @ held)
        gradient = design.T @ (labels - probability) - weight * held
        step = np.linalg.solve(_hessian(design, probability, weight), gradient)
        for _halving in range(_STEPS):
            proposed = _penalised(design, labels, held + step, weight)
            if proposed <= loss + _CLOSE:
                break
            step = step / 2.0
        held, gained, loss = held + step, loss - proposed, proposed
        if gained < _CLOSE * n:
            break
    return Linear(float(held[0]), held[1:], logistic=True)


def _logistic(score: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(score, -35.0, 35.0))))


def _hessian(design: Floats, probability: Floats, weight: Floats) -> Floats:
    curvature = np.maximum(probability * (1.0 - probability), _EDGE)
    scaled = design * np.sqrt(curvature)[:, None]
    hessian = scaled.T @ scaled
    hessian[np.diag_indices_from(hessian)] += weight
    return np.asarray(hessian)


def _penalised(design: Floats, labels: Floats, held: Floats, weight: Floats) -> float:
    score = np.clip(design @ held, -35.0, 35.0)
    return float(np.sum(np.logaddexp(0.0, score) - labels * score) + 0.5 * np.sum(weight * held**2))


def _left_out_deviance(columns: Floats, labels: Floats, penalty: float, fit: Linear) -> float:
    n, k = columns.shape
    design = np.concatenate([np.ones((n, 1)), columns], axis=1)
    weight = np.concatenate([[0.0], np.full(k, penalty * n)])
    score = np.clip(fit.constant + columns @ fit.slopes, -35.0, 35.0)
    probability = _logistic(score)
    curvature = np.maximum(probability * (1.0 - probability), _EDGE)
    inverse = np.linalg.inv(_hessian(design, probability, weight))
    leverage = curvature * np.einsum("ij,ij->i", design @ inverse, design)
    away = score + leverage / np.maximum(curvature * (1.0 - leverage), _EDGE) * (probability - labels)
    away = np.clip(away, -35.0, 35.0)
    return float(np.mean(np.logaddexp(0.0, away) - labels * away))
