"""What the decisions of one policy are expected to earn: two regressions of the reward, and what they know.

One knows the selected features, which count what came of earlier decisions; the other, of the mix alone, knows only who
asks, for what, and which arm answers: arm, tenant and the context. Features of recent outcomes would learn a drift
within their window and hide it, so drift is looked for in what the mix does not explain. Both are plain arrays, kept
as JSON. How they are fitted is in `reward_fitting`, how they become versions in `reward_registry`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation import reward_model
from cogorch_dagster.evaluation.reward_model import RewardModel
from cogorch_dagster.features import building, store
from cogorch_dagster.features.calculation import Matrix
from cogorch_dagster.features.context import ContextColumn
from cogorch_dagster.features.feature_set import FeatureSet
from cogorch_dagster.features.history import read_contexts
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings

FORMAT = "cogorch-decision-rewards/1"


@dataclass(frozen=True, eq=False)
class DecisionRewards:
    """The regressions of one policy's decisions.

    Attributes:
        policy: whose decisions.
        component: on whose behalf it decides.
        feature_set: digest of the set whose selected features `model` knows; None: it knows the context alone.
        context: columns of the context, which `mix` knows.
    """

    policy: str
    component: str
    feature_set: str | None
    context: tuple[ContextColumn, ...]
    model: RewardModel
    mix: RewardModel

    def values(self, settings: Settings, since: datetime, until: datetime) -> Matrix:
        """What `model` has to know of every decision that began in [since, until), as of its start.

        Raises:
            InvalidInput: an empty period, or a feature set that is not there.
        """
        return columns(settings, self.policy, self.features(settings), self.context, since, until)

    def features(self, settings: Settings) -> FeatureSet | None:
        """The set of its features.

        Raises:
            InvalidInput: it is not there.
        """
        if self.feature_set is None:
            return None
        with transaction(settings) as connection:
            return store.get(connection, self.feature_set)

    def document(self) -> dict[str, Any]:
        """All of it as JSON; `of` reads it back, and nothing of it executes."""
        return {
            "format": FORMAT,
            "policy": self.policy,
            "component": self.component,
            "featureSet": self.feature_set,
            "context": [each.document() for each in self.context],
            "model": self.model.document(),
            "mix": self.mix.document(),
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "DecisionRewards":
        """What `document` was called on.

        Raises:
            InvalidInput: another format, or parts that are missing or do not fit together.
        """
        if document.get("format") != FORMAT:
            raise InvalidInput(f"a reward model of format {document.get('format')!r}; this version reads {FORMAT!r}")
        try:
            return cls(
                policy=str(document["policy"]),
                component=str(document["component"]),
                feature_set=document["featureSet"],
                context=tuple(ContextColumn.of(each) for each in document["context"]),
                model=reward_model.of(document["model"]),
                mix=reward_model.of(document["mix"]),
            )
        except (KeyError, TypeError) as error:
            raise InvalidInput(f"the document is no complete reward model ({error!r}); fit it again") from error


def columns(
    settings: Settings,
    policy_id: str,
    features: FeatureSet | None,
    context: tuple[ContextColumn, ...],
    since: datetime,
    until: datetime,
) -> Matrix:
    """The selected features of every decision that began in [since, until); without a set, its context."""
    if features is not None:
        return building.compute(settings, features, since, until)
    return contexts(settings, policy_id, context, since, until)


def contexts(
    settings: Settings, policy_id: str, context: tuple[ContextColumn, ...], since: datetime, until: datetime
) -> Matrix:
    """The columns of the context of every decision that began in [since, until)."""
    frame, _ = read_contexts(settings, policy_id, since, until, context=context)
    names = [each.name for each in context]
    return Matrix(
        decision_id=frame["decision_id"].to_numpy(dtype=object),
        started_us=frame["started_us"].to_numpy(np.int64),
        names=tuple(names),
        values=frame[names].to_numpy(dtype=np.float64, na_value=np.nan),
    )
