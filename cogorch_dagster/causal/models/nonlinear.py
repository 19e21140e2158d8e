"""Questions to a model whose mechanisms need not be lines: do(), samples and counterfactuals.

Optional and slow beside the linear model, fitted when it is asked for (`nonlinear_fitting`) and not stored. Intervals
come from refits to bootstrap samples.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.graphs.separation import ancestors
from cogorch_dagster.causal.models.answer import Answer
from cogorch_dagster.causal.models.nonlinear_fitting import NonlinearModel, quiet_gcm
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.intervals import quantile

Floats = NDArray[np.float64]


def what_if_nonlinear(
    model: NonlinearModel, hold: Mapping[str, float], *, outcomes: Sequence[str], level: float = 0.95
) -> list[Answer]:
    """How the means of outcomes would change: the mean over all rows of what each would have been.

    Raises:
        InvalidInput: a name is no variable, or the model has fewer than 2 refits.
    """
    return _answered(model, model.rows, hold, outcomes, level)


def counterfactual_nonlinear(
    model: NonlinearModel,
    row: Mapping[str, float],
    hold: Mapping[str, float],
    *,
    outcomes: Sequence[str],
    level: float = 0.95,
) -> list[Answer]:
    """What a row would have been; it has to have a value for every variable.

    Raises:
        InvalidInput: a name is no variable, a value is missing, or the model has fewer than 2 refits.
    """
    lacking = [name for name in model.graph.names if name not in row or not np.isfinite(row[name])]
    if lacking:
        raise InvalidInput(f"the row has no value of {', '.join(lacking)}; a nonlinear model needs them all")
    return _answered(model, np.array([[row[name] for name in model.graph.names]]), hold, outcomes, level)


def samples(model: NonlinearModel, hold: Mapping[str, float], count: int) -> dict[str, Floats]:
    """(count,) draws of each variable from the distribution under do(hold).

    Raises:
        InvalidInput: a name is no variable.
    """
    from dowhy import gcm

    with quiet_gcm(model.seed):
        drawn = gcm.interventional_samples(model.fits[0], _functions(model, hold), num_samples_to_draw=count)
    return {name: drawn[name].to_numpy(dtype=np.float64) for name in model.graph.names}


def _answered(
    model: NonlinearModel, rows: Floats, hold: Mapping[str, float], outcomes: Sequence[str], level: float
) -> list[Answer]:
    if len(model.fits) < 3:
        raise InvalidInput("an interval needs at least 2 refits; fit the model with more")
    at = [model.graph.index(name) for name in outcomes]
    functions = _functions(model, hold)
    with quiet_gcm(model.seed):
        changes = np.array([_change(fit, model.graph, rows, functions)[at] for fit in model.fits])
    spread = changes[1:].std(axis=0, ddof=1) * float(quantile(len(changes) - 1.0, level))
    before = rows.mean(axis=0)[at]
    told = tuple(_beyond(model, name, value) for name, value in hold.items() if _beyond(model, name, value))
    return [
        Answer(
            variable=name,
            unit=model.units[j],
            before=float(before[k]),
            after=float(before[k] + changes[0, k]),
            change=float(changes[0, k]),
            interval=(float(changes[0, k] - spread[k]), float(changes[0, k] + spread[k])),
            range=(float(changes[0, k]), float(changes[0, k])),
            warnings=told,
        )
        for k, (name, j) in enumerate(zip(outcomes, at, strict=True))
    ]


def _beyond(model: NonlinearModel, name: str, value: float) -> str:
    held = model.rows[:, model.graph.index(name)]
    if held.min() <= value <= held.max():
        return ""
    return f"{name} {value:.4g} lies outside the observed {held.min():.4g} to {held.max():.4g}; trees are flat there"


def _functions(model: NonlinearModel, hold: Mapping[str, float]) -> dict[str, Any]:
    for name in hold:
        model.graph.index(name)
    return {name: (lambda _, value=float(value): value) for name, value in hold.items()}


def _change(fit: Any, graph: Graph, rows: Floats, functions: dict[str, Any]) -> Floats:
    """(p,) mean change of the rows."""
    import pandas as pd
    from dowhy import gcm

    frame = pd.DataFrame(rows, columns=list(graph.names))
    after = gcm.counterfactual_samples(fit, functions, observed_data=frame)
    change = after[list(graph.names)].to_numpy(dtype=np.float64) - rows
    # What does not follow from the changed variables keeps its value but for rounding in the inversion.
    reach = _below(graph, list(functions))
    return np.asarray(np.where(reach, change.mean(axis=0), 0.0))


def _below(graph: Graph, names: list[str]) -> NDArray[np.bool_]:
    return np.asarray(ancestors(graph.directed)[[graph.index(name) for name in names]].any(axis=0))
