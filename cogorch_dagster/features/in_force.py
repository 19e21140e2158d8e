"""Which features the estimators use, and their values, in the form that `evaluation` takes them in."""

from datetime import datetime

import numpy as np
import numpy.typing as npt

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.known_features import KnownFeatures
from cogorch_dagster.evaluation.patterns import Floats
from cogorch_dagster.features import building, store
from cogorch_dagster.features.feature_set import FeatureSet
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings


def in_force(settings: Settings, policy_id: str, since: datetime) -> KnownFeatures | None:
    """The features in force for decisions from `since` on, chosen on earlier ones as far as possible.

    None where there is no feature set, or the one in force selected nothing: see `store.in_force`.
    """
    with transaction(settings) as connection:
        found = store.in_force(connection, policy_id, since)
    return None if found is None or not found.selected else known(settings, found)


def chosen(settings: Settings, policy_id: str, which: str, since: datetime) -> KnownFeatures | None:
    """What a person asks for: `none`, `current` (those in force) or the digest of a set, or its beginning.

    Raises:
        InvalidInput: no such set, one of another policy, or one that selected nothing.
    """
    if which == "none":
        return None
    if which == "current":
        return in_force(settings, policy_id, since)
    with transaction(settings) as connection:
        found = store.get(connection, which)
    if found.scope != policy_id or not found.selected:
        said = f"is of {found.scope}" if found.scope != policy_id else "selected no feature"
        raise InvalidInput(f"the feature set {which} {said}; `cogorch features list --policy {policy_id}` names others")
    return known(settings, found)


def known(settings: Settings, features: FeatureSet) -> KnownFeatures:
    """The features of a set, computed from the lake as of each decision's start when they are asked for."""

    def values(since: datetime, until: datetime, decision_ids: npt.NDArray[np.object_]) -> Floats:
        return building.compute(settings, features, since, until).of(decision_ids)

    return KnownFeatures(features.digest, features.selected, features.until, values)
