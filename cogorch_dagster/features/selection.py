"""Which features are worth keeping: those that predict the reward of later decisions, by permutation importance.

Folds are blocks of time, each predicted by boosted trees fitted to the blocks before it. The importance of a feature is
how much the squared error on the held-out block rises when its values are shuffled there (Breiman 2001, section 10;
Fisher, Rudin and Dominici 2019), as a share of the variance of the reward.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.evaluation.intervals import benjamini_hochberg
from cogorch_dagster.evaluation.patterns import Floats, Ints

FOLDS = 8
MOST_ROWS = 30_000
MOST_FEATURES = 16
FEWEST_ROWS = 240
REPEATS = 2
LEVEL = 0.95
_SAME = 0.95
_PROBED = 256


@dataclass(frozen=True)
class Importance:
    """Of one feature: mean over the folds, and its one-sided lower 95 % bound (t, folds - 1 degrees of freedom).

    `kept`: whether it is above 0 after correction for all that were looked at (Benjamini and Hochberg at 5 %).
    """

    name: str
    mean: float
    lower: float
    kept: bool


@dataclass(frozen=True)
class Selection:
    """What was kept, the most important first; the importance of all that could have any; and the error.

    Attributes:
        explained: share of the reward's variance in the held-out blocks that the trees explain, with all features.
        explained_without: with the arm alone.
        rows: decisions that were used.
    """

    kept: tuple[str, ...]
    importances: tuple[Importance, ...]
    explained: float
    explained_without: float
    rows: int
    seed: int


def select(features: Floats, names: Sequence[str], arm: Ints, reward: Floats, *, seed: int = 0) -> Selection:
    """Select among the columns of (n, F), whose rows are in the order of time.

    Args:
        arm: (n,) number of the arm that was drawn first.
        reward: (n,).
        seed: of the trees and of the shuffles.

    Raises:
        InvalidInput: fewer than 240 rows, or arrays that do not fit together.
    """
    n = len(reward)
    if features.shape != (n, len(names)) or len(arm) != n:
        raise InvalidInput(f"features {features.shape}, {len(names)} names, {len(arm)} arms and {n} rewards do not fit")
    if n < FEWEST_ROWS:
        raise InvalidInput(f"{n} decisions, features are selected from at least {FEWEST_ROWS}; widen the period")
    rows = np.unique(np.linspace(0, n - 1, min(n, MOST_ROWS)).round().astype(np.int64))
    features, arm, reward = features[rows], arm[rows], reward[rows]
    distinct = _distinct(features)
    design = np.column_stack([features[:, distinct], arm[:, None] == np.arange(arm.max() + 1)])
    rises, explained, without = _by_fold(design, reward, len(distinct), seed)
    found = _importances([names[place] for place in distinct], rises)
    ranked = sorted(found, key=lambda each: (-each.mean, each.name))
    kept = tuple(each.name for each in ranked if each.kept)[:MOST_FEATURES]
    return Selection(kept, tuple(ranked), explained, without, len(rows), seed)


def _by_fold(design: Floats, reward: Floats, count: int, seed: int) -> tuple[Floats, float, float]:
    """(folds, F) rises of the error, and the explained shares of all columns and of those after the features."""
    blocks = np.array_split(np.arange(len(reward)), FOLDS + 1)
    rises = np.zeros((FOLDS, count))
    shares = np.zeros((FOLDS, 2))
    for fold in range(FOLDS):
        past, held = np.concatenate(blocks[: fold + 1]), blocks[fold + 1]
        model = _trees(seed).fit(design[past], reward[past])
        alone = _trees(seed).fit(design[past, count:], reward[past])
        variance = max(float(reward[held].var()), 1e-12)
        error = _error(model, design[held], reward[held])
        shares[fold] = error / variance, _error(alone, design[held][:, count:], reward[held]) / variance
        rng = np.random.default_rng([seed, fold])
        for number in _used(model, design[held], count):
            shuffled = design[held].copy()
            for _ in range(REPEATS):
                shuffled[:, number] = rng.permutation(design[held, number])
                rises[fold, number] += (_error(model, shuffled, reward[held]) - error) / variance / REPEATS
    explained = 1.0 - shares.mean(axis=0)
    return rises, float(explained[0]), float(explained[1])


def _used(model: Any, design: Floats, count: int) -> list[int]:
    """Features whose shuffling changes any prediction of some rows; the others have no importance."""
    probe = design[:: max(len(design) // _PROBED, 1)]
    expected = model.predict(probe)
    found = []
    for number in range(count):
        turned = probe.copy()
        turned[:, number] = probe[::-1, number]
        if (model.predict(turned) != expected).any():
            found.append(number)
    return found


def _trees(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        max_iter=40, learning_rate=0.1, max_leaf_nodes=8, min_samples_leaf=40, early_stopping=False, random_state=seed
    )


def _error(model: Any, design: Floats, reward: Floats) -> float:
    return float(np.mean((reward - model.predict(design)) ** 2))


def _importances(names: Sequence[str], rises: Floats) -> list[Importance]:
    """Of the features that any fold's trees used; a t-test of a mean above 0 for each."""
    from scipy.stats import t

    used = np.flatnonzero((rises != 0).any(axis=0))
    if not len(used):
        return []
    mean = rises[:, used].mean(axis=0)
    error = np.maximum(rises[:, used].std(axis=0, ddof=1) / np.sqrt(FOLDS), 1e-12)
    rejected = benjamini_hochberg(np.asarray(t.sf(mean / error, FOLDS - 1)))
    lower = mean - float(t.ppf(LEVEL, FOLDS - 1)) * error
    return [
        Importance(names[int(place)], float(mean[number]), float(lower[number]), bool(rejected[number]))
        for number, place in enumerate(used)
    ]


def _distinct(features: Floats) -> list[int]:
    """Columns that vary and are not the same as an earlier one (correlation of ranks above .95)."""
    filled = np.where(np.isfinite(features), features, -np.inf)
    ranks = np.empty_like(features)
    for number in range(features.shape[1]):
        ranks[:, number] = np.unique(filled[:, number], return_inverse=True)[1]
    spread = ranks.std(axis=0)
    unit = (ranks - ranks.mean(axis=0)) / np.where(spread > 0, spread, 1.0) / np.sqrt(len(ranks))
    kept: list[int] = []
    for number in map(int, np.flatnonzero(spread > 0)):
        if not kept or np.abs(unit[:, kept].T @ unit[:, number]).max() < _SAME:
            kept.append(number)
    return kept
