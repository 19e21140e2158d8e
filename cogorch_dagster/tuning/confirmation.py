"""The confirmation of a winner: trained anew against what is in force, on seeds that the search has never seen.

The best of many trials looks better than it is. Only the difference that is measured here is evidence: both are trained
with the same fresh seed and evaluated on the same fresh fleets, seed by seed (common random numbers).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from cogorch_dagster.agents.comparison.bootstrap import interval, replicates, resampled
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import studies
from cogorch_dagster.tuning import study as hyperparameters
from cogorch_dagster.tuning.objective import Measured, measure
from cogorch_dagster.tuning.seeds import evaluation_seeds, seed_of
from cogorch_dagster.tuning.studies import Planned, Study
from cogorch_dagster.tuning.study import Plan
from cogorch_dagster.tuning.trials import Trial, Trials

Verdict = Literal["better", "not shown", "worse"]

SEEDS = 10
LEVEL = 0.95
# A normalised return: 3 percentage points, from which a difference counts as one.
MARGIN = 0.03
_RESAMPLES = 2_000


@dataclass(frozen=True)
class Difference:
    """What one set of hyperparameters earns over another on the same fresh seeds, in normalised return.

    Attributes:
        differences: by seed.
        mean: of them.
        low, high: of its 95 % interval by Student's t.
        bootstrap: the percentile interval of the mean, for comparison; with few seeds it is too short.
        candidate, baseline: mean normalised returns.
    """

    differences: tuple[float, ...]
    mean: float
    low: float
    high: float
    bootstrap: tuple[float, float]
    candidate: float
    baseline: float

    @property
    def verdict(self) -> Verdict:
        """better: the interval lies above 0; worse: below; not shown: neither."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "not shown"


@dataclass(frozen=True)
class Confirmation:
    """The result of a study.

    Attributes:
        trial: number of the winner.
        params: its complete hyperparameters.
        version: that it was compared with; None: none was in force.
        seeds: of the trainings, all fresh.
        found: the difference to the params of that version.
    """

    study: str
    trial: int
    params: dict[str, Any]
    version: str | None
    seeds: tuple[int, ...]
    found: Difference

    def document(self) -> dict[str, Any]:
        """As JSON, for `studies.result`."""
        return asdict(self) | {"verdict": self.found.verdict, "level": LEVEL}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Confirmation":
        """What `document` was called on."""
        found = dict(document["found"])
        return cls(
            study=document["study"],
            trial=document["trial"],
            params=dict(document["params"]),
            version=document["version"],
            seeds=tuple(document["seeds"]),
            found=Difference(
                differences=tuple(found.pop("differences")), bootstrap=tuple(found.pop("bootstrap")), **found
            ),
        )


def confirm(
    settings: Settings,
    study: Study[Plan],
    *,
    seeds: int = SEEDS,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Confirmation | None:
    """Train the winner and the version in force on fresh seeds, and store the difference as the study's result.

    Seeds count once: what was stored of the same winner on as many seeds is not trained again. Where the winner is what
    is in force there is nothing to confirm: None, without a training and without a result.

    Args:
        seeds: 3 to 1000.
        progress: called with the seeds done and their number.
        stop: asked after every step of a training.

    Raises:
        InvalidInput: too few or too many seeds.
        Refused: `no_winner`: no trial is complete. `training_diverged`: the version in force or the winner cannot be
            trained on a fresh seed, so that nothing is shown.
        objective.Interrupted: `stop` said so; nothing is stored.
    """
    winner = winner_of(settings, study)
    if is_in_force(study.plan, winner.params):
        return None
    found = confirmed(settings, study, winner.number, winner.params, seeds=seeds, progress=progress, stop=stop)
    with transaction(settings) as connection:
        hyperparameters.end(connection, study.name, found.document())
    return found


def confirmed(
    settings: Settings,
    study: Study[Planned],
    trial: int,
    params: Mapping[str, Any],
    *,
    seeds: int = SEEDS,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Confirmation:
    """The confirmation of a trial of a study of any sort, not stored; that of its result where that is the same.

    Args:
        params: complete, of the trial; the others as of `confirm`.

    Raises:
        As `confirm`; `unknown_study`.
    """
    plan, fresh = study.plan, fresh_seeds(study.plan, seeds)
    with transaction(settings) as connection:
        result = studies.row(connection, study.name).result
    if result is not None:
        before = Confirmation.from_document(result)
        if (before.trial, before.params, before.seeds) == (trial, dict(params), fresh):
            return before
    found = compared(plan, params, plan.current, seeds=seeds, progress=progress, stop=stop)
    return Confirmation(study.name, trial, dict(params), plan.version, fresh, found)


def is_in_force(plan: Planned, params: Mapping[str, Any]) -> bool:
    """Whether these are the very hyperparameters that the search was to surpass, as those of trial 0 are."""
    return dict(params) == plan.current


def winner_of(settings: Settings, study: Study[Plan]) -> Trial:
    """The complete trial of the highest score; raises Refused(`no_winner`)."""
    trials = Trials(settings, study)
    try:
        best = trials.best()
    finally:
        trials.close()
    if best is None:
        raise Refused("no_winner", f"no trial of study {study.name} is complete; `cogorch tune show {study.name}`")
    return best


def compared(
    plan: Planned,
    candidate: Mapping[str, Any],
    baseline: Mapping[str, Any],
    *,
    seeds: int = SEEDS,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Difference:
    """Two sets of hyperparameters on the plan's fresh seeds; raises as `confirm`."""
    values = returns(plan, [candidate, baseline], seeds=seeds, progress=progress, stop=stop)
    return difference(values[0], values[1])


def returns(
    plan: Planned,
    arms: Sequence[Mapping[str, Any]],
    *,
    seeds: int = SEEDS,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Normalised returns of several sets of hyperparameters on the plan's fresh seeds, [arms, seeds]."""
    found = np.empty((len(arms), seeds))
    for place, seed in enumerate(fresh_seeds(plan, seeds)):
        for arm, params in enumerate(arms):
            # Equal ones come to the same, bit for bit.
            twin = arms.index(params)
            found[arm, place] = found[twin, place] if twin < arm else _fresh(plan, params, seed, place, stop).normalised
        if progress is not None:
            progress(place + 1, seeds)
    return found


def fresh_seeds(plan: Planned, seeds: int) -> tuple[int, ...]:
    """The training seeds of a confirmation, none of them the search's, nor those on which the baseline was confirmed.

    Raises:
        InvalidInput: fewer than 3 or more than 1000.
    """
    if not 3 <= seeds <= 1000:
        raise InvalidInput(f"a confirmation needs 3 to 1000 seeds, got {seeds}")
    return tuple(seed_of(plan.seed, _purpose(plan), place) for place in range(seeds))


def difference(candidate: Sequence[float], baseline: Sequence[float]) -> Difference:
    """The paired difference of returns on the same seeds, with its intervals.

    Raises:
        InvalidInput: fewer than 3 seeds, or not as many of both.
    """
    from scipy.special import stdtrit

    first, second = np.asarray(candidate, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    n = len(first)
    if n < 3 or len(second) != n:
        raise InvalidInput(f"a paired difference needs 3 or more seeds of both, got {n} and {len(second)}")
    gains = first - second
    mean = float(gains.mean())
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * float(gains.std(ddof=1)) / math.sqrt(n)
    low, high = interval(replicates(gains, resampled(n, count=_RESAMPLES, seed=0), "mean"), LEVEL)
    return Difference(
        differences=tuple(gains.tolist()),
        mean=mean,
        low=mean - half,
        high=mean + half,
        bootstrap=(float(low), float(high)),
        candidate=float(first.mean()),
        baseline=float(second.mean()),
    )


def _purpose(plan: Planned) -> str:
    # What is in force may have won on the seeds of the version before it.
    return "confirmation" if plan.version is None else f"confirmation against {plan.version}"


def _fresh(
    plan: Planned, params: Mapping[str, Any], seed: int, place: int, stop: Callable[[], bool] | None
) -> Measured:
    # Other fleets for every seed, so that the interval covers them too.
    seeds = evaluation_seeds(plan.seed, plan.budget, f"{_purpose(plan)} {place} evaluation")
    return measure(plan.parameters, plan.agent, params, seed, plan.budget, seeds=seeds, stop=stop)
