"""The effect of one variable on another: identify, estimate, try to overturn, and say what may be claimed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.effects import query
from cogorch_dagster.causal.effects.answer import Effect, EffectRange
from cogorch_dagster.causal.effects.claim import judged, told
from cogorch_dagster.causal.effects.columns import Columns, columns
from cogorch_dagster.causal.effects.estimation.doubly_robust import Target, doubly_robust
from cogorch_dagster.causal.effects.estimation.estimate import Estimate, Fit, Floats, is_binary
from cogorch_dagster.causal.effects.estimation.form import form
from cogorch_dagster.causal.effects.estimation.frontdoor import frontdoor
from cogorch_dagster.causal.effects.estimation.matching import matching
from cogorch_dagster.causal.effects.estimation.mediation import mediation
from cogorch_dagster.causal.effects.estimation.ols import ols
from cogorch_dagster.causal.effects.estimation.overlap import Overlap, overlap
from cogorch_dagster.causal.effects.estimation.two_stage import two_stage
from cogorch_dagster.causal.effects.identification.identify import identify
from cogorch_dagster.causal.effects.query import Estimand, IdentifiedRange, NotIdentified
from cogorch_dagster.causal.effects.refutation.placebo import placebo
from cogorch_dagster.causal.effects.refutation.random_common_cause import random_common_cause
from cogorch_dagster.causal.effects.refutation.refutation import Refutation
from cogorch_dagster.causal.effects.refutation.sensitivity import Known, Sensitivity, sensitivity
from cogorch_dagster.causal.effects.refutation.subset import subset
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.errors import InvalidInput, Refused

Method = Literal["auto", "ols", "doubly_robust", "matching"]
BENT = 0.001
"""Curves and products that explain more with a smaller p call for the doubly robust estimator."""
_MOST_ALTERNATIVES = 3
_MOST_MATCHED = 10_000


@dataclass(frozen=True)
class _How:
    """The settings of one question."""

    method: Method
    target: Target
    simulations: int
    seed: int


@dataclass(frozen=True, eq=False)
class _Found:
    fit: Fit
    cross_checks: tuple[Estimate, ...]
    choice: str
    propensity: Floats | None = None


def effect(
    data: CausalDataset,
    graph: Graph,
    treatment: str,
    outcome: str,
    *,
    method: Method = "auto",
    effect: query.Effect = "total",
    mediators: Sequence[str] = (),
    selected: Sequence[str] = (),
    latents: Iterable[Iterable[str]] = (),
    target: Target = "ATE",
    simulations: int = 100,
    seed: int = 0,
) -> Effect | EffectRange | NotIdentified:
    """Everything about one effect.

    Args:
        graph: variables without data are taken as hidden.
        method: of back-door estimands. auto: least squares, or doubly robust where curves and products of the controls
            explain more (F test, p below .001) or the treatment is binary and its effect differs with them.
        effect, mediators, selected, latents: as `identify` takes them.
        target: of a binary treatment, the average over all rows or over the treated; ATT is doubly robust or matched.
        simulations: of each refuter, 20 and up; 0: no refuters, and hence no causal claim.
        seed: of everything random.

    Raises:
        InvalidInput: what `identify` does not take, or rows that an estimator cannot use.
        Refused: `no_estimator`, the effect is identified by a formula that has none here.
    """
    if method not in get_args(Method) or target not in get_args(Target):
        raise InvalidInput(f"method {method!r} or target {target!r} is unknown; methods: {', '.join(get_args(Method))}")
    hidden = [name for name in graph.names if name not in data.names]
    answer = identify(
        graph,
        treatment,
        outcome,
        selected=selected,
        effect=effect,
        mediators=mediators,
        unobserved=hidden,
        latents=latents,
    )
    how = _How(method, target, simulations, seed)
    if isinstance(answer, NotIdentified):
        return answer
    if isinstance(answer, IdentifiedRange):
        return _range(data, answer, how)
    return estimated(data, answer, method=method, target=target, simulations=simulations, seed=seed)


def estimated(
    data: CausalDataset,
    estimand: Estimand,
    *,
    method: Method = "auto",
    target: Target = "ATE",
    simulations: int = 100,
    seed: int = 0,
) -> Effect:
    """The effect of one estimand; as `effect` where the graph has been read already.

    Raises:
        InvalidInput, Refused: as `effect`.
    """
    units = _unit(data, estimand.outcome), _unit(data, estimand.treatment)
    if estimand.kind == "zero":
        return _zero(data, estimand, units)
    if estimand.kind == "general":
        raise Refused(
            "no_estimator",
            f"the effect of {estimand.treatment} on {estimand.outcome} is identified by {estimand.formula}, for which "
            "there is no estimator; measure a set that blocks all back doors",
        )
    how = _How(method, target, simulations, seed)
    taken = columns(data, estimand)
    found = _estimate(data, estimand, taken, how)
    if taken.dropped:
        note = f"{taken.dropped} rows with a missing value were left out"
        kept = found.fit.estimate
        found = replace(found, fit=replace(found.fit, estimate=replace(kept, notes=(*kept.notes, note))))
    return _judged(estimand, taken, found, units, how)


def _range(data: CausalDataset, answer: IdentifiedRange, how: _How) -> EffectRange:
    effects = tuple(
        estimated(data, each, method=how.method, target=how.target, simulations=how.simulations, seed=how.seed)
        for each in answer.estimands
    )
    interval = (
        min(each.estimate.interval[0] for each in effects),
        max(each.estimate.interval[1] for each in effects),
    )
    values = [each.estimate.value for each in effects]
    unit = effects[0].unit
    sentences = (
        f"The graph leaves {len(effects)} answers, from {min(values):.4g} to {max(values):.4g} {unit}".rstrip() + ".",
        answer.detail,
        *(each.sentences[0] for each in effects),
    )
    return EffectRange(answer.treatment, answer.outcome, unit, effects, interval, answer.edges, sentences)


def _estimate(data: CausalDataset, estimand: Estimand, taken: Columns, how: _How) -> _Found:
    y, t, z, groups = taken.outcome, taken.treatment, taken.controls, taken.groups
    if estimand.kind == "backdoor":
        return _adjusted(data, estimand, taken, how)
    if how.method != "auto":
        raise InvalidInput(
            f"method {how.method!r} is for back-door estimands, this one is by {estimand.kind}; leave it at auto"
        )
    if estimand.kind == "instrument":
        return _Found(two_stage(y, t, taken.instruments, z, groups=groups).fit, (), "two-stage least squares")
    if estimand.kind == "frontdoor":
        return _Found(frontdoor(y, t, taken.mediators, z, groups=groups), (), "two regressions, front door")
    parts = mediation(y, t, taken.mediators, z, groups=groups)
    return _Found(
        parts.direct if estimand.effect == "direct" else parts.indirect, (), "mediation formula with an interaction"
    )


def _adjusted(data: CausalDataset, estimand: Estimand, taken: Columns, how: _How) -> _Found:
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
        return _Found(replace(straight, estimate=paired), (straight.estimate, *checks), "matching, as asked for")
    if wanted == "ols":
        reason = "least squares, as asked for"
        if how.method == "auto":
            told_by = "" if bent is None else f": curves and products add nothing (p {bent.p:.3f} of {bent.terms})"
            reason = f"least squares{told_by}"
        return _Found(straight, checks, reason)
    robust = doubly_robust(y, t, z, target=how.target, groups=groups, seed=how.seed)
    learners = ", ".join(f"{what} by {by}" for what, by in robust.learners.items())
    if pairs:
        checks = (matching(y, t, z, target=how.target, groups=related), *checks)
    return _Found(robust.fit, (straight.estimate, *checks), f"doubly robust: {learners}", robust.propensity)


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


def _judged(estimand: Estimand, taken: Columns, found: _Found, units: tuple[str, str], how: _How) -> Effect:
    fit = found.fit
    seen = _overlap(estimand, taken, found)
    bound = _bound(estimand, taken, fit)
    refutations = _refutations(fit, how)
    claim, reasons = judged(fit.estimate, seen, bound, refutations, _comparable(found))
    more = [bound.sentence, *(each.sentence for each in refutations)]
    return Effect(
        treatment=estimand.treatment,
        outcome=estimand.outcome,
        unit=_per(units),
        estimand=estimand,
        estimate=fit.estimate,
        cross_checks=found.cross_checks,
        overlap=seen,
        sensitivity=bound,
        refutations=refutations,
        choice=found.choice,
        claim=claim,
        reasons=reasons,
        sentences=told(estimand, fit.estimate, units, claim, reasons, more),
    )


def _comparable(found: _Found) -> tuple[Estimate, ...]:
    """The cross-checks that rest on no stronger assumption than the estimate: straight lines do not judge curves."""
    if found.fit.estimate.method == "ols":
        return found.cross_checks
    return tuple(each for each in found.cross_checks if not each.method.startswith("ols") or "curves" in each.method)


def _refutations(fit: Fit, how: _How) -> tuple[Refutation, ...]:
    if how.simulations == 0:
        return ()
    return (
        placebo(fit, simulations=how.simulations, seed=how.seed),
        random_common_cause(fit, simulations=how.simulations, seed=how.seed),
        subset(fit, simulations=how.simulations, seed=how.seed),
    )


def _overlap(estimand: Estimand, taken: Columns, found: _Found) -> Overlap:
    """Of what moves the treatment: of an instrument, of itself."""
    rows = found.fit.kept
    if estimand.kind == "instrument":
        return overlap(taken.instruments[rows, 0], taken.controls[rows])
    controls = taken.controls
    if estimand.kind == "mediation" and estimand.effect == "direct":
        controls = np.column_stack([controls, taken.mediators])
    return overlap(taken.treatment[rows], controls[rows], propensity=found.propensity)


def _bound(estimand: Estimand, taken: Columns, fit: Fit) -> Sensitivity:
    t, y = taken.treatment[fit.kept], taken.outcome[fit.kept]
    known = None
    if estimand.kind == "backdoor" and taken.names:
        known = Known(y, t, taken.controls[fit.kept], taken.names)
    contrast = float(np.ptp(t)) if is_binary(t) else float(t.std())
    if fit.estimate.target in {"ATE", "ATT"}:
        contrast = 1.0
    return sensitivity(fit, contrast=contrast, outcome_deviation=float(y.std()), known=known)


def _zero(data: CausalDataset, estimand: Estimand, units: tuple[str, str]) -> Effect:
    none = Estimate(0.0, 0.0, (0.0, 0.0), 1.0, "graph", "slope", data.rows, float(data.rows), np.inf, "independent")
    claim, reasons = judged(none, None, None, (), ())
    sentences = told(estimand, none, units, claim, reasons, ())
    return Effect(
        treatment=estimand.treatment,
        outcome=estimand.outcome,
        unit=_per(units),
        estimand=estimand,
        estimate=none,
        cross_checks=(),
        overlap=None,
        sensitivity=None,
        refutations=(),
        choice="the graph has no directed path",
        claim=claim,
        reasons=reasons,
        sentences=sentences,
    )


def _unit(data: CausalDataset, name: str) -> str:
    return data.variables[data.index(name)].unit


def _per(units: tuple[str, str]) -> str:
    return f"{units[0] or '1'} per {units[1] or '1'}" if any(units) else ""
