"""Weights of their own for the tenants whom those for everybody serve badly.

A tenant is given a place in the table twice: by the half of the decisions that chooses, and again by the half that has
not seen the choice. There the gain over the weights that would hold for it otherwise must clear the minimum, with
p-values adjusted for the number of tenants tried (Holm). With no true gain anywhere, a table appears in at most 2.5 %
of proposals. A true gain that only just clears is overstated a little, as whatever was selected by its own estimate is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cogorch_dagster.evaluation.decision_query import OTHERS
from cogorch_dagster.evaluation.improvement import compare
from cogorch_dagster.evaluation.intervals import LEVEL, holm, quantile
from cogorch_dagster.evaluation.patterns import Floats, Patterns
from cogorch_dagster.proposals.limits import Limits
from cogorch_dagster.proposals.search import Objective, Region, best_weights

_ERROR = (1.0 - LEVEL) / 2.0


@dataclass(frozen=True, eq=False)
class TenantChoice:
    """Weights tried for one tenant, and their gain over those it would have otherwise.

    Attributes:
        gain: by the doubly robust estimate, on the half that did not choose.
        interval: of that gain as it will be measured, at 1 - .05 / m for m tenants tried.
        p: one-sided, of a gain below the minimum, the larger one of both estimators; adjusted.
        used: whether the tenant gets these weights.
    """

    tenant: str
    weights: Floats
    gain: float
    interval: tuple[float, float]
    p: float
    decisions: int
    effective_sample_size: float
    used: bool


def candidates(
    search: Patterns, old: Mapping[str, Floats], otherwise: Mapping[str, Floats], limits: Limits, seed: int
) -> dict[str, Floats]:
    """By tenant, the weights that the searching half finds better than those it would have otherwise.

    Args:
        old: weights in force for each tenant; the search stays around them.
        otherwise: weights that each tenant would have without a place in the table.
    """
    found: dict[str, tuple[float, Floats]] = {}
    for tenant, part in _parts(search).items():
        objective = Objective(part, old[tenant], limits.minimum_slice_ess)
        best = best_weights(objective, Region.around(old[tenant], limits.step_limit, limits.floor), seed=seed)
        compared = compare(part, best[None], otherwise[tenant], ("dr", "snips"))
        bound = min(float(each.lower[0]) for each in compared.values())
        enough = compared["dr"].effective_sample_size[0] >= limits.minimum_slice_ess
        if enough and bound >= limits.minimum_gain:
            found[tenant] = bound, best
    largest = sorted(found, key=lambda tenant: -found[tenant][0])[: limits.most_slices]
    return {tenant: found[tenant][1] for tenant in sorted(largest)}


def confirmed(
    independent: Patterns, tried: Mapping[str, Floats], otherwise: Mapping[str, Floats], limits: Limits
) -> tuple[TenantChoice, ...]:
    """What the other half says of the weights tried for each tenant."""
    parts = _parts(independent)
    tried = {tenant: weights for tenant, weights in tried.items() if tenant in parts}
    level = 1.0 - (1.0 - LEVEL) / max(len(tried), 1)
    found = [_tested(parts[tenant], tenant, tried[tenant], otherwise[tenant], limits, level) for tenant in tried]
    adjusted = holm(np.array([each.p for each in found]))
    return tuple(
        TenantChoice(
            **{
                **vars(each),
                "p": float(p),
                "used": bool(p <= _ERROR and each.effective_sample_size >= limits.minimum_slice_ess),
            }
        )
        for each, p in zip(found, adjusted, strict=True)
    )


def _tested(
    part: Patterns, tenant: str, weights: Floats, otherwise: Floats, limits: Limits, level: float
) -> TenantChoice:
    from scipy.special import stdtr

    compared = compare(part, weights[None], otherwise, ("dr", "snips"))
    dr = compared["dr"]
    ess = float(dr.effective_sample_size[0])
    above = [
        (each.value[0] - limits.minimum_gain) / each.measured_se[0] if each.measured_se[0] > 0 else 0.0
        for each in compared.values()
    ]
    margin = float(quantile(ess, level)) * float(dr.measured_se[0])
    gain = float(dr.value[0])
    return TenantChoice(
        tenant=tenant,
        weights=weights,
        gain=gain,
        interval=(gain - margin, gain + margin),
        p=float(stdtr(max(ess - 1.0, 1.0), -min(above))),
        decisions=part.decisions,
        effective_sample_size=ess,
        used=False,
    )


def _parts(patterns: Patterns) -> dict[str, Patterns]:
    """The decisions of every tenant that can be named in a policy."""
    number = patterns.states.tenant[patterns.state[:, 0]]
    return {
        name: patterns.rows(np.flatnonzero(number == code))
        for code, name in enumerate(patterns.tenants)
        if name not in {"", OTHERS} and (number == code).any()
    }
