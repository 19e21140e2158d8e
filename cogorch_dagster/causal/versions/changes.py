"""Why an outcome is another in one period than in the one before: the same graph fitted to both, and what moved."""

from datetime import datetime

import numpy as np

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.data.reading import read_dataset
from cogorch_dagster.causal.effects.query import NotIdentified
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.models.attribution import Attribution, attributed
from cogorch_dagster.causal.models.fitting import fit_model
from cogorch_dagster.causal.models.periods import fitted_periods
from cogorch_dagster.causal.models.structural_model import StructuralModel
from cogorch_dagster.causal.versions import datasets
from cogorch_dagster.causal.versions.rows import span_of
from cogorch_dagster.causal.versions.version import CausalVersion
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.settings import Settings

Period = tuple[datetime, datetime]


def why(
    settings: Settings, version: CausalVersion, outcome: str, before: Period, after: Period, *, level: float = 0.95
) -> Attribution | NotIdentified:
    """Attribute the change of an outcome's mean, from one period of a component to a later one, to mechanisms.

    Raises:
        InvalidInput: the version is of a file, the periods overlap, are empty or in the wrong order, hold too few rows,
            or lack the outcome.
    """
    if version.since is None:
        raise InvalidInput(f"the version is of the file {version.scope}; `why` compares two periods of a component")
    for begin, end in (before, after):
        if begin >= end:
            raise InvalidInput(
                f"the period from {begin.isoformat()} to {end.isoformat()} is empty; give its begin first"
            )
    if before[1] > after[0]:
        raise InvalidInput(
            f"the period before ends at {before[1].isoformat()}, after the other begins ({after[0].isoformat()}); "
            "give two that do not overlap"
        )
    known = datasets.load(settings, version.dataset)
    # Read together: what stands still in one period, as the parameters of a policy do, is still a variable.
    data = read_dataset(settings, version.scope, before[0], after[1], bucket=span_of(known))
    return why_between(version, known, _between(data, before), _between(data, after), outcome, level=level)


def why_between(
    version: CausalVersion,
    known: CausalDataset,
    before: CausalDataset,
    after: CausalDataset,
    outcome: str,
    *,
    level: float = 0.95,
) -> Attribution | NotIdentified:
    """The same from the rows of both periods and the data set of the version.

    Raises:
        InvalidInput: a period has too few rows or lacks the outcome.
    """
    model = _over(
        version, known, [name for name in version.graph.names if name in before.names and name in after.names]
    )
    model.column(outcome)
    one, other = fitted_periods(model, [before, after], seed=version.seed)
    return attributed(one, other, outcome, level=level)


def _between(data: CausalDataset, period: Period) -> CausalDataset:
    begin, end = (each.timestamp() for each in period)
    rows = np.asarray((data.times >= begin) & (data.times < end))
    if not rows.any():
        raise InvalidInput(f"{data.scope!r} has no rows from {period[0].isoformat()} to {period[1].isoformat()}")
    return data.where(rows)


def _over(version: CausalVersion, known: CausalDataset, names: list[str]) -> StructuralModel:
    """The version's model over the variables that are there; what stands still in both periods explains nothing."""
    if len(names) == len(version.graph.names):
        return version.model
    at = [version.graph.index(name) for name in names]
    graph = Graph(tuple(names), version.model.graph.marks[np.ix_(at, at)], version.model.graph.kind)
    latents = [pair for pair in version.model.latents if set(pair) <= set(names)]
    return fit_model(graph, known.only(tuple(names)), latents=latents, seed=version.seed)
