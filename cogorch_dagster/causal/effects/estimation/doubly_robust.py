"""Doubly robust effects with cross-fitting (Chernozhukov et al. 2018).

Binary treatment: augmented inverse propensity weighting of the average effect (Robins, Rotnitzky and Zhao 1994) or of
that on the treated. Continuous treatment: the partially linear model, residual on residual. The median over several
splits takes the luck of the split out (ibid., definition 3.3).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cogorch_dagster.causal.effects.estimation.dependence import dependence, variance_of_sum
from cogorch_dagster.causal.effects.estimation.estimate import (
    Bools,
    Estimate,
    Fit,
    Floats,
    Integers,
    checked,
    from_error,
    from_influence,
    is_binary,
)
from cogorch_dagster.causal.effects.estimation.features import Features, expand
from cogorch_dagster.causal.effects.estimation.nuisance import Learner, blocks_of, choose, cross_fitted, folds
from cogorch_dagster.causal.effects.estimation.projection import projection
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.platform.threads import on_one_thread

Target = Literal["ATE", "ATT"]
TRIM = 0.01
FOLDS = 5
_FEWEST_IN_ARM = 20
_ROWS_FOR_ONE_SPLIT = 1000


@dataclass(frozen=True, eq=False)
class DoublyRobust:
    """A fit with its nuisances.

    Attributes:
        scores: (n,) whose mean is the effect (of a binary treatment: each row's unbiased guess of its own effect).
        propensity: (n,) of the rows kept; None for a continuous treatment.
        learners: what predicts each nuisance, in words.
    """

    fit: Fit
    scores: Floats
    propensity: Floats | None
    learners: dict[str, str]


@dataclass(frozen=True, eq=False)
class _Split:
    value: float
    influence: Floats
    scores: Floats
    outcome: Floats
    treatment: Floats
    propensity: Floats | None


@on_one_thread("scipy.linalg", "sklearn.ensemble")
def doubly_robust(
    outcome: npt.ArrayLike,
    treatment: npt.ArrayLike,
    covariates: npt.ArrayLike | None = None,
    *,
    target: Target = "ATE",
    groups: Integers | None = None,
    trim: float = TRIM,
    splits: int | None = None,
    seed: int = 0,
) -> DoublyRobust:
    """The average effect of a binary treatment, or the slope of a continuous one, with nonlinear adjustment.

    A binary treatment is taken as its higher value against its lower one. Rows without counterparts are trimmed: of
    the average effect those with a propensity outside [trim, 1 - trim], of the effect on the treated the treated above
    1 - trim and the controls below the least propensity of the treated. What was trimmed is in the notes.

    Args:
        covariates: (n, p) to adjust for.
        target: of a binary treatment; a continuous one has its slope.
        groups: (n,) time series or cluster of each row; None: rows are independent.
        splits: into folds, 1 and up; None: 3, but 1 where the smaller arm has 1,000 rows and its luck hardly matters.
        seed: of the splits and trees.

    Raises:
        InvalidInput: shapes, missing values, `trim` outside [0, .5), or fewer than 20 rows in an arm, after trimming.
    """
    y, t, x = checked(outcome, treatment, covariates)
    if not 0.0 <= trim < 0.5 or (splits is not None and splits < 1):
        raise InvalidInput(f"trim {trim} must lie in [0, .5) and splits {splits} be at least 1")
    if is_binary(t):
        return _binary(y, (t > t.min()).astype(np.float64), x, target, groups, trim, splits, seed)
    return _partially_linear(y, t, x, groups, splits, seed)


def _binary(
    y: Floats, t: Floats, x: Floats, target: Target, groups: Integers | None, trim: float, splits: int | None, seed: int
) -> DoublyRobust:
    _check_arms(t, "before trimming")
    blocks = _blocks(y, t, x, groups)
    features = expand(x)
    learner = choose(features, t, binary=True, seed=seed, blocks=blocks)
    generator = np.random.default_rng(seed)
    everyone = np.ones(len(t), dtype=np.bool_)
    first = cross_fitted(features, t, everyone, folds(len(t), FOLDS, generator, t, blocks), learner, seed)
    kept, notes = _supported(first, t, target, trim)
    if not kept.all():
        _check_arms(t[kept], "after trimming; the groups hardly overlap")
        y, t, features = y[kept], t[kept], expand(x[kept])
        groups = None if groups is None else groups[kept]
        blocks = None if blocks is None else _numbered(blocks[kept])
        learner = choose(features, t, binary=True, seed=seed, blocks=blocks)
    arms = (0.0, 1.0) if target == "ATE" else (0.0,)
    outcome_learners = {
        arm: choose(
            _of(features, t == arm),
            y[t == arm],
            binary=False,
            seed=seed,
            blocks=None if blocks is None else _numbered(blocks[t == arm]),
        )
        for arm in arms
    }
    found = [
        _aipw(y, t, features, target, learner, outcome_learners, trim, blocks, generator, seed)
        for _ in range(splits or _splits(min(t.sum(), len(t) - t.sum())))
    ]
    names = {
        "propensity": learner.text,
        **{f"outcome at {arm:.0f}": each.text for arm, each in outcome_learners.items()},
    }
    return _median(found, target, groups, kept, 1, notes, names)


def _aipw(
    y: Floats,
    t: Floats,
    features: Features,
    target: Target,
    learner: Learner,
    outcome_learners: dict[float, Learner],
    trim: float,
    blocks: Integers | None,
    generator: np.random.Generator,
    seed: int,
) -> _Split:
    fold = folds(len(t), FOLDS, generator, t, blocks)
    everyone = np.ones(len(t), dtype=np.bool_)
    e = np.clip(cross_fitted(features, t, everyone, fold, learner, seed), 1e-4, 1.0 - max(trim, 1e-4))
    if target == "ATE":
        e = np.maximum(e, max(trim, 1e-4))
    means = {arm: cross_fitted(features, y, t == arm, fold, each, seed) for arm, each in outcome_learners.items()}
    if target == "ATE":
        scores = means[1.0] - means[0.0] + t * (y - means[1.0]) / e - (1.0 - t) * (y - means[0.0]) / (1.0 - e)
        value = float(scores.mean())
        influence = (scores - value) / len(t)
        pooled = e * means[1.0] + (1.0 - e) * means[0.0]
    else:
        odds = (1.0 - t) * e / (1.0 - e)
        # Weights of the controls add up to the treated: Hájek's form keeps one large weight from setting the scale.
        odds = odds * float(t.sum() / odds.sum())
        residual = y - means[0.0]
        share = float(t.mean())
        scores = (t - odds) * residual / share
        value = float(scores.mean())
        influence = (t * (residual - value) / share - odds * (residual - _weighted(residual, odds)) / share) / len(t)
        pooled = means[0.0] + e * value
    return _Split(value, influence, scores, y - pooled, t - e, e)


def _partially_linear(
    y: Floats, t: Floats, x: Floats, groups: Integers | None, splits: int | None, seed: int
) -> DoublyRobust:
    rest = projection(x).residual(t)
    if float(rest @ rest) <= 1e-10 * float(np.sum((t - t.mean()) ** 2)):
        raise InvalidInput("the covariates determine the treatment; its effect cannot be told from theirs")
    features, blocks = expand(x), _blocks(y, t, x, groups)
    everyone = np.ones(len(t), dtype=np.bool_)
    learners = {
        "outcome": choose(features, y, binary=False, seed=seed, blocks=blocks),
        "treatment": choose(features, t, binary=False, seed=seed, blocks=blocks),
    }
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(splits or _splits(len(t))):
        fold = folds(len(t), FOLDS, generator, None, blocks)
        y_rest = y - cross_fitted(features, y, everyone, fold, learners["outcome"], seed)
        t_rest = t - cross_fitted(features, t, everyone, fold, learners["treatment"], seed)
        square = float(t_rest @ t_rest)
        if square <= 1e-8 * float(np.sum((t - t.mean()) ** 2)):
            raise InvalidInput("the covariates determine the treatment; its effect cannot be told from theirs")
        value = float(t_rest @ y_rest) / square
        influence = t_rest * (y_rest - value * t_rest) / square
        found.append(_Split(value, influence, value + influence * len(t), y_rest, t_rest, None))
    return _median(found, "slope", groups, everyone, 1, (), {name: each.text for name, each in learners.items()})


def _median(
    found: list[_Split],
    target: str,
    groups: Integers | None,
    kept: Bools,
    parameters: int,
    notes: tuple[str, ...],
    learners: dict[str, str],
) -> DoublyRobust:
    values = np.array([each.value for each in found])
    centre = float(np.median(values))
    typical = found[int(np.argmin(np.abs(values - centre)))]
    shape = dependence(typical.influence, groups)
    base = from_influence(
        typical.value, typical.influence, parameters=parameters, method="doubly_robust", target=target, shape=shape
    )
    variances = np.array([float(variance_of_sum(each.influence, shape)) for each in found])
    se = float(np.median(variances + (values - centre) ** 2)) ** 0.5
    estimate: Estimate = from_error(
        centre,
        se,
        base.degrees,
        method="doubly_robust",
        target=target,
        rows=base.rows,
        effective_rows=base.effective_rows,
        errors=base.errors,
        notes=notes,
    )
    fit = Fit(estimate, typical.influence, typical.outcome, typical.treatment, kept, parameters, shape)
    return DoublyRobust(fit, typical.scores, typical.propensity, learners)


def _supported(e: Floats, t: Floats, target: Target, trim: float) -> tuple[Bools, tuple[str, ...]]:
    """Which rows have counterparts in the other arm, and what is said of the others."""
    treated = t == 1.0
    if target == "ATE":
        kept = (e >= trim) & (e <= 1.0 - trim)
        rule = f"a propensity outside [{trim:g}, {1 - trim:g}]"
    else:
        kept = np.where(treated, e <= 1.0 - trim, e >= e[treated].min())
        rule = f"no counterpart: treated above {1 - trim:g}, controls below the least of the treated"
    gone, of_treated = int((~kept).sum()), int((~kept & treated).sum())
    if not gone:
        return kept, ()
    return kept, (f"{gone} of {len(t)} rows ({of_treated} of them treated) were trimmed for {rule}",)


def _splits(rows: float) -> int:
    return 3 if rows < _ROWS_FOR_ONE_SPLIT else 1


def _blocks(y: Floats, t: Floats, x: Floats, groups: Integers | None) -> Integers | None:
    """Rows that must not be split between folds; None where rows are independent."""
    shape = dependence(np.prod(projection(x).residual(np.column_stack([y, t])), axis=1), groups)
    if shape.kind == "independent" or groups is None:
        return None
    return blocks_of(groups, shape.kind == "clusters")


def _numbered(blocks: Integers) -> Integers:
    return np.asarray(np.unique(blocks, return_inverse=True)[1], dtype=np.int64)


def _of(features: Features, rows: Bools) -> Features:
    return Features(features.columns[rows], features.linear, features.smooth, features.trees[rows])


def _weighted(values: Floats, weights: Floats) -> float:
    return float(values @ weights / weights.sum())


def _check_arms(t: Floats, when: str) -> None:
    treated = int(t.sum())
    if min(treated, len(t) - treated) < _FEWEST_IN_ARM:
        raise InvalidInput(
            f"{treated} treated and {len(t) - treated} untreated rows {when}; {_FEWEST_IN_ARM} of each are needed"
        )
