"""The record of a halving study, which any number of workers share: who has which job, and what came of it.

Entries of the study's journal (`tuning/journal.py`) are only ever added, under its lock; everything else follows from
reading them (`records.py`). A job is its worker's until it is reported or the worker's connection is gone; then the
next to ask has it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.halving import records, rungs
from cogorch_dagster.tuning.halving.records import Record
from cogorch_dagster.tuning.halving.resumable import Reached
from cogorch_dagster.tuning.halving.rule import Rule
from cogorch_dagster.tuning.halving.rungs import Job
from cogorch_dagster.tuning.journal import Entry, Found, Journal

# After so many workers died over a job, its trial has failed.
MOST_DEATHS = 3


@dataclass(frozen=True)
class Claim:
    """A job that this worker has now.

    Attributes:
        job: see `rungs.Job`.
        values: the trial's parameters.
        level: steps that the trial is then trained for in all.
        again: whether another worker died with it.
    """

    job: Job
    values: Mapping[str, Any]
    level: int
    again: bool


class Idle(Enum):
    """Why there is no job: others still have some that may lead to more, or there will never be one."""

    waiting = "waiting"
    done = "done"


class Ledger:
    """One worker's view of a study's record; for one thread.

    Attributes:
        study: its name.
        rule: of the study.
        worker: a name that no other worker has; None: only to read.
        records: the trials, as of the last call.
    """

    def __init__(self, settings: Settings, study: str, rule: Rule, worker: str | None = None) -> None:
        self.study, self.rule, self.worker = study, rule, worker
        self.records: list[Record] = []
        self._journal, self._read = Journal(settings, study, worker), 0

    @property
    def trials(self) -> list[rungs.Trial]:
        """As the scheduler sees them."""
        return [record.trial for record in self.records]

    @property
    def spent(self) -> int:
        """Steps of the environment, those of jobs in work included."""
        return rungs.spent(self.rule.ladder, self.trials)

    @property
    def best(self) -> Record | None:
        """As `records.best`."""
        return records.best(self.records)

    @property
    def done(self) -> bool:
        """Whether nobody has a job, and there will never be one."""
        running = any(record.status == "running" for record in self.records)
        return not running and rungs.next_job(self.rule.ladder, self.trials, self.rule.budget) is None

    def refresh(self) -> None:
        """Read what was added.

        Raises:
            Unavailable: the server cannot be reached.
        """
        self._take_in(self._journal.read_logs(self._read))

    def claim(self) -> Claim | Idle:
        """The next job, which nobody else has; first those of workers that died, the oldest trial's first.

        Raises:
            Refused: `unknown_study`: it was deleted meanwhile. Unavailable: the server cannot be reached.
        """
        return self._whole(self._claim)

    def reached(self, job: Job, what: Reached, seconds: float) -> bool:
        """Report that a trial reached the rung of its job; False where another worker has the job now.

        Raises:
            As `claim`.
        """
        figures = {name: float(value) for name, value in what.figures.items()}
        said = {"score": float(what.score), "figures": figures, "seconds": round(seconds, 3)}
        return self._whole(lambda: self._report(job, {"op": "reached", "trial": job.trial, **said}))

    def failed(self, job: Job, error: str) -> bool:
        """Report that a trial failed on its way: it has no score there and is never trained on; False as `reached`.

        Args:
            error: as of `journal.error_text`.

        Raises:
            As `claim`.
        """
        return self._whole(lambda: self._report(job, {"op": "failed", "trial": job.trial, "error": error}))

    def close(self) -> None:
        """Give the connection back; what this worker has may be given to others from now on."""
        self._journal.close()

    def _claim(self) -> Claim | Idle:
        if (orphan := self._orphan()) is not None:
            return orphan
        trials = self.trials
        job = rungs.next_job(self.rule.ladder, trials, self.rule.budget)
        if job is None:
            return Idle.waiting if any(trial.status == "running" for trial in trials) else Idle.done
        entry: Entry = {"op": "promote", "trial": job.trial, "worker": self.worker}
        if not job.rung:
            values = self.rule.values(job.trial, trials, {each.number: each.values for each in self.records})
            entry |= {"op": "begin", "values": values}
        self._append(entry)
        return self._claimed(self.records[job.trial], again=False)

    def _orphan(self) -> Claim | None:
        running = [record for record in self.records if record.status == "running"]
        alive = self._journal.alive({record.worker for record in running} - {self.worker})
        for record in running:
            if record.worker == self.worker:
                # Its own it was interrupted in, or has without having learned of it.
                return self._claimed(record, again=False)
            if record.worker in alive:
                continue
            if record.deaths + 1 >= MOST_DEATHS:
                error = f"{record.deaths + 1} workers died over it"
                self._append({"op": "failed", "trial": record.number, "error": error})
                continue
            self._append({"op": "again", "trial": record.number, "worker": self.worker})
            return self._claimed(record, again=True)
        return None

    def _report(self, job: Job, entry: Entry) -> bool:
        record = self.records[job.trial]
        if record.worker != self.worker:
            return False
        if record.status == "running" and record.trial.next_rung == job.rung:
            self._append(entry)
        # Else the call that lost the connection has written it.
        return True

    def _claimed(self, record: Record, *, again: bool) -> Claim:
        rung = record.trial.next_rung
        return Claim(Job(record.number, rung), dict(record.values), self.rule.ladder.levels[rung], again)

    def _append(self, entry: Entry) -> None:
        self._journal.append_logs([entry])
        self._take_in([entry])

    def _take_in(self, entries: list[Entry]) -> None:
        for entry in entries:
            records.apply(self.records, entry)
        self._read += len(entries)

    def _whole(self, act: Callable[[], Found]) -> Found:
        def up_to_date() -> Found:
            self.refresh()
            return act()

        return self._journal.whole(up_to_date, forget=self._forget)

    def _forget(self) -> None:
        self.records, self._read = [], 0
