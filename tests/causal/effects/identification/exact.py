"""Random graphs, and models on them whose observed and interventional distributions are computed without sampling."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.effects.identification.admg import Admg, bits
from cogorch_dagster.causal.effects.identification.formula import Conditional, Formula, Product, Ratio, Sum
from cogorch_dagster.causal.effects.query import Estimand

Floats = NDArray[np.float64]
NAMES = "abcdefghijklmnopqrstuvwxyz"


def random_admg(rng: np.random.Generator, count: int, arrows: float, hidden: float) -> Admg:
    """Arrows and hidden common causes with these probabilities, bows among them; in a random order of causes."""
    order = rng.permutation(count)
    directed = np.zeros((count, count), dtype=bool)
    bidirected = np.zeros((count, count), dtype=bool)
    for first in range(count):
        for second in range(first):
            a, b = order[second], order[first]
            directed[a, b] = rng.random() < arrows
            bidirected[a, b] = bidirected[b, a] = rng.random() < hidden
    return Admg.of(tuple(NAMES[:count]), directed, bidirected)


def pairs(graph: Admg) -> list[tuple[int, int]]:
    """With a hidden common cause."""
    return [(a, b) for a in range(len(graph.names)) for b in bits(graph.spouses[a]) if a < b]


def subsets(members: int) -> Iterator[int]:
    pool = list(bits(members))
    for size in range(len(pool) + 1):
        for each in combinations(pool, size):
            yield sum(1 << v for v in each)


@dataclass(frozen=True)
class LinearModel:
    """x = Bᵀ x + e, with independent hidden causes of pairs in e; `coefficients[i, j]` is of i -> j."""

    coefficients: Floats
    noise: Floats

    @classmethod
    def of(cls, graph: Admg, rng: np.random.Generator) -> "LinearModel":
        count = len(graph.names)
        coefficients = np.zeros((count, count))
        for child in range(count):
            for parent in bits(graph.parents[child]):
                coefficients[parent, child] = rng.uniform(0.4, 1.2) * rng.choice([-1, 1])
        noise = np.diag(rng.uniform(0.5, 1.5, count))
        for a, b in pairs(graph):
            load = np.zeros(count)
            load[[a, b]] = rng.uniform(0.5, 1.2, 2) * rng.choice([-1, 1], 2)
            noise += np.outer(load, load)
        return cls(coefficients, noise)

    @property
    def paths(self) -> Floats:
        """(p, p); the sum over directed paths from i to j of the product of coefficients."""
        return np.linalg.inv(np.eye(len(self.coefficients)) - self.coefficients)

    @property
    def covariance(self) -> Floats:
        return self.paths.T @ self.noise @ self.paths

    def total(self, t: int, y: int) -> float:
        return float(self.paths[t, y])

    def past(self, t: int, y: int, mediators: list[int]) -> float:
        """The effect over paths without a mediator."""
        cut = self.coefficients.copy()
        cut[:, mediators] = 0
        return float(np.linalg.inv(np.eye(len(cut)) - cut)[t, y])


def slope(covariance: Floats, y: int, regressors: list[int]) -> Floats:
    return np.linalg.solve(covariance[np.ix_(regressors, regressors)], covariance[regressors, y])


def linear_value(estimand: Estimand, names: tuple[str, ...], covariance: Floats) -> float:
    """What the estimand gives in a linear model with this covariance."""
    place = {name: number for number, name in enumerate(names)}
    t, y = place[estimand.treatment], place[estimand.outcome]
    z, m, i = (
        [place[each] for each in which] for which in (estimand.adjustment, estimand.mediators, estimand.instruments)
    )
    match estimand.kind:
        case "zero":
            return 0.0
        case "backdoor":
            return float(slope(covariance, y, [t, *m, *z])[0])
        case "frontdoor":
            first = np.array([slope(covariance, each, [t, *z])[0] for each in m])
            return float(first @ slope(covariance, y, [*m, t, *z])[: len(m)])
        case "mediation":
            onto = slope(covariance, y, [t, *m, *z])
            first = np.array([slope(covariance, each, [t, *z])[0] for each in m])
            return float(onto[0] if estimand.effect == "direct" else first @ onto[1 : 1 + len(m)])
        case "instrument":
            used = [*i, *z]
            stage = slope(covariance, t, used)
            fitted = stage @ covariance[np.ix_(used, used)] @ stage
            cross = np.array([stage @ covariance[used, each] for each in z])
            gram = np.block([[np.array([[fitted]]), cross[None, :]], [cross[:, None], covariance[np.ix_(z, z)]]])
            right = np.concatenate([[stage @ covariance[used, y]], covariance[z, y]])
            return float(np.linalg.solve(gram, right)[0])
    raise AssertionError(estimand.kind)


@dataclass(frozen=True)
class BinaryModel:
    """Binary variables given their parents and hidden causes; each of `factors` has an axis for all, of size 1 or 2."""

    graph: Admg
    factors: tuple[Floats, ...]
    hidden: tuple[Floats, ...]

    @classmethod
    def of(cls, graph: Admg, rng: np.random.Generator) -> "BinaryModel":
        count, causes = len(graph.names), pairs(graph)
        axes = count + len(causes)
        factors = []
        for v in range(count):
            shape = [1] * axes
            for each in [v, *bits(graph.parents[v]), *(count + k for k, pair in enumerate(causes) if v in pair)]:
                shape[each] = 2
            draw = rng.uniform(0.05, 0.95, shape)
            factors.append(draw / draw.sum(axis=v, keepdims=True))
        hidden = []
        for k in range(len(causes)):
            shape = [1] * axes
            shape[count + k] = 2
            share = rng.uniform(0.25, 0.75)
            hidden.append(np.array([share, 1 - share]).reshape(shape))
        return cls(graph, tuple(factors), tuple(hidden))

    def joint(self, held: int = 0) -> Floats:
        """P(v | do(held)) as an array with an axis for each variable, for every value of what is held."""
        count = len(self.factors)
        found = np.ones([2] * count + [1] * len(self.hidden))
        for each in self.hidden:
            found = found * each
        for v, each in enumerate(self.factors):
            if not held >> v & 1:
                found = found * each
        return found.sum(axis=tuple(range(count, found.ndim)))

    def intervened(self, held: int, outcome: int) -> Floats:
        """P(outcome | do(held)), with the other axes summed away to size 1."""
        rest = tuple(v for v in range(len(self.factors)) if not (held | outcome) >> v & 1)
        return self.joint(held).sum(axis=rest, keepdims=True)


def evaluated(formula: Formula, joint: Floats) -> Floats:
    """The formula of a distribution; axes of variables that it does not have are of size 1."""
    match formula:
        case Conditional(of, given):
            rest = tuple(v for v in range(joint.ndim) if not (given | 1 << of) >> v & 1)
            both = joint.sum(axis=rest, keepdims=True)
            return both / both.sum(axis=of, keepdims=True)
        case Product(parts):
            found = np.ones([1] * joint.ndim)
            for each in parts:
                found = found * evaluated(each, joint)
            return found
        case Sum(over, body):
            inside = evaluated(body, joint)
            assert all(inside.shape[v] == 2 for v in bits(over))
            return inside.sum(axis=tuple(bits(over)), keepdims=True)
        case Ratio(top, bottom):
            return evaluated(top, joint) / evaluated(bottom, joint)
    raise AssertionError(formula)
