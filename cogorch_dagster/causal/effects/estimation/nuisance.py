"""What doubly robust estimators must learn first: means given the covariates, out of sample.

Candidates are ridge on linear terms, splines or products, and boosted trees. Form and penalty are chosen once on all
rows, as Bach et al. (2024) find as good as choosing in every fold; every prediction is of a row that its model did
not see (cross-fitting, Chernozhukov et al. 2018).
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cogorch_dagster.causal.effects.estimation.features import Features
from cogorch_dagster.causal.effects.estimation.ridge import logistic, ridge, tuned_logistic, tuned_ridge

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

_SCORED_ROWS = 800
"""So many rows, of a binary column of its rarer value, are predicted to weigh the trees; fewer would be chance."""
_STRETCHES = 50
_UNDERSMOOTHED = 3.0
"""By so much the penalty of a mean is below that of best prediction: what shrinkage leaves of a confounder is bias of
the effect, noise is not (Newey, Hsieh and Robins 2004). Propensities keep theirs, as their noise is divided by."""
_LEAST_SHARE = 0.15
_SIGNIFICANT = 2.0
_TREES = {
    "max_iter": 60,
    "learning_rate": 0.15,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 20,
    "max_bins": 64,
    "early_stopping": False,
}
_FEWEST_FOR_TREES = 100


@dataclass(frozen=True)
class Learner:
    """How to predict one column.

    Attributes:
        columns: of the features that the regression uses.
        penalty: of the regression, per row.
        trees: weight of the boosted trees in the prediction, 0 to 1.
        logistic: whether the column is 0 and 1, and the prediction a probability.
        form: "linear", "splines" or "products", for people.
    """

    columns: int
    penalty: float
    trees: float
    logistic: bool
    form: str

    @property
    def text(self) -> str:
        if self.trees == 1.0:
            return "boosted trees"
        name = f"{'logistic ridge' if self.logistic else 'ridge'} on {self.form}"
        return name if self.trees == 0.0 else f"{name} with {self.trees:.0%} boosted trees"


def folds(
    rows: int,
    count: int,
    generator: np.random.Generator,
    strata: Floats | None = None,
    blocks: Integers | None = None,
) -> Integers:
    """(rows,) fold 0 .. count-1 of each row, in balance within each value of `strata`; a block is in one fold."""
    if blocks is not None:
        return folds(int(blocks.max()) + 1, count, generator)[blocks]
    order = generator.permutation(rows)
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
    found = np.empty(rows, dtype=np.int64)
    found[order] = np.arange(rows) % count
    return found


def choose(features: Features, y: Floats, *, binary: bool, seed: int, blocks: Integers | None = None) -> Learner:
    """Form, penalty and weight of the trees with the least error out of sample; a mean's penalty is then lowered."""
    tune = tuned_logistic if binary else tuned_ridge
    forms = {"linear": features.linear, "splines": features.smooth, "products": features.columns.shape[1]}
    best = Learner(0, 1.0, 0.0, binary, "linear")
    least = np.inf
    for form, columns in forms.items():
        if columns == best.columns and np.isfinite(least):
            continue
        penalty, error = tune(features.columns[:, :columns], y)
        # The simpler form keeps what is no better by a thousandth: its extrapolation is the safer.
        if error < 0.999 * least:
            best, least = Learner(columns, penalty, 0.0, binary, form), error
    weight = 0.0
    if len(y) >= _FEWEST_FOR_TREES and features.trees.shape[1]:
        weight = _weight_of_trees(features, y, best, seed, blocks)
    penalty = best.penalty if binary else best.penalty / _UNDERSMOOTHED
    return replace(best, penalty=penalty, trees=weight)


def cross_fitted(features: Features, y: Floats, taught: Bools, fold: Integers, learner: Learner, seed: int) -> Floats:
    """(n,) predictions of every row by models of the `taught` rows of the other folds."""
    found = np.empty(len(fold))
    for k in range(int(fold.max()) + 1):
        held = fold == k
        found[held] = _fitted(features, y, taught & ~held, held, learner, seed)
    return found


def blocks_of(groups: Integers, clusters: bool) -> Integers:
    """(n,) of rows that hang together: their clusters, or stretches of a fiftieth of the rows, from 0."""
    begins = np.diff(groups, prepend=groups[:1]) != 0
    if clusters:
        return np.cumsum(begins)
    length = max(1, len(groups) // _STRETCHES)
    return np.cumsum(begins | (np.arange(len(groups)) % length == 0)) - 1


def _fitted(features: Features, y: Floats, train: Bools, asked: Bools, learner: Learner, seed: int) -> Floats:
    found = np.zeros(int(asked.sum()))
    if learner.trees < 1.0:
        columns = features.columns[:, : learner.columns]
        fit = logistic if learner.logistic else ridge
        found = found + (1.0 - learner.trees) * fit(columns[train], y[train], learner.penalty).predict(columns[asked])
    if learner.trees > 0.0:
        found = found + learner.trees * _boosted(features, y, train, asked, learner.logistic, seed)
    return found


def _boosted(features: Features, y: Floats, train: Bools, asked: Bools, binary: bool, seed: int) -> Floats:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if binary else HistGradientBoostingRegressor
    model = kind(random_state=seed, **_TREES).fit(features.trees[train], y[train])
    found = model.predict_proba(features.trees[asked])[:, 1] if binary else model.predict(features.trees[asked])
    return np.asarray(found, dtype=np.float64)


def _weight_of_trees(features: Features, y: Floats, learner: Learner, seed: int, blocks: Integers | None) -> float:
    """The convex weight with the least squared error out of sample.

    0 unless the trees predict what the regression leaves: were it right, the products of its errors with what trees
    would change have mean 0.
    """
    fold = folds(len(y), 5, np.random.default_rng(seed), y if learner.logistic else None, blocks)
    products: list[Floats] = []
    scale, scored = 0.0, 0
    for k in range(5):
        held = fold == k
        smooth = _fitted(features, y, ~held, held, learner, seed)
        change = _boosted(features, y, ~held, held, learner.logistic, seed) - smooth
        products.append(change * (y[held] - smooth))
        scale += float(change @ change)
        scored += int(min(y[held].sum(), (1.0 - y[held]).sum())) if learner.logistic else int(held.sum())
        if scored >= _SCORED_ROWS:
            break
    gained = np.concatenate(products)
    if scale == 0.0 or float(gained.sum()) < _SIGNIFICANT * float(gained @ gained) ** 0.5:
        return 0.0
    weight = min(float(gained.sum()) / scale, 1.0)
    return 0.0 if weight < _LEAST_SHARE else 1.0 if weight > 1.0 - _LEAST_SHARE else weight
