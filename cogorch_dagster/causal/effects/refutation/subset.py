"""The estimate on random parts of the rows: it must not hang on a few of them, or on one stretch of time."""

import numpy as np

from cogorch_dagster.causal.effects.estimation.estimate import Fit, Floats
from cogorch_dagster.causal.effects.estimation.projection import Projection
from cogorch_dagster.causal.effects.refutation.refutation import Refutation, check_simulations, summary
from cogorch_dagster.errors import InvalidInput

_SURE = 0.01


def subset(fit: Fit, *, share: float = 0.8, simulations: int = 100, seed: int = 0) -> Refutation:
    """Effects on a share of the rows: of a series without one stretch, of clusters without some of them.

    `p` is the probability of the largest deviation if all rows tell the same effect (Bonferroni). Slopes are computed
    anew in each part; of other estimators the rows that are left out take their influence with them.

    Raises:
        InvalidInput: fewer than 20 simulations, or a share outside [.5, .95].
    """
    check_simulations(simulations)
    if not 0.5 <= share <= 0.95:
        raise InvalidInput(f"share {share} must lie between .5 and .95")
    kept = _parts(fit, share, simulations, np.random.default_rng(seed))
    if fit.space is None:
        effects = fit.estimate.value + (kept @ fit.influence) / (kept.mean(axis=1))
    else:
        effects = fit.estimate.value + _slopes(fit, fit.space, kept) - _slope(fit)
    expected = fit.estimate.se * ((1.0 - share) / share) ** 0.5
    largest = float(np.abs(effects - fit.estimate.value).max()) / expected if expected > 0 else 0.0
    p = min(1.0, simulations * _two_sided(largest))
    turned = float(np.mean(np.sign(effects) != np.sign(fit.estimate.value)))
    passed = p >= _SURE and not (fit.estimate.excludes_zero and turned > 0.025)
    sentence = (
        f"On {simulations} parts with {share:.0%} of the rows the estimate lies between {effects.min():.4g} and "
        f"{effects.max():.4g}, "
        + (
            "no more apart than chance makes it."
            if passed
            else "further apart than chance makes it: some rows or some period tell another effect."
        )
    )
    return summary("subset", effects, p=p, passed=passed, sentence=sentence)


def _two_sided(ratio: float) -> float:
    from scipy.special import ndtr

    return float(2.0 * ndtr(-ratio))


def _parts(fit: Fit, share: float, simulations: int, generator: np.random.Generator) -> Floats:
    """(S, n) of 0 and 1."""
    n = len(fit.outcome)
    if fit.dependence.kind == "series":
        gone = n - round(share * n)
        starts = generator.integers(0, n, size=simulations)
        return (((np.arange(n) - starts[:, None]) % n) >= gone).astype(np.float64)
    if fit.dependence.kind == "clusters" and fit.dependence.groups is not None:
        drawn = generator.random((simulations, fit.dependence.clusters))
        return (drawn <= np.quantile(drawn, share, axis=1, keepdims=True)).astype(np.float64)[:, fit.dependence.groups]
    return (generator.random((simulations, n), dtype=np.float32) < share).astype(np.float64)


def _slope(fit: Fit) -> float:
    return float(fit.treatment @ fit.outcome / (fit.treatment @ fit.treatment))


def _slopes(fit: Fit, space: Projection, kept: Floats) -> Floats:
    """(S,) slopes of each part, from its cross-products, all of which are one matrix product."""
    columns = np.column_stack([space.basis, fit.treatment, fit.outcome])
    k = columns.shape[1]
    first, second = np.triu_indices(k)
    sums = kept @ (columns[:, first] * columns[:, second])
    gram = np.empty((len(kept), k, k))
    gram[:, first, second] = sums
    gram[:, second, first] = sums
    return np.asarray(np.linalg.solve(gram[:, :-1, :-1], gram[:, :-1, -1:])[:, -1, 0])
