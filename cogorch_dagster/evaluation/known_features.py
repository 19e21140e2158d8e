"""Features of decisions as the estimators meet them: a version, names, and values known before each decision.

How features are made and chosen is above (`features/`), which hands them down in this form.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from cogorch_dagster.evaluation.decision_rows import DecisionRows
from cogorch_dagster.evaluation.forward import forward_fitted, moved
from cogorch_dagster.evaluation.outcome_model import OutcomeModel
from cogorch_dagster.evaluation.patterns import Floats, Patterns

Values = Callable[[datetime, datetime, npt.NDArray[np.object_]], Floats]
"""From a period and (n,) ids of decisions that began in it to (n, F), NaN where unknown."""


@dataclass(frozen=True)
class KnownFeatures:
    """The features of one policy's decisions.

    Attributes:
        version: digest of their definitions.
        selected_until: they were chosen on the rewards of decisions before this moment.
    """

    version: str
    names: tuple[str, ...]
    selected_until: datetime
    values: Values


@dataclass(frozen=True)
class FeatureUse:
    """What an evaluation made of features. `decisions`: of how many the expected reward rests on them."""

    version: str
    names: tuple[str, ...]
    decisions: int

    def document(self) -> dict[str, Any]:
        return {"version": self.version, "selected": list(self.names), "decisions": self.decisions}

    def __str__(self) -> str:
        return f"{self.version[:19]}, {len(self.names)} selected, used for {self.decisions} decisions"


@dataclass(frozen=True, eq=False)
class Featured:
    """A log row by row, the rewards to expect along it, and what they rest on."""

    patterns: Patterns
    model: OutcomeModel
    use: FeatureUse


def featured(
    rows: DecisionRows,
    known: KnownFeatures,
    since: datetime,
    until: datetime,
    *,
    arms: tuple[str, ...] = (),
    half: int | None = None,
) -> Featured:
    """Model the rewards of decisions, or of one half of them, by features.

    Decisions on whose rewards the features were chosen are expected by the means alone: what a feature has seen of a
    decision's reward never helps to predict it.

    Args:
        since, until: the period that the rows were read from.
        arms: further arms that candidates may draw.
    """
    which = rows.of_half(half)
    values = known.values(since, until, rows.decision_id[which])
    patterns, order = rows.patterns(arms, half=half), rows.started_us[which]
    usable_from = known.selected_until.timestamp() * 1e6
    model = forward_fitted(patterns, values, order, usable_from)
    return Featured(patterns, model, FeatureUse(known.version, known.names, moved(order, usable_from)))
