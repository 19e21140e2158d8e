"""Where an improvement gains most: edges on the way to an outcome, and variables that somebody can set.

Weakening an edge by a share changes the outcome by that share of what now flows over it: coefficient times the
cause's mean level times the total effect of the edge's end. The level counts from 0 for a cause that is never
negative, otherwise from its least observed value.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.models.answer import Answer, Estimate, check_level, estimates
from cogorch_dagster.causal.models.intervention import LEVEL, what_if
from cogorch_dagster.causal.models.structural_model import StructuralModel
from cogorch_dagster.causal.models.unidentified import unidentified_equations
from cogorch_dagster.errors import InvalidInput

Better = Literal["lower", "higher"]
SHARE = 0.1
# Where a lever may be set: between these quantiles of what was observed.
_ENDS = (1, 5)


@dataclass(frozen=True)
class EdgeGain:
    """The outcome's change when an edge carries a share more or less of what it does now.

    Attributes:
        scale: by how much the edge is scaled, such as -0.1; the sign is the one that helps.
        gain: change of the outcome in its unit; negative where lower is better.
        coefficient: units of the effect for one unit of the cause.
    """

    cause: str
    effect: str
    scale: float
    gain: Estimate
    coefficient: Estimate


@dataclass(frozen=True)
class LeverGain:
    """The outcome's change when a variable is set to the better end of where it was observed (5 % to 95 %)."""

    variable: str
    unit: str
    present: float
    target: float
    answer: Answer


@dataclass(frozen=True)
class Bottlenecks:
    """Edges and levers, the largest gain first, and levers whose effect the model does not identify."""

    outcome: str
    unit: str
    better: Better
    edges: tuple[EdgeGain, ...]
    levers: tuple[LeverGain, ...]
    doubtful: tuple[NotIdentified, ...]

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "outcome": self.outcome,
            "unit": self.unit,
            "better": self.better,
            "edges": [
                {
                    "cause": each.cause,
                    "effect": each.effect,
                    "scale": each.scale,
                    "gain": each.gain.document(),
                    "coefficient": each.coefficient.document(),
                }
                for each in self.edges
            ],
            "levers": [
                {
                    "variable": each.variable,
                    "unit": each.unit,
                    "present": each.present,
                    "target": each.target,
                    **{key: value for key, value in each.answer.document().items() if key not in {"variable", "unit"}},
                    "outcome": each.answer.variable,
                }
                for each in self.levers
            ],
            "doubtful": [each.detail for each in self.doubtful],
        }


def bottlenecks(
    model: StructuralModel, outcome: str, *, better: Better = "lower", share: float = SHARE, level: float = LEVEL
) -> Bottlenecks:
    """What to improve first for an outcome.

    Edges are judged in the first member of a class, levers over all of it.

    Args:
        better: whether a lower or a higher outcome is an improvement.
        share: by how much an edge is scaled, above 0 to 1.

    Raises:
        InvalidInput: the outcome is no variable, or the share is out of its bounds.
    """
    check_level(level)
    if not 0 < share <= 1:
        raise InvalidInput(f"a share of {share:g} of an edge; give more than 0, at most 1")
    if better not in ("lower", "higher"):
        raise InvalidInput(f"better is {better!r}; give lower or higher")
    levers, doubtful = _levers(model, outcome, better, level)
    column = model.column(outcome)
    unknown = unidentified_equations(model, column)
    return Bottlenecks(
        outcome=outcome,
        unit=model.columns.unit(column),
        better=better,
        edges=_edges(model, column, better, share, level),
        levers=tuple(sorted(levers, key=lambda each: -abs(each.answer.change))),
        doubtful=(*doubtful, *([unknown] if unknown else [])),
    )


def _edges(model: StructuralModel, column: int, better: Better, share: float, level: float) -> tuple[EdgeGain, ...]:
    """Of every edge whose end reaches the outcome through identified equations."""
    bank, low = model.members[0], model.support.low
    effect = bank.effects_on(column)
    origin = np.where(low >= 0, 0.0, low)[:, None]
    flow = (bank.means - origin)[bank.cause] * bank.coefficients * effect[bank.effect]
    known = [
        e
        for e in np.flatnonzero(flow[:, 0] != 0)
        if not bank.unidentified[bank.effect[e]]
        and not bank.doubtful(frozenset({int(bank.effect[e])}), frozenset({int(bank.effect[e])}), column)
    ]
    wanted = -1.0 if better == "lower" else 1.0
    scale = wanted * np.sign(flow[known, 0]) * share
    rows = np.concatenate([flow[known] * scale[:, None], bank.coefficients[known]])
    told = estimates([rows], level, mixture=False) if known else []
    names = model.columns.names
    found = [
        EdgeGain(names[bank.cause[e]], names[bank.effect[e]], float(scale[k]), told[k], told[k + len(known)])
        for k, e in enumerate(known)
    ]
    return tuple(sorted(found, key=lambda each: -abs(each.gain.value)))


def _levers(
    model: StructuralModel, outcome: str, better: Better, level: float
) -> tuple[list[LeverGain], list[NotIdentified]]:
    """Of every variable that a policy sets, at the better end of where it was observed."""
    found, doubtful = [], []
    for variable in model.variables:
        if variable.role != "policy" or len(variable.levels) > 2 or variable.name == outcome:
            continue
        column = model.column(variable.name)
        if model.support.low[column] == model.support.high[column]:
            continue
        best: tuple[float, Answer] | None = None
        for end in _ENDS:
            target = float(model.support.quantiles[column, end])
            answer = what_if(model, {variable.name: target}, outcomes=[outcome], level=level)[0]
            if isinstance(answer, NotIdentified):
                doubtful.append(answer)
                best = None
                break
            if best is None or (answer.change < best[1].change) == (better == "lower"):
                best = (target, answer)
        if best is not None and best[1].change:
            present = float(model.members[0].means[column, 0])
            found.append(LeverGain(variable.name, variable.unit, present, *best))
    return found, doubtful
