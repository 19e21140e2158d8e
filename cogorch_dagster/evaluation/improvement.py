"""How much better a candidate is than the weights in use, estimated on one log, with two intervals.

`expected_ci95` is for the expected improvement: both policies are estimated on the same decisions, so much of their
error cancels. `ci95`, the wider, is for the difference that will be *measured*: mean reward of fresh traffic under the
candidate minus mean reward of separate traffic under the old weights, each of as many decisions as this estimate rests
on. Its variance is that of the estimate plus the sampling variance of the two means.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cogorch_dagster.evaluation.estimators import (
    ESTIMATORS,
    EstimatorName,
    Influence,
    sampling_error,
    standard_error,
)
from cogorch_dagster.evaluation.importance import effective_sample_size, importance
from cogorch_dagster.evaluation.intervals import quantile
from cogorch_dagster.evaluation.outcome_model import OutcomeModel, fitted, predictions
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


@dataclass(frozen=True, eq=False)
class Baseline:
    """What a comparison needs of the log and of the policy that candidates are compared with, whatever they are.

    Attributes:
        influence: by estimator, of the baseline's value.
        se: by estimator, of that value.
        sampling_variance: by estimator, (1,) of a plain mean of as many fresh decisions.
    """

    patterns: Patterns
    model: OutcomeModel
    influence: Mapping[EstimatorName, Influence]
    se: Mapping[EstimatorName, float]
    sampling_variance: Mapping[EstimatorName, Floats]

    @classmethod
    def of(
        cls,
        patterns: Patterns,
        weights: Floats,
        estimators: tuple[EstimatorName, ...],
        model: OutcomeModel | None = None,
    ) -> "Baseline":
        """The weights, (K,) or (X, K) with some of their own for each tenant, on a log; `model` as in `compare`."""
        ratios, model = importance(patterns, weights[None]), model or fitted(patterns)
        expected = predictions(patterns, ratios, model)
        influence = {name: ESTIMATORS[name](patterns, ratios, expected) for name in estimators}
        se = {name: float(standard_error(patterns, each)[0]) for name, each in influence.items()}
        variance = {name: sampling_error(patterns, ratios, each.value) ** 2 for name, each in influence.items()}
        return cls(patterns, model, influence, se, variance)

    def compare(self, candidates: Floats) -> dict[EstimatorName, Comparison]:
        """Compare candidates, (C, K) or (C, X, K), with the baseline."""
        patterns = self.patterns
        ratios = importance(patterns, candidates)
        expected = predictions(patterns, ratios, self.model)
        ess = effective_sample_size(patterns, ratios.ratio)
        result: dict[EstimatorName, Comparison] = {}
        for name, theirs in self.influence.items():
            ours = ESTIMATORS[name](patterns, ratios, expected)
            paired = standard_error(patterns, ours - theirs)
            fresh = sampling_error(patterns, ratios, ours.value) ** 2 + self.sampling_variance[name]
            result[name] = Comparison(
                value=ours.value - theirs.value,
                expected_se=paired,
                measured_se=np.asarray(np.sqrt(paired**2 + fresh)),
                effective_sample_size=ess,
                candidate=ours.value,
                candidate_se=standard_error(patterns, ours),
                baseline=float(theirs.value[0]),
                baseline_se=self.se[name],
            )
        return result


def compare(
    patterns: Patterns,
    candidates: Floats,
    baseline: Floats,
    estimators: tuple[EstimatorName, ...],
    model: OutcomeModel | None = None,
) -> dict[EstimatorName, Comparison]:
    """Compare candidates with a baseline on one log; a `Baseline` where that is done many times.

    Args:
        candidates: (C, K), or (C, X, K) with weights of their own for each tenant.
        baseline: (K,), or (X, K).
        model: of the rewards, such as one with features (`forward`); None: means are fitted.
    """
    return Baseline.of(patterns, baseline, estimators, model).compare(candidates)


def improvement(
    patterns: Patterns,
    candidate: Floats,
    baseline: Floats,
    estimator: EstimatorName,
    model: OutcomeModel | None = None,
) -> Improvement:
    """The improvement of one candidate, (K,) or (X, K), over the baseline, likewise."""
    found = compare(patterns, candidate[None], baseline, (estimator,), model)[estimator]
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
