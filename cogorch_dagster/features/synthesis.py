"""Deep feature synthesis (Kanter and Veeramachaneni 2015): which features there are, as definitions of Featuretools.

Definitions say what is calculated (`FeatureBase` objects, serialised as JSON by Featuretools); over which windows of
the past, and from what data, is said where they are calculated.
"""

import json
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.features import primitives
from cogorch_dagster.features.entities import TARGET, entity_set
from cogorch_dagster.features.history import MEASURES, History

WINDOWS_S = (60, 300, 3600, 86_400)
MOST_ARMS = 8
"""Arms that have features of their own: the most frequent ones."""
AGGREGATIONS = ("count", "mean", "last", "time_since_last", "recent_p90", "recent_trend")
WHERE = ("count", "mean", "last")
"""Of these, those that are made for each arm too."""
TRANSFORMS = ("hour", "time_since")
_QUANTILES_OF = {"attempts": ["duration_ms", "queue_ms"]}


@dataclass(frozen=True)
class Definition:
    """One feature. `window_s` is None where it looks at no past: a column of the decision, the hour, a version's age.

    Attributes:
        base: Featuretools' name of it.
        kind: column, hour, age, or the primitive that aggregates.
        parent: what decision and events share: components or tenants.
        child: the events: attempts, judgements or arrivals.
        column: what is aggregated or taken.
        arm: of the events that count; None: of all arms.
    """

    base: str
    window_s: int | None
    kind: str
    parent: str | None = None
    child: str | None = None
    column: str | None = None
    arm: str | None = None

    @property
    def name(self) -> str:
        return self.base if self.window_s is None else f"{self.base} [{self.window_s}s]"


@contextmanager
def quiet() -> Iterator[None]:
    """Featuretools and what it rests on warn of their own deprecations, and of windows without last time indexes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def synthesise(history: History) -> list[Any]:
    """Featuretools' feature objects that DFS finds over a history and that `definition` understands, in stable order.

    Raises:
        InvalidInput: a history without decisions or attempts.
    """
    if history.decisions.empty or history.events["attempts"].empty:
        raise InvalidInput("there are no decisions in the period to make features of; widen it")
    with quiet():
        import featuretools as ft

        entities = entity_set(history)
        arms = [arm for arm in history.arms if arm][:MOST_ARMS]
        for child in ("attempts", "judgements"):
            if not history.events[child].empty and len(arms) > 1:
                entities.add_interesting_values(dataframe_name=child, values={"arm": arms})
        p90, trend = primitives.classes()
        own = {p90.name: p90, trend.name: trend}
        found = ft.dfs(
            entityset=entities,
            target_dataframe_name=TARGET,
            agg_primitives=[own.get(name, name) for name in AGGREGATIONS],
            where_primitives=list(WHERE),
            trans_primitives=list(TRANSFORMS),
            primitive_options={p90.name: {"include_columns": _QUANTILES_OF}},
            max_depth=2,
            features_only=True,
        )
    return sorted((each for each in found if definition(each) is not None), key=lambda each: each.get_name())


def definition(feature: Any, window_s: int | None = None) -> Definition | None:
    """What a feature object of Featuretools says, None where it is of a form that is not made here."""
    import featuretools as ft

    base = feature.get_name()
    if isinstance(feature, ft.IdentityFeature):
        numeric = "numeric" in feature.column_schema.semantic_tags
        return Definition(base, None, "column", column=feature.column_name) if numeric else None
    if isinstance(feature, ft.TransformFeature):
        ours = feature.primitive.name == "hour" and feature.base_features[0].get_name() == "started_at"
        return Definition(base, None, "hour") if ours else None
    if not isinstance(feature, ft.DirectFeature):
        return None
    inner, parent = feature.base_features[0], feature.parent_dataframe_name
    if isinstance(inner, ft.TransformFeature) and inner.primitive.name == "time_since" and parent == "versions":
        return Definition(base, None, "age")
    if isinstance(inner, ft.AggregationFeature):
        return _aggregated(base, parent, inner, window_s)
    return None


def _aggregated(base: str, parent: str, inner: Any, window_s: int | None) -> Definition | None:
    child, column = inner.child_dataframe_name, inner.base_features[0].get_name()
    if child not in MEASURES or inner.primitive.name not in AGGREGATIONS:
        return None
    if inner.primitive.name in {"count", "time_since_last"}:
        column = None
    elif column not in MEASURES[child]:
        return None
    # Featuretools writes a condition as the feature `arm = value`.
    arm = inner.where.primitive.value if inner.where is not None else None
    return Definition(base, window_s, inner.primitive.name, parent, child, column, arm)


def every(features: Iterable[Any], windows_s: Sequence[int] = WINDOWS_S) -> tuple[Definition, ...]:
    """The definitions of the features over every window, those that look at no past once.

    Raises:
        InvalidInput: a feature of a form that is not made here.
    """
    out: list[Definition] = []
    for feature in features:
        for window in windows_s:
            found = definition(feature, window)
            if found is None:
                raise InvalidInput(
                    f"the feature {feature.get_name()!r} is of a form that this version cannot calculate"
                )
            out.append(found)
            if found.window_s is None:
                break
    return tuple(out)


def to_json(features: Sequence[Any]) -> dict[str, Any]:
    """The feature objects as Featuretools serialises them."""
    with quiet():
        import featuretools as ft

        document: dict[str, Any] = json.loads(ft.save_features(list(features)))
    return document


def of_json(document: Any) -> list[Any]:
    """The feature objects of a `to_json` document; primitives are looked up by name, nothing is executed.

    Raises:
        InvalidInput: Featuretools cannot read it.
    """
    primitives.classes()
    with quiet():
        import featuretools as ft

        try:
            return list(ft.load_features(json.dumps(document)))
        except Exception as error:  # it raises whatever its parsers meet
            raise InvalidInput(f"the definitions cannot be read by Featuretools {ft.__version__}: {error}") from error
