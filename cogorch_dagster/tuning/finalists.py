"""The finalists of a search: its best trials and what is in force, trained anew, and who of them wins.

The best of many noisy scores is partly luck. So the scores only say who is a finalist; who wins is decided by further
trainings alone, on seeds that neither the search nor the confirmation has, the same ones for all (`fresh.py`), one
finalist after the other being dropped (`rejection.py`). Those who are compared have equally many trainings: shrinking
their means towards a common one, which would take out what luck is left, does not change their order.

Each training is noted with its trial when it is done, and any number of processes share them (`sharing.py`).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cogorch_dagster.errors import InvalidInput, Refused, Unavailable
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.difference import half_width
from cogorch_dagster.tuning.fresh import fresh_training
from cogorch_dagster.tuning.journal import error_text
from cogorch_dagster.tuning.objective import Interrupted, Measured
from cogorch_dagster.tuning.rejection import Contest, contest, most_looks
from cogorch_dagster.tuning.sharing import Piece, finish
from cogorch_dagster.tuning.study import Plan, Study
from cogorch_dagster.tuning.trials import Trial, Trials

Stop = Callable[[], bool]
# Trains hyperparameters for the so-manieth time, as a finalist.
Training = Callable[[Plan, Mapping[str, Any], int, Stop], Measured]

_NOTE = "finalist "
# What the further trainings of a trial came to, by their place, in order.
_Notes = dict[int, Mapping[str, Any]]


@dataclass(frozen=True)
class Finalist:
    """A trial that was trained further.

    Attributes:
        trial: as the search has it; its score does not count any more.
        returns: normalised, of its further trainings, in order.
        dropped: after so many of them; None: it is still in the contest, or has won it.
        error: of a training that failed, which drops it.
    """

    trial: Trial
    returns: tuple[float, ...] = ()
    dropped: int | None = None
    error: str | None = None

    @property
    def mean(self) -> float | None:
        """Of the returns."""
        return float(np.mean(self.returns)) if self.returns else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 %, of the mean by Student's t; None for fewer than two trainings. The winner's is too high: it has won."""
        if self.mean is None or len(self.returns) < 2:
            return None
        half = half_width(self.returns)
        return self.mean - half, self.mean + half

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "trial": self.trial.number,
            "score": None if self.trial.values is None else self.trial.values[0],
            "returns": list(self.returns),
            "mean": self.mean,
            "interval": None if self.interval is None else list(self.interval),
            "dropped": self.dropped,
            "error": self.error,
        }


@dataclass(frozen=True)
class Finals:
    """Where the choice of a winner stands.

    Attributes:
        finalists: the winner or who leads first, then those that were dropped, the last of them first. None for a
            study without a selection, whose best score wins.
        winner: None while there is something to train, and where no trial is complete or all finalists failed.
        done: trainings so far, failed ones included.
        total: that it takes where none fails.
    """

    finalists: tuple[Finalist, ...]
    winner: Trial | None
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Told:
    """One further training, whenever it is done, and how far the choice is.

    Attributes:
        trial: its number.
        place: which training of the trial, from 0.
        value: normalised return; None where it failed.
        error: why it did.
        done, total: as of `Finals`.
    """

    trial: int
    place: int
    value: float | None
    error: str | None
    done: int
    total: int


def standing(settings: Settings, study: Study) -> Finals:
    """Where the choice of a study's winner stands, without training; raises Unavailable without PostgreSQL."""
    trials = Trials(settings, study)
    try:
        return _look(trials)[0]
    finally:
        trials.close()


def decide(
    settings: Settings,
    study: Study,
    *,
    workers: int = 1,
    progress: Callable[[Told], None] | None = None,
    stop: Stop = lambda: False,
    train: Training | None = None,
) -> Finals:
    """Train the finalists until one has won; what was trained before, here or elsewhere, is not trained again.

    A training that fails drops its finalist. Where the study gets more trials later, it may have other finalists.

    Args:
        workers: processes of this machine, 1 to 256; 1 is the caller's own.
        progress: called for each training that is done meanwhile, here or elsewhere.
        stop: asked between the steps of a training.
        train: what is measured; without it, the real training. For one worker.

    Returns:
        Finals with a winner, which may be what is in force; without one as `Finals.winner`.

    Raises:
        InvalidInput: `train` is given for several workers.
        Refused: `unknown_study`: it was deleted meanwhile.
        objective.Interrupted: `stop` said so; the finished trainings are kept.
        Unavailable: PostgreSQL cannot be reached, or all workers died.
    """
    if workers > 1 and train is not None:
        raise InvalidInput("a training of the caller's own is done by one worker; other processes train as studies do")
    trials = Trials(settings, study)

    def do(piece: Piece) -> dict[str, Any]:
        number, place = piece[0], int(piece[1].removeprefix(_NOTE))
        return _outcome(study.plan, trials.ended[number].params, place, train or _real, stop)

    try:
        watched = _Watched(trials, progress)
        finish(settings, trials, ("finalists",), left=watched.left, do=do, workers=workers, stop=stop)
        return watched.finals
    finally:
        trials.close()


def winner_of(study: Study, finals: Finals) -> Trial:
    """Who won; raises Refused(`no_winner`) where no trial is complete, or every finalist failed, or nobody won yet."""
    if finals.winner is not None:
        return finals.winner
    if not finals.finalists:
        raise Refused("no_winner", f"no trial of study {study.name} is complete; `cogorch tune show {study.name}`")
    if all(each.error is not None for each in finals.finalists):
        errors = "; ".join(f"trial {each.trial.number}: {each.error}" for each in finals.finalists)
        raise Refused("no_winner", f"every finalist of study {study.name} failed in a further training: {errors}")
    raise Refused("no_winner", f"the finalists of study {study.name} are not trained yet; go on with it")


def finalists_of(plan: Plan, trials: list[Trial]) -> list[Trial]:
    """What is in force, which is trial 0, and then the best scores, each of other hyperparameters than those before."""
    if plan.selection is None:
        return []
    found = [each for each in trials[:1] if each.state in ("complete", "failed")]
    complete = [each for each in trials if each.values is not None]
    most = len(found) + plan.selection.finalists
    for trial in sorted(complete, key=lambda each: (-(each.values or (0.0,))[0], each.number)):
        if len(found) == most:
            break
        if all(trial.params != other.params for other in found):
            found.append(trial)
    return found if complete else []


class _Watched:
    """A contest as it goes on, here and elsewhere: tells of each training since the last look."""

    def __init__(self, trials: Trials, progress: Callable[[Told], None] | None) -> None:
        self._trials, self._progress = trials, progress
        self.finals, _, notes = _look(trials)
        self._known = {(number, place) for number, own in notes.items() for place in own}

    def left(self) -> list[Piece]:
        """What has to be trained next."""
        self.finals, now, notes = _look(self._trials)
        fresh = [(n, place) for n, own in notes.items() for place in own if (n, place) not in self._known]
        self._known |= set(fresh)
        for done, (number, place) in enumerate(fresh, start=self.finals.done - len(fresh) + 1):
            kept = notes[number][place]
            if self._progress is not None:
                value, error = kept.get("normalised"), kept.get("error")
                self._progress(Told(number, place, value, error, done, self.finals.total))
        return [(number, f"{_NOTE}{place}") for number, place in now.open]


def _look(trials: Trials) -> tuple[Finals, Contest, dict[int, _Notes]]:
    plan, every = trials.study.plan, trials.all()
    arms = {each.number: each for each in finalists_of(plan, every)}
    if plan.selection is None or not arms:
        return Finals((), trials.best()), Contest((), {}, ()), {}
    notes = {number: _notes(trials, number) for number in arms}
    lengths = plan.selection.lengths(len(arms))
    seen = {number: {place: kept.get("normalised") for place, kept in own.items()} for number, own in notes.items()}
    now = contest(list(arms), lengths, seen)
    ranked = [*now.left, *reversed(now.dropped)]
    finalists = tuple(_finalist(arms[number], notes[number], now.dropped.get(number)) for number in ranked)
    winner = None if now.winner is None else arms[now.winner]
    done = sum(len(each.returns) + (each.error is not None) for each in finalists)
    return Finals(finalists, winner, done, most_looks(lengths)), now, notes


def _notes(trials: Trials, number: int) -> _Notes:
    found = {int(n.removeprefix(_NOTE)): kept for n, kept in trials.notes(number).items() if n.startswith(_NOTE)}
    return dict(sorted(found.items()))


def _finalist(trial: Trial, notes: _Notes, dropped: int | None) -> Finalist:
    # A study that had other finalists before may know more than this contest looked at.
    places = [place for place in notes if dropped is None or place < dropped or "error" in notes[place]]
    returns = tuple(notes[place]["normalised"] for place in places if "normalised" in notes[place])
    error = next((notes[place]["error"] for place in places if "error" in notes[place]), None)
    return Finalist(trial, returns, dropped, error)


def _outcome(plan: Plan, params: Mapping[str, Any], place: int, train: Training, stop: Stop) -> dict[str, Any]:
    begun = time.perf_counter()
    try:
        found = train(plan, params, place, stop)
        came: dict[str, Any] = {"normalised": found.normalised, "steps": found.steps}
    except (Interrupted, Unavailable):
        raise
    except Exception as error:  # What breaks a training says something about its parameters alone.
        came = {"error": error_text(error)}
    return came | {"seconds": time.perf_counter() - begun}


def _real(plan: Plan, params: Mapping[str, Any], place: int, stop: Stop) -> Measured:
    return fresh_training(plan, params, "finalists", place, stop)
