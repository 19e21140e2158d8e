"""What a target policy is worth, overall and in every slice, by every estimator, or why the log does not tell."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from cogorch_dagster.evaluation.bandit import LoggedBandit
from cogorch_dagster.evaluation.estimators import (
    EVERY,
    Estimate,
    EstimatorName,
    Influence,
    as_logged,
    doubly_robust,
    estimates,
    standard_error,
)
from cogorch_dagster.evaluation.importance import Importance
from cogorch_dagster.evaluation.intervals import LEVEL, benjamini_hochberg, quantile, two_sided_p
from cogorch_dagster.evaluation.outcome_model import OutcomeModel, predictions
from cogorch_dagster.evaluation.patterns import Floats, Ints, Patterns
from cogorch_dagster.evaluation.support import Refusal, Support, impossible, refusal, support


@dataclass(frozen=True)
class Difference:
    """Target minus baseline, doubly robust, on the same decisions.

    Attributes:
        p: two-sided, of no difference; not corrected.
        interval: overall at 95 %. In a slice corrected for having looked at all of them: at 95 % the marginal interval
            where nothing is found, at 1 - .05 R / m where R of m slices are found.
        found: whether the interval excludes 0 after that correction (Benjamini and Hochberg at 5 %).
    """

    value: float
    se: float
    p: float
    interval: tuple[float, float]
    found: bool


@dataclass(frozen=True)
class Evaluation:
    """The answer for one log. Either a refusal, or estimates by name and the difference from the baseline.

    The difference is None where the log answers about the target and not about the baseline.
    """

    support: Support
    estimates: Mapping[EstimatorName, Estimate]
    difference: Difference | None
    refusal: Refusal | None


@dataclass(frozen=True)
class SliceEvaluation:
    """The answer for the decisions with one label, such as those of one tenant."""

    slicing: str
    label: str
    evaluation: Evaluation


@dataclass(frozen=True)
class Report:
    """The answer overall and by slice; `baseline` is what differences are from."""

    baseline: str
    overall: Evaluation
    slices: tuple[SliceEvaluation, ...]

    def worse(self) -> tuple[SliceEvaluation, ...]:
        """The slices on which the target is found to be worse than the baseline, the worst first."""
        found = [each for each in self.slices if (d := each.evaluation.difference) and d.found and d.value < 0]
        return tuple(sorted(found, key=lambda each: _difference(each).value))


def evaluate(
    patterns: Patterns,
    target: Importance,
    baseline: Importance | None = None,
    *,
    names: Iterable[EstimatorName] = EVERY,
    baseline_name: str = "",
    model: OutcomeModel | None = None,
) -> Report:
    """Evaluate the first candidate of `target` on a log and on each of its slices.

    A slice is a log of its own: its rewards are modelled from its own decisions, unless `model` is given.

    Args:
        baseline: what differences are from; None: the decisions as they were logged.
        model: of the rewards, such as one with features (`forward`); None: means are fitted.
    """
    names = tuple(names)
    overall = _evaluation(patterns, target, baseline, names, model)
    slices = []
    for slicing in patterns.slicings:
        for label, which in slicing.rows():
            part = _part(patterns, target, baseline, which)
            its = None if model is None else model.rows(patterns, which)
            slices.append(SliceEvaluation(slicing.name, label, _evaluation(*part, names, its)))
    name = baseline_name or ("as logged" if baseline is None else "baseline")
    return Report(name, overall, _corrected(tuple(slices)))


def evaluate_bandit(
    logged: LoggedBandit,
    target: Floats,
    baseline: Floats | None = None,
    *,
    names: Iterable[EstimatorName] = EVERY,
    baseline_name: str = "",
) -> Report:
    """Evaluate a target, (K,) or (n, K) probabilities, on decisions logged row by row.

    Raises:
        InvalidInput: a target that is no distribution over the arms.
    """
    if rows := logged.impossible_propensities:
        empty = Support(len(logged), 0.0, 0.0, float("nan"), float("nan"), ())
        return Report(baseline_name, Evaluation(empty, {}, None, impossible(rows, len(logged))), ())
    patterns, ratios = logged.against(*((target,) if baseline is None else (target, baseline)))
    against = ratios[1] if baseline is not None else None
    return evaluate(patterns, ratios[0], against, names=names, baseline_name=baseline_name, model=logged.reward_model)


def _evaluation(
    patterns: Patterns,
    target: Importance,
    baseline: Importance | None,
    names: tuple[EstimatorName, ...],
    model: OutcomeModel | None,
) -> Evaluation:
    found = support(patterns, target)
    refused = refusal(patterns, target, found)
    if refused is not None:
        return Evaluation(found, {}, None, refused)
    known = baseline is None or refusal(patterns, baseline, support(patterns, baseline)) is None
    apart = _from_baseline(patterns, target, baseline, found, model) if known else None
    return Evaluation(found, estimates(patterns, target, names, model), apart, None)


def _from_baseline(
    patterns: Patterns, target: Importance, baseline: Importance | None, found: Support, model: OutcomeModel | None
) -> Difference:
    other = as_logged(patterns) if baseline is None else _influence(patterns, baseline, model)
    apart = _influence(patterns, target, model) - other
    se, ess = standard_error(patterns, apart), np.array([found.effective_sample_size])
    p = float(two_sided_p(apart.value, se, ess)[0])
    value, margin = float(apart.value[0]), float(quantile(ess)[0] * se[0])
    return Difference(value, float(se[0]), p, (value - margin, value + margin), p <= 1.0 - LEVEL)


def _influence(patterns: Patterns, ratios: Importance, model: OutcomeModel | None) -> Influence:
    return doubly_robust(patterns, ratios, predictions(patterns, ratios, model))


def _part(
    patterns: Patterns, target: Importance, baseline: Importance | None, which: Ints
) -> tuple[Patterns, Importance, Importance | None]:
    against = None if baseline is None else baseline.rows(patterns, which)
    return patterns.rows(which), target.rows(patterns, which), against


def _corrected(slices: tuple[SliceEvaluation, ...]) -> tuple[SliceEvaluation, ...]:
    """The slices with what was found among them, and intervals that allow for the selection."""
    answered = [each for each in slices if each.evaluation.difference is not None]
    if not answered:
        return slices
    rejected = benjamini_hochberg(np.array([_difference(each).p for each in answered]))
    level = 1.0 - (1.0 - LEVEL) * max(int(rejected.sum()), 1) / len(answered)
    widened = {}
    for each, found in zip(answered, rejected, strict=True):
        apart = _difference(each)
        times = float(quantile(each.evaluation.support.effective_sample_size, level if found else LEVEL))
        interval = (apart.value - times * apart.se, apart.value + times * apart.se)
        corrected = replace(apart, interval=interval, found=bool(found))
        widened[each.slicing, each.label] = replace(each, evaluation=replace(each.evaluation, difference=corrected))
    return tuple(widened.get((each.slicing, each.label), each) for each in slices)


def _difference(each: SliceEvaluation) -> Difference:
    assert each.evaluation.difference is not None  # noqa: S101  only called for slices that have one
    return each.evaluation.difference
