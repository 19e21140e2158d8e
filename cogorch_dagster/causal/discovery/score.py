"""Scores of graphs: the Gaussian BIC on blocks of columns, and BIC or BDeu on counts of discrete rows.

The Gaussian score of a variable v with columns C_v given parents with columns C_P is

    -n/2 log det(cov(C_v | C_P)) - penalty/2 log(n) |C_v| |C_P|

which is the BIC of a linear Gaussian model, for indicator columns the degenerate Gaussian score (Andrews, Ramsey and
Cooper 2019). Higher is better. Not here: the search (`boss`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.data.sufficient import Floats, Integers, SufficientStatistics
from cogorch_dagster.causal.graphs.graph import Booleans
from cogorch_dagster.errors import InvalidInput

if TYPE_CHECKING:
    from cogorch_dagster.causal.discovery.kernels.local_scores import Terms


@dataclass(frozen=True, eq=False)
class DiscreteCounts:
    """The different rows of discrete data and how often each occurs.

    Attributes:
        variables: p names.
        levels: (p,) how many values of a variable occur.
        codes: (p, m) of m different rows, 0 .. levels - 1.
        weights: (m,) how often each occurs, not negative.
    """

    variables: tuple[str, ...]
    levels: Integers
    codes: npt.NDArray[np.int32]
    weights: Floats

    @property
    def effective_rows(self) -> float:
        return float(self.weights.sum())


Evidence = SufficientStatistics | DiscreteCounts


def discrete_counts(dataset: CausalDataset) -> DiscreteCounts:
    """Counts of the rows without missing values.

    Raises:
        InvalidInput: a variable is continuous, or no row is complete.
    """
    return numbered_counts(dataset)[0]


def numbered_counts(dataset: CausalDataset) -> tuple[DiscreteCounts, Integers]:
    """The counts, and which of the different rows each complete row is.

    Raises:
        InvalidInput: as `discrete_counts`.
    """
    continuous = [each.name for each in dataset.variables if each.kind != "discrete"]
    if continuous:
        raise InvalidInput(f"counts need discrete variables; continuous: {', '.join(continuous)}")
    complete = dataset.values[~np.isnan(dataset.values).any(axis=1)]
    if not len(complete):
        raise InvalidInput(f"{dataset.scope!r} has no row without missing values; set sparse columns aside")
    # A level that does not occur is none.
    codes = np.stack([np.unique(column, return_inverse=True)[1] for column in complete.T], axis=1).astype(np.int32)
    levels = codes.max(axis=0).astype(np.int64) + 1
    rows, numbers, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    found = DiscreteCounts(dataset.names, levels, np.ascontiguousarray(rows.T), counts.astype(np.float64))
    return found, numbers.reshape(-1).astype(np.int64)


def terms_of(evidence: Evidence, penalty: float, sample: float | None = None) -> Terms:
    """What compiled scores take.

    Args:
        penalty: times the penalty of the BIC; 1 is the BIC itself.
        sample: the BDeu with this equivalent sample size instead of the BIC, for discrete counts.

    Raises:
        InvalidInput: a penalty or sample that is not positive.
    """
    from cogorch_dagster.causal.discovery.kernels.local_scores import Terms

    if not penalty > 0:
        raise InvalidInput(f"penalty {penalty:g} must be above 0; 1 is the BIC, 2 is sparser")
    if sample is not None and not sample > 0:
        raise InvalidInput(f"equivalent sample size {sample:g} must be above 0")
    p = len(evidence.variables)
    if isinstance(evidence, DiscreteCounts):
        weight = penalty if sample is None else -sample
        starts = np.arange(p + 1, dtype=np.int64)
        rows = evidence.effective_rows
        return Terms(True, np.zeros((0, 0)), starts, rows, weight, evidence.codes, evidence.weights, evidence.levels)
    starts = np.searchsorted(evidence.owner, np.arange(p + 1)).astype(np.int64)
    # Statistics are read only, which is another type to the compiler; a copy is not.
    correlation = evidence.correlation.copy()
    codes, weights, levels = np.zeros((p, 0), dtype=np.int32), np.zeros(0), np.zeros(p, dtype=np.int64)
    return Terms(False, correlation, starts, evidence.effective_rows, penalty, codes, weights, levels)


def total_score(terms: Terms, directed: Booleans) -> float:
    """Score of a DAG, (p, p); every member of an equivalence class has the same."""
    from cogorch_dagster.causal.discovery.kernels.local_scores import local_score

    return float(sum(local_score(terms, v, np.flatnonzero(directed[:, v])) for v in range(len(directed))))
