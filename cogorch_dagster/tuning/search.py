"""The search itself: trials of a study by one or many processes until it has as many as asked for.

The number of trials is the study's, whoever runs them: the same command on another machine joins in. What a worker does
with one trial is `work`; how trials are shared without loss is `trials.py`.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cogorch_dagster.errors import InvalidInput, Unavailable
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.companions import acting
from cogorch_dagster.tuning.ended import Ended, complete, failed
from cogorch_dagster.tuning.journal import error_text
from cogorch_dagster.tuning.objective import Interrupted, Measured, measure, score
from cogorch_dagster.tuning.sampling import check_trials
from cogorch_dagster.tuning.seeds import evaluation_seeds, training_seed
from cogorch_dagster.tuning.study import Plan, Study
from cogorch_dagster.tuning.trials import Trial, Trials
from cogorch_dagster.tuning.workers import POLL_S, share, worker_name

Stop = Callable[[], bool]
Objective = Callable[[Plan, Mapping[str, Any], Stop], list[Measured]]

MOST_TRIALS = 100_000


@dataclass(frozen=True)
class Progress:
    """Where a search stands, whenever a trial has ended.

    Attributes:
        trial: that ended.
        ended: complete or failed, of all workers.
        total: asked for.
        best: of the complete ones, None before the first.
    """

    trial: Trial
    ended: int
    total: int
    best: Trial | None


@dataclass(frozen=True)
class Outcome:
    """What a search left.

    Attributes:
        trials: all of the study, in order.
        best: the highest score, None without a complete trial.
        pareto: what no other surpasses in every objective.
        total: asked for; fewer have ended where the search was stopped.
        lost: workers of this search that died.
    """

    study: Study
    trials: list[Trial]
    best: Trial | None
    pareto: list[Trial]
    total: int
    lost: int = 0

    def count(self, state: Literal["complete", "failed", "running", "waiting"]) -> int:
        """How many trials are in a state."""
        return sum(each.state == state for each in self.trials)

    @property
    def ended(self) -> bool:
        """Whether all trials asked for are complete or failed."""
        return self.count("complete") + self.count("failed") >= self.total


def run(
    settings: Settings,
    study: Study,
    trials: int,
    *,
    workers: int = 1,
    progress: Callable[[Progress], None] | None = None,
    stop: Stop = lambda: False,
    objective: Objective | None = None,
) -> Outcome:
    """Go on with a study until it has so many trials, counting those that it has.

    Args:
        trials: of the whole study, 1 to 100,000.
        workers: processes of this machine, 1 to 256; 1 is the caller's own.
        progress: called for every trial that ends meanwhile, here or elsewhere.
        stop: asked between the steps of a training; True ends the search there. The trials that were running are gone
            on with by the next search, from their beginning.
        objective: what is measured; without it, the real training. For one worker.

    Raises:
        InvalidInput: a number is outside of its range, or the grid has fewer cells.
        Refused: `unknown_study`: it was deleted meanwhile.
        Unavailable: PostgreSQL cannot be reached, or all workers died; everything is kept.
    """
    if not 1 <= trials <= MOST_TRIALS or not 1 <= workers <= 256:
        raise InvalidInput(f"a search has 1 to {MOST_TRIALS} trials and 1 to 256 workers, got {trials} and {workers}")
    check_trials(study.plan.sampler, study.plan.space, trials)
    if workers > 1 and objective is not None:
        raise InvalidInput("an objective of the caller's own is measured by one worker; other processes train")
    objective = objective or real_trainings(settings, study.plan)  # Refuses here rather than in every worker.
    watched = _Watched(Trials(settings, study, worker_name() if workers == 1 else None), trials, progress)
    try:
        lost = 0
        if workers == 1:
            work(watched.trials, trials, objective, stop=stop, told=watched.tell)
        elif not watched.look():
            lost = share(settings, study.name, ("trials", str(trials)), workers, look=watched.look, stop=stop)
        watched.look()
        return watched.outcome(lost)
    finally:
        watched.close()


def work(
    trials: Trials, most: int, objective: Objective, *, stop: Stop = lambda: False, told: Callable[[], object] = bool
) -> None:
    """Run trials in this process until the study has `most` and none is running any more.

    Args:
        trials: as a worker sees them.
        told: called after each, and then with what it came to recorded.

    Raises:
        As `run`.
    """
    ended: Ended | None = None
    while not stop():
        taken = trials.take(most, ended)
        if ended is not None:
            told()
            ended = None
        if taken is None:
            return
        if taken == "wait":
            time.sleep(POLL_S)
            continue
        ended = _carried_out(trials.study.plan, taken, objective, stop)
        if ended is None:
            return
    if ended is not None:
        trials.end(ended)
        told()


def real_trainings(settings: Settings, plan: Plan) -> Objective:
    """One training for each of the plan's seeds, the same ones in every trial.

    Raises:
        Refused, Unavailable: as `companions.acting`. What it gives raises as `measure`.
    """
    beside, seeds = acting(settings, plan.companions), evaluation_seeds(plan.seed, plan.budget)

    def objective(_: Plan, params: Mapping[str, Any], stop: Stop) -> list[Measured]:
        return [
            measure(
                plan.parameters,
                plan.agent,
                params,
                training_seed(plan.seed, number),
                plan.budget,
                seeds=seeds,
                companions=beside,
                stop=stop,
            )
            for number in range(plan.budget.seeds)
        ]

    return objective


def _carried_out(plan: Plan, trial: Trial, objective: Objective, stop: Stop) -> Ended | None:
    """Run a trial: what it came to; None where it was stopped."""
    begun = time.perf_counter()
    try:
        found = objective(plan, trial.params, stop)
        summed = score(found)
    except Interrupted:
        return None
    except Unavailable:
        raise
    except Exception as error:  # What breaks a training says something about its parameters alone.
        return failed(trial.number, error_text(error), time.perf_counter() - begun)
    return complete(plan, trial.number, summed, found, time.perf_counter() - begun)


class _Watched:
    """A search seen from outside: tells of each trial of the study that has ended since the last look."""

    def __init__(self, trials: Trials, total: int, progress: Callable[[Progress], None] | None) -> None:
        self.trials, self._total, self._progress = trials, total, progress
        self._best: Trial | None = None
        self._known: set[int] = set()
        self._known |= {each.number for each in self._news()}

    def look(self) -> bool:
        """Read what others did, and tell; whether all trials asked for have ended."""
        self.trials.refresh()
        self.tell()
        return len(self._known) >= self._total

    def tell(self) -> None:
        """Tell of what this process knows without asking."""
        for trial in self._news():
            self._known.add(trial.number)
            if self._progress is not None:
                self._progress(Progress(trial, len(self._known), self._total, self._best))

    def outcome(self, lost: int) -> Outcome:
        found = self.trials
        return Outcome(found.study, found.all(), found.best(), found.pareto(), self._total, lost)

    def close(self) -> None:
        self.trials.close()

    def _news(self) -> list[Trial]:
        ended, fresh = self.trials.ended, list[Trial]()
        count = len(ended) - len(self._known)
        # They stand at the end, unless the whole journal was read again after a broken connection.
        for number, trial in reversed(ended.items()):
            if len(fresh) == count:
                break
            if number not in self._known:
                fresh.append(trial)
        self._best = max((each for each in (self._best, *fresh) if each and each.values), key=_rank, default=None)
        return fresh[::-1]


def _rank(trial: Trial) -> tuple[float, int]:
    """The higher the better: the score, and the earlier of equals."""
    return (trial.values or (-math.inf,))[0], -trial.number
