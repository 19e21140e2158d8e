"""Workers on one study in PostgreSQL: what they do together, and what is left of one that dies."""

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.lake import blobs
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.platform.tables import studies, study_journal
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.halving import rungs, shelf
from cogorch_dagster.tuning.halving.ledger import MOST_DEATHS, Claim, Ledger
from cogorch_dagster.tuning.halving.resumable import Reached
from cogorch_dagster.tuning.halving.rule import Rule
from cogorch_dagster.tuning.halving.rungs import Job
from cogorch_dagster.tuning.halving.working import Progress, work
from cogorch_dagster.tuning.journal import error_text
from tests.tuning.halving.counting import Counting, CountingTrials, rule

STUDY = "counting"


def ledger(settings: Settings, of: Rule | None = None, worker: str | None = None) -> Ledger:
    """A new worker's view of the study, which is made if there is none."""
    of = of or rule()
    with transaction(settings) as connection:
        row = {"name": STUDY, "agent": "ethical", "sort": "architecture", "document": of.document()}
        if connection.scalar(sa.select(sa.func.count()).select_from(studies)) == 0:
            connection.execute(sa.insert(studies).values(**row))
    return Ledger(settings, STUDY, of, worker or uuid.uuid4().hex)


def entries(settings: Settings) -> list[dict[str, Any]]:
    with transaction(settings) as connection:
        return list(connection.scalars(sa.select(study_journal.c.entry).order_by(study_journal.c.number)))


def files(settings: Settings) -> set[str]:
    return set(blobs.written(shelf.folder(settings, STUDY)))


def jobs(settings: Settings) -> Counter[tuple[int, int]]:
    """How often each trial reached each rung."""
    reached: Counter[int] = Counter()
    found: Counter[tuple[int, int]] = Counter()
    for entry in entries(settings):
        if entry["op"] == "reached":
            found[entry["trial"], reached[entry["trial"]]] += 1
            reached[entry["trial"]] += 1
    return found


def test_one_worker_spends_the_budget_and_pauses_and_promotes(settings: Settings) -> None:
    view, trials, told = ledger(settings), CountingTrials(), []
    assert work(settings, view, trials, progress=told.append)
    assert trials.done == view.spent <= 400 < view.spent + 36
    assert len(told) == len(view.records) + trials.starts.count("resume") == len(trials.starts)
    assert trials.starts.count("start") == len(view.records) > 30
    heights = Counter(len(record.scores) for record in view.records)
    assert heights[3] >= 1
    assert heights[2] + heights[3] >= len(view.records) // 3
    last: Progress = told[-1]
    assert (last.spent, last.budget, last.trials) == (view.spent, 400, len(view.records))
    # The best at the top is the best of all that are there, near the truth; and bit for bit as trained through.
    assert view.best is not None
    best = rungs.ranked(view.trials, 2)[0]
    assert view.best is view.records[best.number]
    assert abs(view.best.values["x"] - 0.3) < 0.1
    for record in view.records:
        if record.scores:
            through = Counting(record.values, CountingTrials()).reach(
                view.rule.ladder.levels[len(record.scores) - 1], bool
            )
            assert through == Reached(record.scores[-1], record.figures[-1])
    # Nobody can be promoted any more but those whose files are there.
    dead = rungs.hopeless(view.rule.ladder, view.trials, 400)
    assert files(settings) == {
        f"{t.number:06d}-{len(t.scores) - 1}.safetensors" for t in view.trials if t.number not in dead
    }
    assert len(files(settings)) < len(view.records) / 2


def test_the_same_study_gives_the_same_journal(settings: Settings) -> None:
    first, second = ledger(settings, rule(200, sampler="tpe")), rule(200, sampler="tpe")
    work(settings, first, CountingTrials())
    before = [{k: v for k, v in entry.items() if k not in ("worker", "seconds")} for entry in entries(settings)]
    with transaction(settings) as connection:
        connection.execute(sa.delete(studies))
    work(settings, ledger(settings, Rule.from_document(second.document())), CountingTrials())
    after = [{k: v for k, v in entry.items() if k not in ("worker", "seconds")} for entry in entries(settings)]
    assert before == after


def test_failed_trainings_are_failed_trials_and_no_scores(settings: Settings) -> None:
    view, told = ledger(settings), []
    work(settings, view, CountingTrials(frozenset({1, 2, 3})), progress=told.append)
    failed = [record for record in view.records if record.status == "failed"]
    assert failed
    for record in failed:
        assert len(record.scores) == 1
        assert record.error is not None
        assert record.error.startswith("training_diverged: x 0.")
    assert sum(one.score is None and one.error is not None for one in told) == len(failed)
    numbers = {record.number for record in failed}
    assert not numbers & {int(name[:6]) for name in files(settings)}
    assert all(record.values["n"] not in (1, 2, 3) for record in view.records if len(record.scores) > 1)


def test_a_score_that_is_not_finite_fails_the_trial(settings: Settings) -> None:
    class Endless(CountingTrials):
        def start(self, params: Any) -> Any:
            found = super().start(params)
            found.mark = float("nan")
            return found

    view = ledger(settings)
    work(settings, view, Endless())
    assert {record.status for record in view.records} == {"failed"}
    assert all("InvalidInput: a training came to" in str(record.error) for record in view.records)
    assert view.best is None


def test_workers_share_a_study_without_a_job_twice_or_lost(settings: Settings) -> None:
    of = rule(500)
    views = [ledger(settings, of) for _ in range(3)]
    threads = [threading.Thread(target=work, args=(settings, view, CountingTrials())) for view in views]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    views[0].refresh()
    assert max(jobs(settings).values()) == 1
    assert sum(of.ladder.increment(rung) for _, rung in jobs(settings)) == views[0].spent <= 500
    assert all(record.status == "paused" and record.deaths == 0 for record in views[0].records)
    assert len({record.worker for record in views[0].records}) > 1
    # Trial by trial the same parameters as one worker alone gives them, in whatever order.
    assert [each.values for each in views[0].records[:5]] == [of.values(n, [], {}) for n in range(5)]


def test_a_job_of_a_dead_worker_is_given_out_again_from_its_last_rung(settings: Settings) -> None:
    dying, trials = ledger(settings), CountingTrials()
    while not (isinstance(claim := dying.claim(), Claim) and claim.job.rung == 1):
        assert isinstance(claim, Claim)
        training = trials.start(claim.values)
        reached = training.reach(claim.level, bool)
        assert reached is not None
        blobs.write(shelf.path(settings, STUDY, claim.job.trial, 0), training.checkpoint())
        assert dying.reached(claim.job, reached, 0.0)
    other = ledger(settings)
    # Alive: its job stays its own, also where it asks once more.
    found = other.claim()
    assert isinstance(found, Claim)
    assert found.job != claim.job
    assert other.failed(found.job, error_text(RuntimeError("given up\0")))
    assert dying.claim() == claim
    dying.close()
    assert work(settings, other, CountingTrials())
    again = [entry for entry in entries(settings) if entry["op"] == "again"]
    assert [entry["trial"] for entry in again] == [claim.job.trial]
    record = other.records[claim.job.trial]
    assert record.deaths == 1
    through = Counting(record.values, CountingTrials()).reach(12, bool)
    assert through is not None
    assert record.scores[1] == through.score
    assert other.records[found.job.trial].error == "RuntimeError: given up"
    # What the dead one says now does not count.
    before = entries(settings)
    assert not dying.reached(claim.job, Reached(99.0), 0.0)
    assert not dying.failed(claim.job, "late")
    assert entries(settings) == before


def test_a_job_over_which_workers_die_again_and_again_fails(settings: Settings) -> None:
    for death in range(MOST_DEATHS):
        worker = ledger(settings)
        claim = worker.claim()
        assert isinstance(claim, Claim)
        assert (claim.job, claim.again) == (Job(0, 0), death > 0)
        worker.close()
    last = ledger(settings)
    following = last.claim()
    assert isinstance(following, Claim)
    assert following.job == Job(1, 0)
    assert last.records[0].error == "3 workers died over it"


def test_a_worker_that_is_stopped_leaves_its_job_to_the_next(settings: Settings) -> None:
    view, trials = ledger(settings), CountingTrials()
    assert not work(settings, view, trials, stop=lambda: trials.done >= 30)
    open_jobs = [record.number for record in view.records if record.status == "running"]
    assert len(open_jobs) == 1
    view.close()
    assert work(settings, ledger(settings), trials)
    assert trials.done < 400 + 36
    assert max(jobs(settings).values()) == 1


KILLED = """
import sys
import time

from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.halving.ledger import Ledger
from cogorch_dagster.tuning.halving.working import work
from tests.tuning.halving.counting import Counting, CountingTrials, rule

class Slow(CountingTrials):
    def start(self, params):
        print("started", flush=True)
        return super().start(params)

def stop():
    time.sleep(0.01)
    return False

work(Settings(_env_file=None), Ledger(Settings(_env_file=None), sys.argv[1], rule(200), "killed"), Slow(), stop=stop)
"""


def test_a_killed_process_loses_nothing(settings: Settings) -> None:
    view = ledger(settings, rule(200))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    worker = subprocess.Popen([sys.executable, "-c", KILLED, STUDY], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert worker.stdout is not None
        for _ in range(5):
            assert worker.stdout.readline() == "started\n"
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert work(settings, view, CountingTrials())
    assert max(jobs(settings).values()) == 1
    assert sum(entry["op"] == "again" for entry in entries(settings)) >= 1
    assert all(record.status == "paused" for record in view.records)
    assert sum(view.rule.ladder.increment(rung) for _, rung in jobs(settings)) == view.spent


def test_what_cannot_be_worked_on(settings: Settings) -> None:
    view = ledger(settings)
    with transaction(settings) as connection:
        connection.execute(sa.insert(study_journal).values(study=STUDY, number=0, entry={"op": "reached", "trial": 3}))
    with pytest.raises(InvalidInput, match="the journal is damaged"):
        view.claim()
    with transaction(settings) as connection:
        connection.execute(sa.delete(studies))
    with pytest.raises(Refused, match="there is no study 'counting'") as caught:
        ledger_without_study(settings).claim()
    assert caught.value.reason == "unknown_study"
    with pytest.raises(InvalidInput, match="give at least 84"):
        rule(83)
    with pytest.raises(InvalidInput, match="cannot be read"):
        Rule.from_document({"levels": [1]})


def ledger_without_study(settings: Settings) -> Ledger:
    return Ledger(settings, STUDY, rule(), "late")
