"""A further control that is pure chance: it must not move the estimate."""

import numpy as np

from cogorch_dagster.causal.effects.estimation.estimate import Fit
from cogorch_dagster.causal.effects.refutation.refutation import Refutation, check_simulations, summary

_TOLERATED = 0.25
"""Standard errors; chance moves an estimate of n rows by about 1 / √n of one."""


def random_common_cause(fit: Fit, *, simulations: int = 100, seed: int = 0) -> Refutation:
    """Effects with a random normal control each. Refuted when 95 % of the changes reach a quarter standard error.

    Raises:
        InvalidInput: fewer than 20 simulations.
    """
    check_simulations(simulations)
    n = len(fit.outcome)
    # Drawn as single precision: it is noise, and its digits do not matter.
    noise = np.random.default_rng(seed).standard_normal((simulations, n), dtype=np.float32).T.astype(np.float64)
    square, with_y = float(fit.treatment @ fit.treatment), float(fit.treatment @ fit.outcome)
    own, t, y = np.einsum("is,is->s", noise, noise), fit.treatment @ noise, fit.outcome @ noise
    if fit.space is not None:
        # Only the square needs the controls taken out; treatment and outcome are free of them already.
        along = fit.space.basis.T @ noise
        own = own - np.einsum("rs,rs->s", along, along)
    before = with_y / square
    changed = (with_y - t * y / own) / (square - t**2 / own)
    moved = float(np.quantile(np.abs(changed - before), 0.95)) / fit.estimate.se if fit.estimate.se > 0 else 0.0
    passed = moved < _TOLERATED
    sentence = (
        f"A control drawn at random moves the estimate by at most {moved:.3f} standard errors in 95 % of "
        f"{simulations} draws: "
        + ("it does not hang on the choice of controls." if passed else "it is unstable, as with too few rows.")
    )
    effects = fit.estimate.value + (changed - before)
    return summary("random_common_cause", effects, p=None, passed=passed, sentence=sentence)
