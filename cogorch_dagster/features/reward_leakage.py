"""Whether what a reward model predicts looks into the future: the two checks of `leakage`, on its predictions."""

from datetime import datetime, timedelta

import numpy as np

from cogorch_dagster.features.calculation import Matrix, calculate
from cogorch_dagster.features.decision_rewards import DecisionRewards
from cogorch_dagster.features.history import History, read_history
from cogorch_dagster.features.leakage import SAMPLE, Leak, leaks
from cogorch_dagster.settings import Settings


def leaks_of(
    settings: Settings,
    rewards: DecisionRewards,
    since: datetime,
    until: datetime,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
) -> tuple[Leak, ...]:
    """Every arm whose predictions for decisions in [since, until) change with what came after these began.

    Args:
        sample: as in `leakage.leaks`.
        seed: of the sample and of the shuffled future.

    Raises:
        InvalidInput: an empty period, or the model's feature set is not there.
    """
    features = rewards.features(settings)
    lookback = timedelta(seconds=max(features.windows_s)) if features is not None else timedelta(0)
    history = read_history(settings, rewards.policy, since, until, lookback=lookback, context=rewards.context)
    definitions = () if features is None else features.features

    def predictions(past: History) -> Matrix:
        known = calculate(past, definitions)
        values = known.values
        if features is None:
            names = [each.name for each in rewards.context]
            values = past.decisions[names].to_numpy(dtype=np.float64, na_value=np.nan)
        expected = rewards.model.expected(values)
        return Matrix(known.decision_id, known.started_us, rewards.model.arms, expected)

    return leaks(history, predictions, sample=sample, seed=seed)
