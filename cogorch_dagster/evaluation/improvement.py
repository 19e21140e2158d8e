"""How much better a candidate is than the weights in use, estimated on one log, with two intervals.

`expected_ci95` is for the expected improvement: both policies are estimated on the same decisions, so much of their
error cancels. `ci95`, the wider, is for the difference that will be *measured*: mean reward of fresh traffic under the
candidate minus mean reward of separate traffic under the old weights, each of as many decisions as this estimate rests
on. Its variance is that of the estimate plus the sampling variance of the two means.
"""

from dataclasses import dataclass

import numpy as np

from cogorch_dagster.evaluation.estimators import (
    ESTIMATORS,
    EstimatorName,
    sampling_error,
    standard_error,
)
from cogorch_dagster.evaluation.importance import effective_sample_size, importance
from cogorch_dagster.evaluation.intervals import quantile
from cogorch_dagster.evaluation.outcome_model import predictions
from cogorch_dagster.evaluation.patterns import Floats, Patterns


@dataclass(frozen=True)
class Improvement:
    """Candidate minus baseline by one estimator, in units of the reward."""

    estimator: EstimatorName
    value: float
    ci95: tuple[float, float]
    expected_ci95: tuple[float, float]
    candidate: float
    candidate_se: float
    baseline: float
    baseline_se: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """C candidates against one baseline by one estimator; every array is (C,)."""

    value: Floats
    expected_se: Floats
    measured_se: Floats
    effective_sample_size: Floats
    candidate: Floats
    candidate_se: Floats
    baseline: float
    baseline_se: float

    @property
    def lower(self) -> Floats:
        """Lower 95 % bound of the difference as it will be measured."""
        return np.asarray(self.value - quantile(self.effective_sample_size) * self.measured_se)


def compare(
    patterns: Patterns, candidates: Floats, baseline: Floats, estimators: tuple[EstimatorName, ...]
) -> dict[EstimatorName, Comparison]:
    """Compare candidates with a baseline on one log.

    Args:
        candidates: (C, K), or (C, X, K) with weights of their own for each tenant.
        baseline: (K,), or (X, K).
    """
    new, old = importance(patterns, candidates), importance(patterns, baseline[None])
    ours_expected, theirs_expected = predictions(patterns, new), predictions(patterns, old)
    ess = effective_sample_size(patterns, new.ratio)
    result: dict[EstimatorName, Comparison] = {}
    for name in estimators:
        ours, theirs = ESTIMATORS[name](patterns, new, ours_expected), ESTIMATORS[name](patterns, old, theirs_expected)
        paired = standard_error(patterns, ours - theirs)
        fresh = sampling_error(patterns, new, ours.value) ** 2 + sampling_error(patterns, old, theirs.value) ** 2
        result[name] = Comparison(
            value=ours.value - theirs.value,
            expected_se=paired,
            measured_se=np.asarray(np.sqrt(paired**2 + fresh)),
            effective_sample_size=ess,
            candidate=ours.value,
            candidate_se=standard_error(patterns, ours),
            baseline=float(theirs.value[0]),
            baseline_se=float(standard_error(patterns, theirs)[0]),
        )
    return result


def improvement(patterns: Patterns, candidate: Floats, baseline: Floats, estimator: EstimatorName) -> Improvement:
    """The improvement of one candidate, (K,) or (X, K), over the baseline, likewise."""
    found = compare(patterns, candidate[None], baseline, (estimator,))[estimator]
    value, times = float(found.value[0]), float(quantile(found.effective_sample_size[0]))
    return Improvement(
        estimator=estimator,
        value=value,
        ci95=_interval(value, times * float(found.measured_se[0])),
        expected_ci95=_interval(value, times * float(found.expected_se[0])),
        candidate=float(found.candidate[0]),
        candidate_se=float(found.candidate_se[0]),
        baseline=found.baseline,
        baseline_se=found.baseline_se,
    )


def _interval(value: float, margin: float) -> tuple[float, float]:
    return value - margin, value + margin
