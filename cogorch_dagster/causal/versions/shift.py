"""Whether the data of a newer version are distributed otherwise than those of an older one, variable by variable.

A graph that was found in other traffic may not hold any more; what a shift comes from is `models.attribution`.
"""

from dataclasses import dataclass

import numpy as np

from cogorch_dagster.causal.data.autocorrelation import autocorrelations
from cogorch_dagster.causal.data.dataset import CausalDataset, Floats, Integers
from cogorch_dagster.evaluation.intervals import holm

# A distance that counts, whatever its significance: a fifth of the rows lie elsewhere.
LEAST_DISTANCE = 0.2
# Chance of a false alarm over all variables of one comparison.
ERROR = 0.01


@dataclass(frozen=True)
class Shift:
    """One variable in both data sets.

    Attributes:
        distance: of Kolmogorov and Smirnov, 0 to 1.
        p: of no difference, corrected for the number of variables (Holm); rows count by what they are worth.
        before, after: means, in the variable's unit.
        shifted: significant, and at least `LEAST_DISTANCE`.
    """

    variable: str
    unit: str
    distance: float
    p: float
    before: float
    after: float
    shifted: bool


def shifts(old: CausalDataset, new: CausalDataset) -> tuple[Shift, ...]:
    """Every variable that both have values of, the largest distance first."""
    from scipy.special import kolmogorov

    names = [name for name in new.names if name in old.names]
    rows = []
    for name in names:
        one, other = old.column(name), new.column(name)
        a, b = one[~np.isnan(one)], other[~np.isnan(other)]
        if not len(a) or not len(b):
            continue
        n, m = _worth(one, old.groups), _worth(other, new.groups)
        distance = _distance(a, b)
        p = float(kolmogorov(distance * np.sqrt(n * m / (n + m))))
        rows.append((name, new.variables[new.index(name)].unit, distance, p, float(a.mean()), float(b.mean())))
    adjusted = holm(np.array([row[3] for row in rows]))
    found = [
        Shift(name, unit, distance, float(p), before, after, bool(p <= ERROR and distance >= LEAST_DISTANCE))
        for (name, unit, distance, _, before, after), p in zip(rows, adjusted, strict=True)
    ]
    return tuple(sorted(found, key=lambda each: (-each.distance, each.variable)))


def _distance(a: Floats, b: Floats) -> float:
    """sup |F_a - F_b|."""
    points = np.concatenate([a, b])
    below = [np.searchsorted(np.sort(each), points, side="right") / len(each) for each in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


def _worth(values: Floats, groups: Integers) -> float:
    """Independent rows that a column is worth: n / (1 + 2 Σ (1 - k/n) r(k))."""
    n = int((~np.isnan(values)).sum())
    r = autocorrelations(values[:, None], groups)[0]
    inflation = 1.0 + 2.0 * float(((1.0 - np.arange(1, len(r) + 1) / n) * r).sum())
    return max(n / max(inflation, 1.0), 2.0)
