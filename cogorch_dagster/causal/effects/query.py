"""Answers to "does the graph identify this effect": by a formula, by one formula for each graph that may be, or not.

All three are values, not errors: that an effect is not identified is an answer. Numbers are in `estimation`.
"""

from dataclasses import dataclass
from typing import Literal

Effect = Literal["total", "direct", "indirect", "controlled"]
"""Of treatment on outcome: all of it; the natural direct or indirect part; direct with the mediators held fixed."""
Method = Literal["backdoor", "frontdoor", "instrument", "general"]
EstimandKind = Literal["backdoor", "frontdoor", "instrument", "mediation", "general", "zero"]
Reason = Literal["hidden_confounder", "edge_unoriented", "selection", "mediator", "unmeasured", "too_many_graphs"]


@dataclass(frozen=True)
class Estimand:
    """What has to be computed from data without intervention.

    Attributes:
        kind: backdoor, adjust for `adjustment`; frontdoor, through `mediators`, within levels of `adjustment`;
            instrument, two-stage with `instruments`, given `adjustment`; mediation, the mediation formula with
            `mediators` and `adjustment`; general, only the formula; zero, treatment is no cause of the outcome (or, of
            a direct or indirect effect, there is no such path).
        adjustment: the set that is used, in the order of the graph's variables. Where the effect is "controlled",
            kind backdoor: the mediators are treatments too, and `adjustment` is for all of them jointly.
        formula: plain text; of the distribution, or of covariances for an instrument.
        alternatives: other valid adjustment sets, each minimal, smallest first, some of them where there are many.
        assumes: what the graph alone does not grant, such as linearity for an instrument; "" where nothing.
    """

    kind: EstimandKind
    treatment: str
    outcome: str
    adjustment: tuple[str, ...] = ()
    mediators: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    formula: str = ""
    effect: Effect = "total"
    alternatives: tuple[tuple[str, ...], ...] = ()
    assumes: str = ""


@dataclass(frozen=True)
class IdentifiedRange:
    """Each graph of the class identifies the effect, but not all by the same formula: the answer is a range.

    Attributes:
        estimands: different ones, at least two; the effect lies among their values.
        edges: the unoriented edges at the treatment that the range is due to, such as `replicas -- load`.
        detail: a sentence that says so, and what would narrow the range.
    """

    treatment: str
    outcome: str
    estimands: tuple[Estimand, ...]
    edges: tuple[str, ...]
    detail: str
    effect: Effect = "total"


@dataclass(frozen=True)
class NotIdentified:
    """The effect is not determined, or not by a criterion that is known here.

    Attributes:
        reason: a stable code.
        detail: a sentence that names the path, edge or variable which is to blame.
        remedy: a sentence of what would help: a variable to measure, an edge to know, a treatment to randomise.
        proven: two models with this graph agree on the data and differ in the effect; otherwise no criterion applies.
        blame: the paths, edges or variables by themselves.
    """

    treatment: str
    outcome: str
    reason: Reason
    detail: str
    remedy: str
    proven: bool = False
    blame: tuple[str, ...] = ()
    effect: Effect = "total"


Answer = Estimand | IdentifiedRange | NotIdentified
