"""A worker of a halving study: takes jobs from the ledger, trains, and leaves paused trials on the shelf.

Any number of workers, in processes here or on other machines, share a study by its name; each may be killed at any
moment. Creating a study and judging its result is a matter of the search (`architectures.py`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from cogorch_dagster.errors import Unavailable
from cogorch_dagster.lake import blobs
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.halving import shelf
from cogorch_dagster.tuning.halving.ledger import Claim, Idle, Ledger
from cogorch_dagster.tuning.halving.records import Record
from cogorch_dagster.tuning.halving.resumable import Resumable, Training
from cogorch_dagster.tuning.journal import error_text

# Between two questions for a job where only others have some, s.
PAUSE = 0.2


@dataclass(frozen=True)
class Progress:
    """What has just come of a job.

    Attributes:
        trial, rung: of the job.
        score: at the rung; None where the trial failed.
        error: why it failed.
        spent, budget: steps of the study, those of jobs in work included.
        trials: begun so far.
        best: the trial of the highest score at the highest rung that any has reached; None without any.
    """

    trial: int
    rung: int
    score: float | None
    error: str | None
    spent: int
    budget: int
    trials: int
    best: Record | None


def work(
    settings: Settings,
    ledger: Ledger,
    trials: Resumable,
    *,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Train whatever is next until the study's budget is spent and nobody has a job left.

    A job that is left undone, by `stop` or by any death, is given to the next worker that asks, from the trial's last
    rung on.

    Args:
        ledger: this worker's own.
        progress: called after each job.
        stop: asked between the steps of a training; True ends the work there.

    Returns:
        Whether the study has no more jobs; False where `stop` ended the work.

    Raises:
        Refused: `unknown_study`: it was deleted meanwhile.
        Unavailable: PostgreSQL cannot be reached. OSError: the lake cannot be written or read.
    """
    while not stop():
        found = ledger.claim()
        if found is Idle.done:
            return True
        if isinstance(found, Idle):
            time.sleep(PAUSE)
        elif _do(settings, ledger, trials, found, stop) and progress is not None:
            progress(_progress(ledger, found))
    return False


def _do(settings: Settings, ledger: Ledger, trials: Resumable, claim: Claim, stop: Callable[[], bool]) -> bool:
    """Do a job and report it; whether it was counted."""
    job, began = claim.job, time.monotonic()
    before = _paused(settings, ledger, claim)
    try:
        training: Training = trials.start(claim.values) if before is None else trials.resume(claim.values, before)
        reached = training.reach(claim.level, stop)
        kept = None if reached is None or job.rung == ledger.rule.ladder.top else training.checkpoint()
    except Unavailable:
        raise
    except Exception as error:  # Whatever a configuration breaks is a fact about it, and none about the others.
        return ledger.failed(job, error_text(error))
    if reached is None:
        return False
    if kept is not None:  # Before it is reported: who is promoted has its state.
        blobs.write(shelf.path(settings, ledger.study, job.trial, job.rung), kept)
    if not ledger.reached(job, reached, time.monotonic() - began):
        return False
    shelf.clear(settings, ledger.study, ledger.rule.ladder, ledger.records, ledger.rule.budget)
    return True


def _paused(settings: Settings, ledger: Ledger, claim: Claim) -> bytes | None:
    """The state that a trial goes on from; None at its start."""
    if claim.job.rung == 0:
        return None
    return blobs.read(shelf.path(settings, ledger.study, claim.job.trial, claim.job.rung - 1))


def _progress(ledger: Ledger, claim: Claim) -> Progress:
    record = ledger.records[claim.job.trial]
    reached = record.trial.next_rung > claim.job.rung
    return Progress(
        trial=claim.job.trial,
        rung=claim.job.rung,
        score=record.scores[claim.job.rung] if reached else None,
        error=record.error,
        spent=ledger.spent,
        budget=ledger.rule.budget,
        trials=len(ledger.records),
        best=ledger.best,
    )
