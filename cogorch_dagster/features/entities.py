"""A history as an entity set of Featuretools: decisions, their components, tenants and versions, and the events."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from cogorch_dagster.features.history import MEASURES, History

if TYPE_CHECKING:
    import featuretools as ft

TARGET = "decisions"
PARENTS = {"components": "component", "tenants": "tenant"}
"""What decisions and events share, and the column by which they do."""


def entity_set(history: History) -> "ft.EntitySet":
    """Time index of a decision: its start; of an event: the first moment at which a decision may use it.

    Featuretools lets an instance use what lies at or before its cut-off; with the events' moments being one microsecond
    after they were known, that is what was known strictly before.
    """
    import featuretools as ft

    found = ft.EntitySet(TARGET)
    decisions = history.decisions.copy()
    decisions["started_at"] = moments(decisions.pop("started_us"))
    _add(found, TARGET, decisions, "decision_id", "started_at", keys=("component", "tenant", "version"))
    for name in MEASURES:
        frame = history.events[name].drop(columns="known_us").copy()
        frame["available_at"] = moments(frame.pop("available_us"))
        keys = [key for key in ("component", "tenant", "arm") if key in frame]
        _add(found, name, frame, "event_id", "available_at", keys=keys, categories=("arm",))
    for parent, key in PARENTS.items():
        values = pd.unique(pd.concat([history.decisions[key], *(frame[key] for frame in history.events.values())]))
        _add(found, parent, pd.DataFrame({key: sorted(values)}), key, None)
        for child in (TARGET, *MEASURES):
            found.add_relationship(parent, key, child, key)
    _add(found, "versions", _versions(history), "version", None)
    found.add_relationship("versions", "version", TARGET, "version")
    return found


def moments(microseconds: pd.Series) -> pd.Series:
    """Times of whole microseconds since 1970, UTC without saying so."""
    return pd.to_datetime(microseconds, unit="us")


def _versions(history: History) -> pd.DataFrame:
    """Every version that decisions name, with the time of its activation where it is known."""
    named = pd.DataFrame({"version": sorted(pd.unique(history.decisions["version"]))}, dtype=object)
    joined = named.merge(history.versions, on="version", how="left")
    joined["activated_at"] = moments(joined.pop("activated_us").astype("Int64"))
    return joined


def _add(
    found: "ft.EntitySet",
    name: str,
    frame: pd.DataFrame,
    index: str,
    time_index: str | None,
    *,
    keys: Any = (),
    categories: Any = (),
) -> None:
    from woodwork.logical_types import Categorical, Datetime, Double, Integer, Unknown

    types: dict[str, Any] = {}
    for column in frame.columns:
        if column in {"started_at", "available_at", "activated_at"}:
            types[column] = Datetime
        elif column == "event_id":
            types[column] = Integer
        elif column in categories or column in keys:
            types[column] = Categorical
        else:
            types[column] = Unknown if frame[column].dtype == object else Double
    found.add_dataframe(dataframe_name=name, dataframe=frame, index=index, time_index=time_index, logical_types=types)
