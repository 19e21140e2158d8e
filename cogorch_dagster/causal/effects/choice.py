"""Which estimator answers an estimand, and which others stand beside it as cross-checks."""

from dataclasses import dataclass, replace
from typing import Literal

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.effects.columns import Columns, columns
from cogorch_dagster.causal.effects.estimation.doubly_robust import Target, doubly_robust
from cogorch_dagster.causal.effects.estimation.estimate import Estimate, Fit, Floats, is_binary
from cogorch_dagster.causal.effects.estimation.form import form
from cogorch_dagster.causal.effects.estimation.frontdoor import frontdoor
from cogorch_dagster.causal.effects.estimation.matching import matching
from cogorch_dagster.causal.effects.estimation.mediation import mediation
from cogorch_dagster.causal.effects.estimation.ols import ols
from cogorch_dagster.causal.effects.estimation.two_stage import two_stage
from cogorch_dagster.causal.effects.query import Estimand
from cogorch_dagster.errors import InvalidInput

Method = Literal["auto", "ols", "doubly_robust", "matching"]
BENT = 0.001
"""Curves and products that explain more with a smaller p call for the doubly robust estimator."""
_MOST_ALTERNATIVES = 3
_MOST_MATCHED = 10_000


@dataclass(frozen=True)
class How:
    """The settings of one question."""

    method: Method
    target: Target
    simulations: int
    seed: int


@dataclass(frozen=True, eq=False)
class Found:
    """An answer and how it came about.

    Attributes:
        cross_checks: other estimates of the same effect.
        choice: why this estimator, in a sentence.
        propensity: of the rows kept, where a binary treatment had one.
    """

    fit: Fit
    cross_checks: tuple[Estimate, ...]
    choice: str
    propensity: Floats | None = None


def chosen(data: CausalDataset, estimand: Estimand, taken: Columns, how: How) -> Found:
    """The estimate of an estimand that has an estimator.

    Raises:
        InvalidInput: a method asked for where none can be chosen, or rows that the estimator cannot use.
    """
    y, t, z, groups = taken.outcome, taken.treatment, taken.controls, taken.groups
    if estimand.kind == "backdoor":
        return _adjusted(data, estimand, taken, how)
    if how.method != "auto":
        raise InvalidInput(
            f"method {how.method!r} is for back-door estimands, this one is by {estimand.kind}; leave it at auto"
        )
    if estimand.kind == "instrument":
        return Found(two_stage(y, t, taken.instruments, z, groups=groups).fit, (), "two-stage least squares")
    if estimand.kind == "frontdoor":
        return Found(frontdoor(y, t, taken.mediators, z, groups=groups), (), "two regressions, front door")
    parts = mediation(y, t, taken.mediators, z, groups=groups)
    return Found(
        parts.direct if estimand.effect == "direct" else parts.indirect, (), "mediation formula with an interaction"
    )


def _adjusted(data: CausalDataset, estimand: Estimand, taken: Columns, how: How) -> Found:
    y, t, z, groups = taken.outcome, taken.treatment, taken.controls, taken.groups
    straight = ols(y, t, z, groups=groups)
    bent = form(y, t, z, straight, groups=groups) if z.shape[1] else None
    checks = _by_other_sets(data, estimand)
    if bent is not None and bent.flexible is not None:
        checks = (replace(bent.flexible.estimate, method="ols with curves and products"), *checks)
    wanted = how.method
    if wanted == "auto":
        curved = bent is not None and bent.p < BENT
        wanted = "doubly_robust" if curved or how.target == "ATT" else "ols"
    related = None if straight.dependence.kind == "independent" else groups
    pairs = is_binary(t) and bool(z.shape[1]) and len(y) <= _MOST_MATCHED
    if wanted == "matching":
        # The refuters and the bound need a slope with its residuals: those of least squares on the same columns.
        paired = matching(y, t, z, target=how.target, groups=related)
        return Found(replace(straight, estimate=paired), (straight.estimate, *checks), "matching, as asked for")
    if wanted == "ols":
        reason = "least squares, as asked for"
        if how.method == "auto":
            told_by = "" if bent is None else f": curves and products add nothing (p {bent.p:.3f} of {bent.terms})"
            reason = f"least squares{told_by}"
        return Found(straight, checks, reason)
    robust = doubly_robust(y, t, z, target=how.target, groups=groups, seed=how.seed)
    learners = ", ".join(f"{what} by {by}" for what, by in robust.learners.items())
    if pairs:
        checks = (matching(y, t, z, target=how.target, groups=related), *checks)
    return Found(robust.fit, (straight.estimate, *checks), f"doubly robust: {learners}", robust.propensity)


def _by_other_sets(data: CausalDataset, estimand: Estimand) -> tuple[Estimate, ...]:
    """Least squares with other valid adjustment sets; none where the mediators are treatments too."""
    found = []
    for names in estimand.alternatives[:_MOST_ALTERNATIVES]:
        if not set(names) <= set(data.names):
            continue
        other = columns(data, estimand, names)
        try:
            fit = ols(other.outcome, other.treatment, other.controls, groups=other.groups)
        except InvalidInput:
            continue
        found.append(replace(fit.estimate, method=f"ols adjusted for {', '.join(names) or 'nothing'}"))
    return tuple(found)
