"""Fitting what a policy's decisions are expected to earn, and judging it by later decisions than it has seen.

The newest fifth of the period is held back: it judges the fit, and whether it is better than the champion. Within the
rest, each block of time is predicted from the blocks before it; features count earlier outcomes, so that folds by hash
would let decisions into the features of those that predict them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.decision_rows import DecisionRows, read_rows
from cogorch_dagster.evaluation.forward import draws_of
from cogorch_dagster.evaluation.patterns import Floats, Ints, Patterns
from cogorch_dagster.evaluation.predictive import FEWEST, Bin, Quality, bins, quality
from cogorch_dagster.evaluation.reward_model import RewardModel
from cogorch_dagster.evaluation.ridge import fit as fit_ridge
from cogorch_dagster.features.context import ContextColumn
from cogorch_dagster.features.decision_rewards import DecisionRewards, columns, contexts
from cogorch_dagster.features.feature_set import FeatureSet
from cogorch_dagster.features.history import read_contexts
from cogorch_dagster.features.selection import FEWEST_ROWS
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import store as policies
from cogorch_dagster.settings import Settings

FOLDS = 5
NEWEST = 5
"""One part in so many of the period is held back."""
Texts = npt.NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Held:
    """The newest decisions, which the fit has not seen; arrays are (n,)."""

    decision_id: Texts
    started_us: Ints
    tenant: Texts
    arm: Texts
    reward: Floats
    weight: Floats
    predicted: Floats

    def after(self, moment: datetime) -> "Held":
        """Those that began at a moment or later."""
        which = self.started_us >= moment.timestamp() * 1e6
        return Held(*(getattr(self, name)[which] for name in Held.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fit and how good it is.

    Attributes:
        out_of_fold: of predictions from earlier blocks; `curve` shows their calibration.
        newest: of the fit itself, on the decisions that were held back; None where these are fewer than 100.
        since, until: the decisions that were read; those before `fitted_until` were fitted to.
        inputs: digest of the files and configurations behind them.
        feedback_delay: as it was given.
    """

    rewards: DecisionRewards
    out_of_fold: Quality
    curve: tuple[Bin, ...]
    newest: Quality | None
    held: Held
    since: datetime
    fitted_until: datetime
    until: datetime
    inputs: str
    feedback_delay: timedelta | None

    @property
    def metrics(self) -> dict[str, float]:
        found = self.out_of_fold.metrics()
        return found if self.newest is None else found | self.newest.metrics("newest_")

    @property
    def params(self) -> dict[str, Any]:
        model = self.rewards.model
        return {
            "policy": self.rewards.policy,
            "component": self.rewards.component,
            "feature_set": self.rewards.feature_set,
            "features": len(model.features),
            "context_columns": len(self.rewards.context),
            "arms": len(model.arms),
            "labels": len(model.labels),
            # No number is infinite in JSON: without slopes there is no penalty on them.
            "penalty": model.penalty if np.isfinite(model.penalty) else None,
            "draws": model.rows,
            "fitted_until": self.fitted_until.isoformat(),
            "feedback_delay_s": None if self.feedback_delay is None else self.feedback_delay.total_seconds(),
        }


def fit(
    settings: Settings,
    policy_id: str,
    since: datetime,
    until: datetime,
    *,
    features: FeatureSet | None = None,
    context: tuple[ContextColumn, ...] | None = None,
    feedback_delay: timedelta | None = None,
) -> Fitted:
    """Fit to the scored decisions of a router in the first four fifths of [since, until), and judge.

    Nothing is drawn by chance: the same inputs give the same fit.

    Args:
        features: what the model knows of decisions; None, or a set that selected none: their context.
        context: columns of the context; None: those of the feature set, or else those found in the data.
        feedback_delay: as in `evaluation.decisions.read_decisions`.

    Raises:
        InvalidInput: an empty period, a policy that is no router, or fewer than 240 decisions to fit to.
    """
    with transaction(settings) as connection:
        policy = policies.policy(connection, policy_id)
    if policy.kind != "router":
        raise InvalidInput(f"{policy_id} is of kind {policy.kind}; reward models are fitted to decisions of routers")
    rows = read_rows(settings, policy_id, since, until, feedback_delay=feedback_delay)
    if context is None:
        context = read_contexts(settings, policy_id, since, until)[1] if features is None else features.context
    used = features if features is not None and features.selected else None
    known = contexts(settings, policy_id, context, since, until).of(rows.decision_id)
    values = known if used is None else columns(settings, policy_id, used, context, since, until).of(rows.decision_id)
    fitted_until = until - (until - since) / NEWEST
    past = np.flatnonzero(rows.started_us < fitted_until.timestamp() * 1e6)
    if len(past) < FEWEST_ROWS:
        raise InvalidInput(
            f"{policy_id} made {len(past)} scored decisions from {since.isoformat()} to {fitted_until.isoformat()}; "
            f"a reward model is fitted to at least {FEWEST_ROWS}, so widen the period or send traffic"
        )
    context_names = tuple(each.name for each in context)
    patterns = rows.patterns()
    mix = _model(patterns, known, context_names, past)
    model = mix if used is None else _model(patterns, values, used.selected, past)
    rewards = DecisionRewards(
        policy_id, policy.component or policy_id, None if used is None else used.digest, context, model, mix
    )
    later = np.arange(len(past), len(rows))
    held = _held(rows, later, model.expected_of(values[later], rows.tenant[later], rows.first_arm[later]))
    out_of_fold, curve = _out_of_fold(rows, patterns, values, model.features, past)
    newest = None
    if len(later) >= FEWEST:
        newest = quality(held.reward, held.predicted, _by_arm(rows, past, later), held.weight)
    return Fitted(rewards, out_of_fold, curve, newest, held, since, fitted_until, until, rows.inputs, feedback_delay)


def _model(patterns: Patterns, values: Floats, names: tuple[str, ...], which: Ints) -> RewardModel:
    draws, _ = draws_of(patterns, values, which)
    return fit_ridge(draws, patterns.arms, patterns.tenants, names, attempts=patterns.action.shape[1])


def _held(rows: DecisionRows, which: Ints, predicted: Floats) -> Held:
    return Held(
        rows.decision_id[which],
        rows.started_us[which],
        rows.tenant[which],
        rows.first_arm[which],
        rows.reward[which],
        rows.sample_weight[which],
        predicted,
    )


def _out_of_fold(
    rows: DecisionRows, patterns: Patterns, values: Floats, names: tuple[str, ...], past: Ints
) -> tuple[Quality, tuple[Bin, ...]]:
    """Every block of time but the first, predicted from those before it."""
    blocks = np.array_split(past, FOLDS + 1)
    predicted, by_arm = np.empty(len(rows)), np.empty(len(rows))
    for number, block in enumerate(blocks[1:], start=1):
        before = np.concatenate(blocks[:number])
        model = _model(patterns, values, names, before)
        predicted[block] = model.expected_of(values[block], rows.tenant[block], rows.first_arm[block])
        by_arm[block] = _by_arm(rows, before, block)
    held = np.concatenate(blocks[1:])
    observed, weight = rows.reward[held], rows.sample_weight[held]
    return (
        quality(observed, predicted[held], by_arm[held], weight),
        bins(observed, predicted[held], weight),
    )


def _by_arm(rows: DecisionRows, past: Ints, later: Ints) -> Floats:
    """The simplest prediction: what decisions with the same first arm have earned on average, or all of them."""
    arm, weight = rows.first_arm, rows.sample_weight
    everywhere = float(np.average(rows.reward[past], weights=weight[past]))
    found = np.full(len(later), everywhere)
    for name in np.unique(arm[past]):
        mine = past[arm[past] == name]
        found[arm[later] == name] = np.average(rows.reward[mine], weights=weight[mine])
    return found
