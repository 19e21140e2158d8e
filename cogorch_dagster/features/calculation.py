"""Values of features for decisions: by as-of aggregation, or, slowly and to check it, by Featuretools itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cogorch_dagster.evaluation.patterns import Floats, Ints
from cogorch_dagster.features import asof
from cogorch_dagster.features.entities import PARENTS, entity_set, moments
from cogorch_dagster.features.history import History
from cogorch_dagster.features.synthesis import Definition, definition, quiet


@dataclass(frozen=True, eq=False)
class Matrix:
    """(n, F) values of features, NaN where unknown, of decisions in the order of their start."""

    decision_id: npt.NDArray[np.object_]
    started_us: Ints
    names: tuple[str, ...]
    values: Floats

    def column(self, name: str) -> Floats:
        return self.values[:, self.names.index(name)]

    def of(self, decision_ids: npt.NDArray[np.object_]) -> Floats:
        """(m, F) the values of some decisions in their order; a decision without any has NaN."""
        place = pd.Index(self.decision_id).get_indexer(pd.Index(decision_ids))
        return np.concatenate([self.values, np.full((1, len(self.names)), np.nan)])[place]


def calculate(history: History, definitions: Sequence[Definition]) -> Matrix:
    """The features of every decision of a history."""
    decisions = history.decisions
    started = decisions["started_us"].to_numpy(np.int64)
    origin = _origin(history)
    values = np.full((len(decisions), len(definitions)), np.nan)
    groups: dict[Any, asof.Grouped] = {}
    windows: dict[Any, tuple[Ints, Ints]] = {}
    for number, each in enumerate(definitions):
        if each.kind in {"column", "hour", "age"}:
            values[:, number] = _without_past(history, each)
            continue
        assert each.child and each.parent and each.window_s is not None  # noqa: S101  every aggregation has them
        frame, key = history.events[each.child], PARENTS[each.parent]
        if each.arm is not None:
            frame = frame[frame["arm"] == each.arm]
        place = (each.child, key, each.arm)
        if place not in groups:
            groups[place] = asof.grouped(frame, key, origin)
        if (*place, each.window_s) not in windows:
            own = decisions[key].to_numpy(dtype=object)
            windows[*place, each.window_s] = groups[place].windows(own, started, each.window_s)
        column = None if each.column is None else frame[each.column].to_numpy(np.float64)
        values[:, number] = asof.aggregate(each.kind, groups[place], column, windows[*place, each.window_s], started)
    ids = decisions["decision_id"].to_numpy(dtype=object)
    return Matrix(ids, started, tuple(each.name for each in definitions), values)


def by_featuretools(history: History, features: Sequence[Any], windows_s: Sequence[int]) -> Matrix:
    """The same by `featuretools.calculate_feature_matrix`, a cut-off for each decision: some two a second."""
    with quiet():
        import featuretools as ft

        entities = entity_set(history)
        cutoffs = pd.DataFrame(
            {"decision_id": history.decisions["decision_id"], "time": moments(history.decisions["started_us"])}
        )
        columns: dict[str, Floats] = {}
        for window in windows_s:
            defined = [definition(each, window) for each in features]
            chosen = [
                (each, what)
                for each, what in zip(features, defined, strict=True)
                if what is not None and what.name not in columns
            ]
            if not chosen:
                continue
            found = ft.calculate_feature_matrix(
                [each for each, _ in chosen],
                entities,
                cutoff_time=cutoffs,
                training_window=ft.Timedelta(window, "s"),
                include_cutoff_time=True,
            ).loc[cutoffs["decision_id"]]
            for each, what in chosen:
                columns[what.name] = found[each.get_name()].astype("float64").to_numpy(np.float64)
    ids = history.decisions["decision_id"].to_numpy(dtype=object)
    started = history.decisions["started_us"].to_numpy(np.int64)
    return Matrix(ids, started, tuple(columns), np.column_stack(list(columns.values())))


def _without_past(history: History, each: Definition) -> Floats:
    decisions = history.decisions
    if each.kind == "column":
        return decisions[each.column].to_numpy(np.float64)
    if each.kind == "hour":
        return (decisions["started_us"].to_numpy(np.int64) // 3_600_000_000 % 24).astype(np.float64)
    known = history.versions.set_index("version")["activated_us"]
    activated = decisions["version"].map(known).astype("Float64").to_numpy(np.float64, na_value=np.nan)
    return np.asarray((decisions["started_us"].to_numpy(np.float64) - activated) / 1e6)


def _origin(history: History) -> int:
    first = [int(frame["available_us"].iloc[0]) for frame in history.events.values() if len(frame)]
    return min(first, default=0)
