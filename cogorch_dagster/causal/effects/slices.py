"""One effect in slices of the rows: by the levels of a variable, or by where a number lies."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.effects.columns import Floats, columns
from cogorch_dagster.causal.effects.estimation.conditional import Conditional, by_slice
from cogorch_dagster.causal.effects.query import Estimand
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.separation import possible_ancestors
from cogorch_dagster.errors import InvalidInput

PARTS = 3


@dataclass(frozen=True)
class Sliced:
    """Effects per slice.

    Attributes:
        by: the variable that makes the slices.
        names: what each slice is, such as `tenant=acme` or `load up to 90`, in the order of `effects.slices`.
        effects: with intervals that hold for all slices at once, and the p-value that all are the same.
    """

    by: str
    names: tuple[str, ...]
    effects: Conditional


def sliced(data: CausalDataset, graph: Graph, estimand: Estimand, by: str, *, parts: int = PARTS) -> Sliced:
    """The effect of a back-door estimand in each level of a variable, or in equal parts of a continuous one.

    Args:
        graph: on which the effect was identified.
        parts: of a continuous variable, 2 to 10.

    Raises:
        InvalidInput: another kind of estimand, a variable that the treatment may change (comparing rows alike in it
            would not compare like with like), or the treatment or outcome itself.
    """
    if estimand.kind != "backdoor" or estimand.effect != "total":
        raise InvalidInput(f"slices are for total effects by adjustment, this one is by {estimand.kind}")
    if not 2 <= parts <= 10:
        raise InvalidInput(f"{parts} parts of {by}; give 2 to 10")
    reach = possible_ancestors(graph.marks)
    if by in graph.names and reach[graph.index(estimand.treatment), graph.index(by)]:
        raise InvalidInput(f"{estimand.treatment} may change {by}; slice by something that comes before the treatment")
    held = tuple(name for name in estimand.adjustment if name != by)
    complete = ~np.isnan(data.column(by))
    rows = data.where(np.asarray(complete))
    # Rows that lack something else are left out by `columns`; the slices must be those of the rows that stay.
    needed = [estimand.outcome, estimand.treatment, *held]
    whole = ~np.isnan(rows.values[:, [rows.index(name) for name in needed]]).any(axis=1)
    rows = rows.where(np.asarray(whole))
    variable = rows.variables[rows.index(by)]
    values = rows.column(by)
    used = columns(rows, estimand, held)
    controls = used.controls
    if variable.levels:
        labels, names = values.astype(np.int64), [f"{by}={level}" for level in variable.levels]
    else:
        bounds = np.quantile(values, np.arange(1, parts) / parts)
        labels = np.searchsorted(bounds, values, side="left").astype(np.int64)
        names = _names(by, bounds)
        # Within a part the variable still varies, and may still confound.
        controls = np.column_stack([controls, values]) if by in estimand.adjustment else controls
    found = by_slice(used.outcome, used.treatment, labels, controls, groups=used.groups)
    return Sliced(by, tuple(names[each.label] for each in found.slices), found)


def _names(by: str, bounds: Floats) -> list[str]:
    edges = [f"{bound:.4g}" for bound in bounds]
    middle = [f"{by} from {low} to {high}" for low, high in pairwise(edges)]
    return [f"{by} up to {edges[0]}", *middle, f"{by} above {edges[-1]}"]
