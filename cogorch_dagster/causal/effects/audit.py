"""dowhy as the auditor: the same graph and rows, its own identification and estimate, and whether it agrees with ours.

It decides nothing. It is imported when asked for, kept quiet, and given no effect modifiers, which only cost time.
"""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.effects.answer import Effect
from cogorch_dagster.causal.effects.estimation.estimate import Estimate
from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.errors import InvalidInput

Kind = Literal["backdoor", "frontdoor", "instrument", "zero", "none"]

SAME_FORMULA = 1e-6
"""Relative difference allowed between least squares on the same columns."""
OTHER_SET = 3.0
"""Standard errors allowed between different valid answers to the same question."""
_METHODS: dict[Kind, str] = {
    "backdoor": "backdoor.linear_regression",
    "instrument": "iv.instrumental_variable",
    "frontdoor": "frontdoor.two_stage_regression",
}


@dataclass(frozen=True)
class Audit:
    """What dowhy answers.

    Attributes:
        kind: of its estimand; "none" where it identifies nothing, "zero" where it sees no directed path.
        adjustment: its adjustment set, or the mediators or instruments, in the order of the graph's variables.
        value: its estimate, None without one.
        ours: the estimate it was compared with: by the same method where there is one.
        same_set: whether it adjusts for what we adjust for.
        agrees: both identify the effect or neither does, and the estimates differ by no more than the tolerance.
        tolerance: in units of the estimate; None where no numbers were compared.
        detail: a sentence.
    """

    kind: Kind
    adjustment: tuple[str, ...]
    value: float | None
    ours: float | None
    same_set: bool
    agrees: bool
    tolerance: float | None
    detail: str


def audit(data: CausalDataset, graph: Graph, answer: Effect | NotIdentified) -> Audit:
    """Give dowhy the query that `answer` answers.

    Args:
        graph: a DAG, or an ADMG, whose bidirected edges become hidden common causes.
        answer: of a total effect.

    Raises:
        InvalidInput: another kind of graph, or not the total effect.
    """
    if graph.kind not in {"dag", "admg"}:
        raise InvalidInput(f"dowhy audits answers in a dag or admg, not in a {graph.kind}; orient the graph first")
    asked = answer.estimand.effect if isinstance(answer, Effect) else answer.effect
    if asked != "total":
        raise InvalidInput(f"dowhy audits total effects, not the {asked} effect")
    with _quiet():
        kind, members, value = _ask(data, graph, answer)
    if isinstance(answer, NotIdentified):
        agrees = kind == "none"
        detail = "dowhy does not identify it either." if agrees else f"dowhy identifies it by {kind}, we do not."
        return Audit(kind, members, value, None, False, agrees, None, detail)
    return _compared(answer, kind, members, value)


def _compared(effect: Effect, kind: Kind, members: tuple[str, ...], value: float | None) -> Audit:
    ours, estimand = _counterpart(effect, kind), effect.estimand
    if value is None or kind == "zero" or estimand.kind == "zero":
        agrees = kind == estimand.kind
        detail = f"dowhy answers {kind}, we answer {estimand.kind}."
        return Audit(kind, members, value, effect.estimate.value, agrees, agrees, None, detail)
    own = {"frontdoor": estimand.mediators, "instrument": estimand.instruments}.get(kind, estimand.adjustment)
    same = kind == estimand.kind and set(own) == set(members)
    exact = same and kind == "backdoor" and ours.method == "ols"
    scale = max(abs(ours.value), ours.se)
    tolerance = SAME_FORMULA * scale if exact else OTHER_SET * ours.se
    agrees = abs(value - ours.value) <= tolerance
    detail = (
        f"dowhy finds {value:.6g} by {kind} with {', '.join(members) or 'nothing'}, we find {ours.value:.6g} by "
        f"{ours.method}; they {'agree' if agrees else 'disagree'} within {tolerance:.2g}."
    )
    return Audit(kind, members, value, ours.value, same, agrees, tolerance, detail)


def _counterpart(effect: Effect, kind: Kind) -> Estimate:
    """Our estimate by dowhy's method: least squares for back doors."""
    candidates = (effect.estimate, *effect.cross_checks)
    return next((each for each in candidates if kind == "backdoor" and each.method == "ols"), effect.estimate)


def _ask(
    data: CausalDataset, graph: Graph, answer: Effect | NotIdentified
) -> tuple[Kind, tuple[str, ...], float | None]:
    import dowhy

    names = tuple(name for name in graph.names if name in data.names)
    frame = _frame(data, names, answer)
    model = dowhy.CausalModel(
        frame,
        answer.treatment,
        answer.outcome,
        graph=_network(graph),
        effect_modifiers=[],
        proceed_when_unidentifiable=True,
    )
    # Its default tries all subsets, which takes many seconds from 10 variables on; one minimal set is audit enough.
    found = model.identify_effect(method_name="minimal-adjustment", proceed_when_unidentifiable=False)
    if getattr(found, "no_directed_path", False):
        return "zero", (), None
    kind, members = _estimand(found)
    if kind == "none":
        return kind, (), None
    ordered = tuple(name for name in names if name in members)
    estimate = model.estimate_effect(found, method_name=_METHODS[kind], effect_modifiers=[], test_significance=False)
    return kind, ordered, float(np.asarray(estimate.value).ravel()[0])


def _estimand(found: Any) -> tuple[Kind, set[str]]:
    estimands = found.estimands
    if estimands.get("backdoor") is not None:
        return "backdoor", set(found.get_backdoor_variables())
    if estimands.get("frontdoor") is not None:
        return "frontdoor", set(found.get_frontdoor_variables())
    if estimands.get("iv") is not None:
        return "instrument", set(found.get_instrumental_variables())
    return "none", set()


def _frame(data: CausalDataset, names: tuple[str, ...], answer: Effect | NotIdentified) -> Any:
    """The rows that our estimate is from; a discrete variable by its codes."""
    import pandas as pd

    values = data.values[:, [data.index(name) for name in names]]
    if isinstance(answer, Effect) and answer.estimand.kind != "zero":
        estimand = answer.estimand
        used = (estimand.treatment, estimand.outcome, *estimand.adjustment, *estimand.mediators, *estimand.instruments)
        known = ~np.isnan(data.values[:, [data.index(name) for name in used]]).any(axis=1)
        values = values[known]
    return pd.DataFrame(values, columns=list(names))


def _network(graph: Graph) -> Any:
    import networkx as nx

    network = nx.DiGraph()
    network.add_nodes_from(graph.names)
    p = len(graph.names)
    network.add_edges_from((graph.names[i], graph.names[j]) for i in range(p) for j in range(p) if graph.directed[i, j])
    for i, j in np.argwhere(np.triu(graph.bidirected)):
        hidden = f"hidden common cause of {graph.names[i]} and {graph.names[j]}"
        network.add_edges_from([(hidden, graph.names[i]), (hidden, graph.names[j])])
    return network


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on the terminal: neither prints nor progress bars, warnings or log lines."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
