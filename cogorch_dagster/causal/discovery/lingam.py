"""Directions that correlations cannot tell, from residuals that are not Gaussian.

DirectLiNGAM (Shimizu et al. 2011) within what is undirected in an equivalence class: the variable that looks most like
a cause of the others, by the likelihood ratio of both directions (Hyvärinen and Smith 2013), directs its edges, its
part is taken out of the others, and so on. An edge is directed only when the residuals are not Gaussian, the ratio is
far from 0 by its jackknife error, what a line leaves of the effect does not depend on the cause, and what a curve
leaves of the cause does depend on the effect: else the relation may be a curved one in the other direction.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from cogorch_dagster.causal.data.dataset import Bools, Floats, Integers
from cogorch_dagster.causal.graphs.equivalence import consistent_extension, marks_of, meek
from cogorch_dagster.causal.graphs.graph import Booleans, Graph, Mark, Marks, Pair
from cogorch_dagster.causal.graphs.knowledge import Knowledge
from cogorch_dagster.errors import InvalidInput

_PARTS = 25
# Hyvärinen 1998: the entropy of a Gaussian less two squared deviations from it.
_GAUSSIAN_ENTROPY = 0.5 * (1.0 + np.log(2.0 * np.pi))
_K1, _GAMMA, _K2 = 79.047, 0.37457, 7.4129
_LINEAR = 0.02
_DEGREE = 4
_FEWEST_ROWS = 50


@dataclass(frozen=True)
class LingamResult:
    """What became directed.

    Attributes:
        graph: the class with the directions found and what follows from them.
        directed: (cause, effect) of the edges that the data directed, not those that followed.
        gaussian: variables with an undirected edge whose residuals pass for Gaussian.
    """

    graph: Graph
    directed: tuple[Pair, ...]
    gaussian: tuple[str, ...]


def lingam(
    values: Floats,
    graph: Graph,
    *,
    knowledge: Knowledge | None = None,
    owner: Integers | None = None,
    continuous: Bools | None = None,
    worth: float = 1.0,
    alpha: float = 0.01,
) -> LingamResult:
    """Direct what is undirected in a CPDAG or MPDAG, as far as the data can tell.

    Args:
        values: (rows, q) as measured, not rank-normal scores, which are Gaussian whatever the residuals are; rows with
            NaN are left out.
        owner: (q,) the variable of each column; by default one column each.
        continuous: (p,) variables whose edges may be directed, of one column each; by default all that have one.
        worth: independent rows that a row is worth, above 0 to 1.
        alpha: level of the tests of normality and of the direction.

    Raises:
        InvalidInput: shapes that do not fit, another kind of graph, or an argument out of its range.
    """
    p = len(graph.names)
    if graph.kind not in ("dag", "cpdag"):
        raise InvalidInput(f"DirectLiNGAM assumes no hidden common causes and takes no {graph.kind}; give a cpdag")
    owner = np.arange(p) if owner is None else owner
    if values.ndim != 2 or values.shape[1] != len(owner):
        raise InvalidInput(f"values are {values.shape}, they must be (rows, {len(owner)})")
    if not (0 < worth <= 1 and 0 < alpha < 1):
        raise InvalidInput(f"worth {worth:g} must be above 0 to 1 and alpha {alpha:g} between 0 and 1")
    known = knowledge or Knowledge()
    required, forbidden = known.required_matrix(graph.names), known.forbidden_matrix(graph.names)
    values = values[~np.isnan(values).any(axis=1)]
    usable = np.bincount(owner, minlength=p) == 1
    if continuous is not None:
        usable &= continuous
    if len(values) * worth < _FEWEST_ROWS:
        return LingamResult(graph, (), ())
    search = _Search(values - values.mean(axis=0), owner, usable, required, forbidden, worth, alpha)
    marks = graph.marks.copy()
    gaussian: set[int] = set()
    found: list[tuple[int, int]] = []
    for members in _components(marks, usable):
        marks = search.direct(marks, members, found, gaussian)
    names = graph.names
    directed = tuple((names[i], names[j]) for i, j in found)
    return LingamResult(Graph(names, marks, graph.kind), directed, tuple(names[i] for i in sorted(gaussian)))


@dataclass(frozen=True, eq=False)
class _Search:
    values: Floats
    owner: Integers
    usable: Booleans
    required: Booleans
    forbidden: Booleans
    worth: float
    alpha: float

    def direct(self, marks: Marks, members: list[int], found: list[tuple[int, int]], gaussian: set[int]) -> Marks:
        """The marks after one component; what was directed is added to `found`."""
        left = list(members)
        residuals = {v: self._given_parents(marks, v) for v in left}
        plain = {v for v in left if not self._not_gaussian(residuals[v])}
        gaussian |= plain
        while len(left) > 1:
            root = _most_exogenous(residuals, left)
            for other in sorted(left):
                undirected = marks[root, other] == marks[other, root] == Mark.TAIL
                if undirected and not {root, other} <= plain:
                    cause, effect = root, other
                    if self._decided(residuals[cause], residuals[effect]):
                        changed = self._with_arrow(marks, cause, effect)
                        if changed is not None:
                            marks = changed
                            found.append((cause, effect))
            left.remove(root)
            for other in left:
                residuals[other] = _standard(_residual(residuals[other], residuals[root]))
        return marks

    def _given_parents(self, marks: Marks, v: int) -> Floats:
        parents = (marks[:, v] == Mark.ARROW) & (marks[v] == Mark.TAIL)
        inputs, own = self.values[:, parents[self.owner]], self.values[:, self.owner == v][:, 0]
        return (
            _standard(own - inputs @ np.linalg.lstsq(inputs, own, rcond=None)[0]) if parents.any() else _standard(own)
        )

    def _not_gaussian(self, x: Floats) -> bool:
        """Jarque and Bera 1980."""
        skewness, kurtosis = float((x**3).mean()), float((x**4).mean()) - 3.0
        statistic = len(x) * self.worth * (skewness**2 / 6.0 + kurtosis**2 / 24.0)
        return bool(statistic > -2.0 * np.log(self.alpha))

    def _decided(self, cause: Floats, effect: Floats) -> bool:
        ratio, error = _ratio_with_error(cause, effect)
        level = NormalDist().inv_cdf(1.0 - self.alpha / 2.0)
        if ratio <= level * error:
            return False
        rows = len(cause) * self.worth
        return not _depends(cause, effect, 1, rows, _LINEAR) and _depends(effect, cause, _DEGREE, rows, self.alpha)

    def _with_arrow(self, marks: Marks, cause: int, effect: int) -> Marks | None:
        """With cause -> effect and what follows; None if no acyclic graph of the class has it."""
        if self.forbidden[cause, effect]:
            return None
        directed = (marks == Mark.ARROW) & (marks.T == Mark.TAIL)
        undirected = (marks == Mark.TAIL) & (marks.T == Mark.TAIL)
        directed[cause, effect] = True
        undirected[cause, effect] = undirected[effect, cause] = False
        closed = meek(marks_of(directed, undirected), self.required, self.forbidden)
        return closed if consistent_extension(closed) is not None else None


def _components(marks: Marks, usable: Booleans) -> list[list[int]]:
    """Sets of more than one usable variable joined by undirected edges."""
    joined = (marks == Mark.TAIL) & (marks.T == Mark.TAIL) & usable[:, None] & usable[None, :]
    left = set(np.flatnonzero(joined.any(axis=0)).tolist())
    found = []
    while left:
        todo, members = [min(left)], set()
        while todo:
            v = todo.pop()
            if v not in members:
                members.add(v)
                todo += np.flatnonzero(joined[v]).tolist()
        left -= members
        found.append(sorted(members))
    return found


def _most_exogenous(residuals: dict[int, Floats], left: list[int]) -> int:
    """The variable whose ratios against the others speak least for an effect (Hyvärinen and Smith, section 4.2)."""
    against = {v: sum(min(0.0, _ratio(residuals[v], residuals[w])) ** 2 for w in left if w != v) for v in left}
    return min(left, key=lambda v: (against[v], v))


def _ratio(x: Floats, y: Floats) -> float:
    """Log likelihood ratio a row of x -> y against y -> x; both of variance 1."""
    along, against = _standard(_residual(y, x)), _standard(_residual(x, y))
    return _entropy(y) + _entropy(against) - _entropy(x) - _entropy(along)


def _ratio_with_error(x: Floats, y: Floats) -> tuple[float, float]:
    """The ratio and its standard error from leaving out one of 25 runs of rows at a time."""
    rows = len(x)
    part = np.arange(rows) * _PARTS // rows
    each = np.array([_ratio(_standard(x[part != k]), _standard(y[part != k])) for k in range(_PARTS)])
    error = np.sqrt((_PARTS - 1) / _PARTS * ((each - each.mean()) ** 2).sum())
    return _ratio(x, y), float(error)


def _entropy(u: Floats) -> float:
    """Of a variable of variance 1, by the approximation of Hyvärinen 1998."""
    # log cosh without overflow.
    size = np.abs(u)
    cosh = float((size + np.log1p(np.exp(-2.0 * size)) - np.log(2.0)).mean())
    odd = float((u * np.exp(-(u**2) / 2.0)).mean())
    return float(_GAUSSIAN_ENTROPY - _K1 * (cosh - _GAMMA) ** 2 - _K2 * odd**2)


def _depends(cause: Floats, effect: Floats, degree: int, rows: float, level: float) -> bool:
    """Whether what a line or a curve in the cause leaves of the effect depends on it, by correlations of functions."""
    powers = (
        np.stack([np.tanh(cause / 2.0) ** k for k in range(1, degree + 1)], axis=1) if degree > 1 else cause[:, None]
    )
    powers = powers - powers.mean(axis=0)
    rest = _standard(effect - powers @ np.linalg.lstsq(powers, effect, rcond=None)[0])
    x, e = np.tanh(cause), np.tanh(rest)
    pairs = ((x * x, e), (x, e), (np.abs(x), np.abs(e)), (x, e * e), (x * x, e * e))
    bound = NormalDist().inv_cdf(1.0 - level / (2.0 * len(pairs))) / np.sqrt(rows)
    return any(abs(float(np.mean(_standard(a) * _standard(b)))) > bound for a, b in pairs)


def _residual(y: Floats, x: Floats) -> Floats:
    # A resample may hold a column, or what others leave of it, that does not vary.
    size = float(x @ x)
    return y - float(x @ y) / size * x if size > 0 else y


def _standard(x: Floats) -> Floats:
    centred = x - x.mean()
    spread = float(np.sqrt((centred**2).mean()))
    return np.asarray(centred / spread if spread > 0 else centred)
