"""Variables that say nothing by themselves: constant ones, and those that are hardly ever known beside another."""

import numpy as np

from cogorch_dagster.causal.data.dataset import CausalDataset, Floats, SetAside
from cogorch_dagster.causal.data.missing import FEWEST_PAIRS, pairs_known

# Of the largest value: less is rounding. In its unit: the square of less is none.
_RESOLUTION = 1e-12
_LEAST = 1e-100


def constants(data: CausalDataset) -> list[SetAside]:
    """The variables without two different values."""
    found = []
    for place, variable in enumerate(data.variables):
        held = data.values[:, place]
        held = held[~np.isnan(held)]
        if len(held) == 0:
            found.append(SetAside(variable.name, "has no value"))
        elif _constant(held):
            said = variable.levels[int(held[0])] if variable.kind == "discrete" else f"{held[0]:.6g}"
            found.append(SetAside(variable.name, f"is constant at {said}"))
    return found


def rarely_together(data: CausalDataset) -> list[SetAside]:
    """The fewest variables without which every two are known together in at least 10 rows, or in a tenth of them all.

    Of two that are not, the one that is known less goes.
    """
    pairs = pairs_known(~np.isnan(data.values))
    fewest = min(FEWEST_PAIRS, max(2, data.rows // 10))
    own = np.diag(pairs).copy()
    left = np.ones(len(own), dtype=bool)
    found: list[SetAside] = []
    while True:
        short = (pairs < fewest) & left[:, None] & left[None, :]
        if not short.any():
            return found
        # The one in most such pairs, of equals the least known.
        worst = int(np.lexsort((own, -short.sum(axis=1)))[0])
        partner = int(np.flatnonzero(short[worst])[0])
        what = "itself" if partner == worst else data.names[partner]
        found.append(SetAside(data.names[worst], f"is known together with {what} in {pairs[worst, partner]:.0f} rows"))
        left[worst] = False


def _constant(held: Floats) -> bool:
    return bool(np.ptp(held) <= max(_RESOLUTION * float(np.abs(held).max()), _LEAST))
