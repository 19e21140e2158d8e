"""A data set as a short table, for metadata and for people."""

from typing import Any

import numpy as np

from cogorch_dagster.causal.data.dataset import CausalDataset


def describe(data: CausalDataset) -> list[dict[str, Any]]:
    """One row for each variable and each column set aside: name, unit, role, tier, missing, mean, sd, note.

    `missing` is a share; `mean` and `sd` are None for discrete variables, whose note gives the shares of their levels.
    """
    rows: list[dict[str, Any]] = []
    for place, variable in enumerate(data.variables):
        held = data.values[:, place]
        known = held[~np.isnan(held)]
        numeric = variable.kind == "continuous" and len(known) > 0
        rows.append(
            {
                "name": variable.name,
                "unit": variable.unit,
                "role": variable.role,
                "tier": variable.tier,
                "missing": float(np.mean(np.isnan(held))) if len(held) else 0.0,
                "mean": float(known.mean()) if numeric else None,
                "sd": float(known.std(ddof=1)) if numeric and len(known) > 1 else None,
                "note": variable.description if variable.kind == "continuous" else _levels(known, variable.levels),
            }
        )
    nothing = {"unit": "", "role": "", "tier": None, "missing": None, "mean": None, "sd": None}
    return rows + [{"name": each.name, **nothing, "note": f"set aside: {each.reason}"} for each in data.set_aside]


def _levels(codes: Any, levels: tuple[str, ...]) -> str:
    counts = np.bincount(codes.astype(np.int64), minlength=len(levels)) / max(len(codes), 1)
    return ", ".join(f"{level} {share:.0%}" for level, share in zip(levels, counts, strict=True))
