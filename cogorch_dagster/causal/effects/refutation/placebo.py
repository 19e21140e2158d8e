"""A treatment that cannot have an effect: the treatment, shuffled. The method must not find one, nor claim to.

The part of the treatment that controls leave is permuted (Kennedy 1995); by the theorem of Frisch, Waugh and Lovell one
matrix product gives all effects. Rows that hang together are moved together: series are shifted in a circle, clusters
change sign.
"""

import numpy as np

from cogorch_dagster.causal.effects.estimation.dependence import variance_of_sum
from cogorch_dagster.causal.effects.estimation.estimate import Fit, Floats, t_quantile
from cogorch_dagster.causal.effects.refutation.refutation import Refutation, check_simulations, summary

_SURE = 0.01
_LEAST_SHIFT = 0.02


def placebo(fit: Fit, *, simulations: int = 100, seed: int = 0) -> Refutation:
    """Effects of shuffled treatments: their mean should be 0, and about 5 % of their intervals should exclude 0.

    `p` is the probability that a shuffled treatment has at least the |effect / error| of the real one (with 100
    simulations not below .01); what refutes is not that but a method that finds effects where there are none.

    Raises:
        InvalidInput: fewer than 20 simulations.
    """
    check_simulations(simulations)
    shuffled = _shuffled(fit, simulations, np.random.default_rng(seed))
    square = np.einsum("is,is->s", shuffled, shuffled)
    effects = (fit.outcome @ shuffled) / square
    scores = shuffled * (fit.outcome[:, None] - shuffled * effects) / square
    errors = np.sqrt(np.maximum(variance_of_sum(scores, fit.dependence), 1e-300))
    ratios = np.abs(effects) / errors
    share = float(np.mean(ratios > t_quantile(fit.estimate.degrees)))
    shifted = abs(float(effects.mean())) / (float(effects.std(ddof=1)) / simulations**0.5)
    own = abs(fit.estimate.value) / fit.estimate.se if fit.estimate.se > 0 else 0.0
    p = float((1 + np.count_nonzero(ratios >= own)) / (simulations + 1))
    false_alarms = _at_least(share, simulations)
    passed = shifted < 3.3 and false_alarms >= _SURE
    sentence = (
        f"With the treatment shuffled, {share:.0%} of {simulations} intervals exclude 0, as about 5 % should: the "
        "method does not make up effects."
        if passed
        else f"With the treatment shuffled, {share:.0%} of {simulations} intervals still exclude 0 or the effects "
        f"centre at {effects.mean():.3g}: the interval is too narrow, or the method finds effects that are not there."
    )
    return summary("placebo", effects, p=p, passed=passed, sentence=sentence)


def _at_least(share: float, simulations: int) -> float:
    """Probability of so many false alarms at 5 % each."""
    from scipy.special import bdtrc

    count = round(share * simulations)
    return 1.0 if count == 0 else float(bdtrc(count - 1, simulations, 0.05))


def _shuffled(fit: Fit, simulations: int, generator: np.random.Generator) -> Floats:
    """(n, S) treatments."""
    n = len(fit.treatment)
    if fit.dependence.kind == "series":
        least = max(1, int(_LEAST_SHIFT * n))
        shifts = generator.integers(least, n - least + 1, size=simulations)
        drawn = fit.treatment[(np.arange(n)[:, None] - shifts) % n]
    elif fit.dependence.kind == "clusters" and fit.dependence.groups is not None:
        signs = generator.choice(np.array([-1.0, 1.0]), size=(fit.dependence.clusters, simulations))
        drawn = fit.treatment[:, None] * signs[fit.dependence.groups]
    else:
        # A row of shuffled numbers per simulation is contiguous, which is what shuffling is fast on.
        drawn = generator.permuted(np.broadcast_to(fit.treatment, (simulations, n)), axis=1).T
    return drawn if fit.space is None else fit.space.residual(drawn)
