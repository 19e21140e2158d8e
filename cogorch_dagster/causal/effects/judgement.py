"""An estimate with all that it is judged by: overlap, refuters, bound on hidden confounders, claim, sentences."""

import numpy as np

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.effects.answer import Effect
from cogorch_dagster.causal.effects.choice import Found, How
from cogorch_dagster.causal.effects.claim import judged, told
from cogorch_dagster.causal.effects.columns import Columns
from cogorch_dagster.causal.effects.estimation.estimate import Estimate, Fit, is_binary
from cogorch_dagster.causal.effects.estimation.overlap import Overlap, overlap
from cogorch_dagster.causal.effects.query import Estimand
from cogorch_dagster.causal.effects.refutation.placebo import placebo
from cogorch_dagster.causal.effects.refutation.random_common_cause import random_common_cause
from cogorch_dagster.causal.effects.refutation.refutation import Refutation
from cogorch_dagster.causal.effects.refutation.sensitivity import Known, Sensitivity, sensitivity
from cogorch_dagster.causal.effects.refutation.subset import subset


def judged_effect(data: CausalDataset, estimand: Estimand, taken: Columns, found: Found, how: How) -> Effect:
    """What was found, refuted `how.simulations` times by each refuter."""
    fit, units = found.fit, _units(data, estimand)
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


def _comparable(found: Found) -> tuple[Estimate, ...]:
    """The cross-checks that rest on no stronger assumption than the estimate: straight lines do not judge curves."""
    if found.fit.estimate.method == "ols":
        return found.cross_checks
    return tuple(each for each in found.cross_checks if not each.method.startswith("ols") or "curves" in each.method)


def _refutations(fit: Fit, how: How) -> tuple[Refutation, ...]:
    if how.simulations == 0:
        return ()
    return (
        placebo(fit, simulations=how.simulations, seed=how.seed),
        random_common_cause(fit, simulations=how.simulations, seed=how.seed),
        subset(fit, simulations=how.simulations, seed=how.seed),
    )


def _overlap(estimand: Estimand, taken: Columns, found: Found) -> Overlap:
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


def no_effect(data: CausalDataset, estimand: Estimand) -> Effect:
    """The effect of what has no directed path to the outcome."""
    units = _units(data, estimand)
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


def _units(data: CausalDataset, estimand: Estimand) -> tuple[str, str]:
    """Of outcome and treatment."""
    return (
        data.variables[data.index(estimand.outcome)].unit,
        data.variables[data.index(estimand.treatment)].unit,
    )


def _per(units: tuple[str, str]) -> str:
    return f"{units[0] or '1'} per {units[1] or '1'}" if any(units) else ""
