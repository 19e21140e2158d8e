"""Asynchronous successive halving as a pure rule: which trial is trained next, given what each has reached.

Algorithm 2 of Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning. Who trains, and where the state
of a trial lies meanwhile, is a matter of `working.py` and `ledger.py`.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from cogorch_dagster.errors import InvalidInput

Status = Literal["running", "paused", "failed"]


@dataclass(frozen=True)
class Ladder:
    """The rungs.

    Attributes:
        levels: steps that a trial has been trained for when it reaches each rung, ascending; the last is the full
            training.
        eta: one of this many trials of a rung is promoted to the next, 2 to 16.

    Raises:
        InvalidInput: not so.
    """

    levels: tuple[int, ...]
    eta: int

    def __post_init__(self) -> None:
        if isinstance(self.eta, bool) or not isinstance(self.eta, int) or not 2 <= self.eta <= 16:
            raise InvalidInput(f"eta is {self.eta!r}; it must be a whole number from 2 to 16")
        rising = all(low < high for low, high in zip(self.levels, self.levels[1:], strict=False))
        if not self.levels or self.levels[0] < 1 or not rising:
            raise InvalidInput(f"the rungs are {self.levels}; they must be whole numbers from 1 that rise")

    @property
    def top(self) -> int:
        """The last rung."""
        return len(self.levels) - 1

    def increment(self, rung: int) -> int:
        """Steps from the rung before, or from the start, to this one."""
        return self.levels[rung] - (self.levels[rung - 1] if rung else 0)


def ladder(full: int, *, eta: int = 3, rungs: int = 4, unit: int = 1) -> Ladder:
    """The ladder whose levels are `full`, `full / eta`, `full / eta²` ..., each rounded to `unit`.

    Args:
        full: steps of the whole training, a multiple of `unit`.
        rungs: 1 to 10.
        unit: steps that are only done together, such as one of each fleet.

    Raises:
        InvalidInput: a number is out of its range, or two rungs would be the same.
    """
    if not 1 <= rungs <= 10 or unit < 1 or full < unit or full % unit:
        raise InvalidInput(f"{rungs} rungs to {full} steps: give 1 to 10 rungs and a multiple of {max(unit, 1)} steps")
    whole = full // unit
    if whole < eta ** (rungs - 1):
        most = 1 + int(math.log(whole, max(eta, 2)) + 1e-9)
        raise InvalidInput(f"{full} steps have no room for {rungs} rungs with eta {eta}; give at most {most} rungs")
    return Ladder(tuple(unit * round(whole / eta ** (rungs - 1 - rung)) for rung in range(rungs)), eta)


def bracket(ladder: Ladder) -> int:
    """Steps in which one trial reaches the top, if each rung promotes exactly one in eta."""
    return sum(ladder.eta ** (ladder.top - rung) * ladder.increment(rung) for rung in range(ladder.top + 1))


@dataclass(frozen=True)
class Trial:
    """What a trial has reached.

    Attributes:
        number: of the trial, from 0.
        scores: at each rung that it reached, from the first on; more is better; finite.
        status: running (towards the rung after those reached), paused at the last one reached, or failed on its way.
    """

    number: int
    scores: tuple[float, ...]
    status: Status

    @property
    def next_rung(self) -> int:
        """The one after those reached."""
        return len(self.scores)


@dataclass(frozen=True)
class Job:
    """To train a trial until it reaches a rung; at rung 0 from the start, else from where it was paused."""

    trial: int
    rung: int


def spent(ladder: Ladder, trials: Collection[Trial]) -> int:
    """Steps done or promised: of a running or failed trial, those to the rung that it was on its way to."""
    return sum(ladder.levels[trial.next_rung - (trial.status == "paused")] for trial in trials)


def next_job(ladder: Ladder, trials: Collection[Trial], budget: int) -> Job | None:
    """What is trained next, by as many workers at once as there are: the state is changed before the next question.

    From the highest rung down, the best paused trial among the best floor(n / eta) of the n that reached the rung; if
    no rung has one, a new trial, as long as the budget could still take it to the top.

    Args:
        trials: all so far, numbered 0, 1, ...
        budget: of steps, those promised included.

    Returns:
        None: nothing can be done now. If none is running, never again.
    """
    left = budget - spent(ladder, trials)
    for rung in range(ladder.top - 1, -1, -1):
        if ladder.increment(rung + 1) <= left:
            best = ranked(trials, rung)
            for trial in best[: len(best) // ladder.eta]:
                if _waits_at(trial, rung):
                    return Job(trial.number, rung + 1)
    return Job(len(trials), 0) if ladder.levels[-1] <= left else None


def ranked(trials: Collection[Trial], rung: int) -> list[Trial]:
    """Those that reached a rung, the best there first; of equals the earlier trial."""
    there = [trial for trial in trials if trial.next_rung > rung]
    return sorted(there, key=lambda trial: (-trial.scores[rung], trial.number))


def hopeless(ladder: Ladder, trials: Collection[Trial], budget: int) -> frozenset[int]:
    """Paused trials that `next_job` can never give out again, whatever the others reach.

    A rung promotes more the more trials reach it, and the budget bounds how many can still do so.
    """
    return frozenset(_hopeless(ladder, trials, budget - spent(ladder, trials)))


def _hopeless(ladder: Ladder, trials: Collection[Trial], left: int) -> Iterator[int]:
    for rung in range(ladder.top + 1):
        best = ranked(trials, rung)
        coming = sum(trial.status == "running" and trial.next_rung == rung for trial in trials)
        # A new trial is begun only while its full training could be paid.
        payable = left // ladder.increment(rung) if rung else max(left - ladder.levels[-1], -1) // ladder.levels[0] + 1
        most = (len(best) + coming + payable) // ladder.eta
        affordable = rung < ladder.top and ladder.increment(rung + 1) <= left
        for place, trial in enumerate(best):
            if _waits_at(trial, rung) and (not affordable or place >= most):
                yield trial.number


def _waits_at(trial: Trial, rung: int) -> bool:
    return trial.status == "paused" and trial.next_rung == rung + 1
