"""A study's trials: what they came to with the next one, whatever breaks; in a journal that Optuna itself reads."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import optuna
import psycopg
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import trials as module
from cogorch_dagster.tuning.ended import Ended, complete, failed
from cogorch_dagster.tuning.journal import Journal
from cogorch_dagster.tuning.objective import score
from cogorch_dagster.tuning.search import run, work
from cogorch_dagster.tuning.study import Study
from cogorch_dagster.tuning.trials import Trial, Trials
from tests.tuning.test_journal import FORK, cut
from tests.tuning.tiny import begun, bowl


@pytest.fixture
def trials(settings: Settings) -> Iterator[Trials]:
    found = Trials(settings, begun(settings), "me")
    yield found
    found.close()


def measured(trials: Trials, trial: Trial) -> Ended:
    found = bowl(trials.study.plan, trial.params, bool)
    return complete(trials.study.plan, trial.number, score(found), found, 0.5)


def taken(trials: Trials, after: Ended | None = None) -> Trial:
    found = trials.take(1000, after)
    assert isinstance(found, Trial)
    return found


def end_one(trials: Trials) -> int:
    trial = taken(trials)
    assert trials.end(measured(trials, trial))
    return trial.number


def searched(trials: Trials, count: int) -> list[Trial]:
    trial = taken(trials)
    for _ in range(count - 1):
        trial = taken(trials, measured(trials, trial))
    assert trials.take(count, measured(trials, trial)) is None
    return trials.all()


def opened(settings: Settings, trials: Trials) -> optuna.Study:
    """The study as any tool of Optuna's has it, over the journal alone."""
    storage = optuna.storages.JournalStorage(Journal(settings, trials.study.name))  # type: ignore[arg-type]
    return optuna.load_study(storage=storage, study_name=trials.study.name)


@pytest.mark.parametrize("sampler", ["random", "tpe", "cma-es", "gp"])
def test_optuna_itself_reads_the_trials_and_goes_on_with_them(settings: Settings, sampler: str) -> None:
    trials = Trials(settings, begun(settings, sampler=sampler), "me")
    space, ours = trials.study.plan.space, searched(trials, 6)
    assert trials.end(failed(taken(trials).number, "bad luck", 1.0))
    open_one = taken(trials)
    study = opened(settings, trials)
    theirs = study.get_trials()
    assert [each.state.name for each in theirs] == ["COMPLETE"] * 6 + ["FAIL", "RUNNING"]
    assert [each.number for each in theirs] == [each._trial_id for each in theirs] == list(range(8))
    for our, their in zip([*ours, trials.all()[6], open_one], theirs, strict=True):
        assert space.of_internal(their.params) == our.params
        assert their.distributions == space.distributions()
        assert (their.user_attrs["params"], their.user_attrs["worker"]) == (our.params, "me")
        assert (None if their.values is None else tuple(their.values)) == our.values
        assert their.user_attrs.get("seconds") == our.seconds and their.user_attrs.get("error") == our.error
        assert their.datetime_start is not None
        assert (their.datetime_complete is None) == (their.state.name == "RUNNING")
    best = trials.best()
    assert best is not None and study.best_trial.number == best.number
    assert [each.number for each in study.best_trials] == [each.number for each in trials.pareto()]
    study.sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=3)
    study.optimize(lambda trial: sum(space.unit(space.suggest(trial))), n_trials=2)
    assert [each.state for each in trials.all()[7:]] == ["running", "complete", "complete"]
    assert trials.end(measured(trials, open_one))
    trials.close()


def test_a_journal_that_optunas_own_calls_have_written_is_gone_on_with(settings: Settings, trials: Trials) -> None:
    space, maximise = trials.study.plan.space, optuna.study.StudyDirection.MAXIMIZE
    storage = optuna.storages.JournalStorage(Journal(settings, "tiny"))  # type: ignore[arg-type]
    study = optuna.create_study(storage=storage, study_name="tiny", directions=[maximise])
    params = [trials.study.plan.current, *(space.drawn(seed) for seed in range(3))]
    for each in params:
        study.enqueue_trial(space.internal(each))
        asked = study.ask(space.distributions())
        for name, value in {"worker": "gone", "attempts": 1, "params": each}.items():
            asked.set_user_attr(name, value)
        if each is not params[-1]:
            study.tell(asked.number, sum(space.unit(each)))
    orphan = taken(trials)
    assert (orphan.number, orphan.params, orphan.attempts) == (3, params[-1], 2)
    assert taken(trials, measured(trials, orphan)).number == 4
    assert [each.params for each in trials.all()[:4]] == params
    assert [each.state for each in trials.all()] == ["complete"] * 4 + ["running"]


def breaking(monkeypatch: pytest.MonkeyPatch, settings: Settings, after_commit: bool) -> list[int]:
    """Let every third transaction of psycopg's lose its connection, before or after the server has committed."""
    whole, count, broken = psycopg.Transaction.__exit__, [0], []

    def leave(self: Any, kind: Any, error: Any, trace: Any) -> Any:
        count[0] += 1
        if kind is not None or count[0] % 3:
            return whole(self, kind, error, trace)
        broken.append(count[0])
        if not after_commit:
            cut(settings)
            return whole(self, kind, error, trace)
        whole(self, kind, error, trace)
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(psycopg.Transaction, "__exit__", leave)
    return broken


@pytest.mark.parametrize("after_commit", [False, True])
def test_a_connection_that_breaks_at_the_commit_loses_and_doubles_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, after_commit: bool
) -> None:
    whole, torn = (begun(settings, name, sampler="random") for name in ("whole", "torn"))
    expected, told = run(settings, whole, 9, objective=bowl), []
    broken = breaking(monkeypatch, settings, after_commit)
    found = run(settings, torn, 9, objective=bowl, progress=told.append)
    assert len(broken) >= 4
    assert [each.params for each in found.trials] == [each.params for each in expected.trials]
    assert [each.values for each in found.trials] == [each.values for each in expected.trials]
    assert [(each.trial.number, each.ended) for each in told] == [(number, number + 1) for number in range(9)]
    assert [each.best for each in told] == [max(found.trials[: n + 1], key=lambda t: t.values) for n in range(9)]


def _dies(settings: Settings, study: Study, waits: int) -> None:
    """A worker that is killed when it waits for the server for the so-manieth time, whose work may be done or not."""
    whole, left = psycopg.Connection.wait, [waits]

    def wait(self: Any, *args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, *args, **kwargs)

    psycopg.Connection.wait = wait  # type: ignore[method-assign]
    work(Trials(settings, study, f"dies at {waits}"), 1000, bowl)


def test_a_worker_killed_at_any_moment_loses_and_doubles_nothing(settings: Settings) -> None:
    torn, known = begun(settings, "torn", sampler="random"), 0
    for waits in range(1, 24):
        child = FORK.Process(target=_dies, args=(settings, torn, waits))
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
        found = run(settings, torn, max(known, 1), objective=bowl)
        assert len(found.trials) >= known and found.count("complete") == len(found.trials) and found.ended
        known = len(found.trials)
    assert known >= 20 and {each.attempts for each in found.trials} == {1, 2}
    whole = run(settings, begun(settings, "whole", sampler="random"), known, objective=bowl)
    assert [each.params for each in found.trials] == [each.params for each in whole.trials]
    assert [each.values for each in found.trials] == [each.values for each in whole.trials]


def test_what_a_trial_came_to_is_kept_where_none_can_be_taken(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    first = taken(trials)
    monkeypatch.setattr(module, "proposal", broken)
    with pytest.raises(ZeroDivisionError):
        trials.take(2, measured(trials, first))
    assert [each.state for each in trials.all()] == ["complete"]


def test_what_another_worker_has_by_now_is_not_recorded_with_the_next(settings: Settings) -> None:
    study = begun(settings)
    slow, quick = Trials(settings, study, "slow"), Trials(settings, study, "quick")
    late = measured(slow, taken(slow))
    slow._journal.close()
    while quick.take(1) == "wait":
        pass
    assert taken(slow, late).number > 0
    assert (quick.all()[0].state, quick.all()[0].worker) == ("running", "quick")
    slow.close()
    quick.close()


def calls(act: Callable[[], object]) -> int:
    """How many functions are called meanwhile, of Python's and of C's: what it costs, without a clock."""
    count = [0]

    def note(_: Any, event: str, __: Any) -> None:
        count[0] += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count[0]


def test_a_trial_costs_no_more_in_a_larger_study(settings: Settings) -> None:
    costs, watching = {}, []
    study = begun(settings, sampler="random")
    trials, other = Trials(settings, study, "me"), Trials(settings, study)
    trial = taken(trials)
    for number in range(60):
        ended = measured(trials, trial)

        def step(ended: Ended = ended) -> None:
            nonlocal trial
            trial = taken(trials, ended)
            watching.append(len(trials.ended))
            other.refresh()
            watching.append(len(other.ended))

        costs[number] = calls(step)
    assert watching == [count for number in range(60) for count in (number + 1, number + 1)]
    assert max(costs[number] for number in range(50, 60)) < 1.1 * min(costs[number] for number in range(10, 20))
    trials.close()
    other.close()


def test_notes_are_added_to_a_trial_that_has_ended_and_the_first_stays(trials: Trials, settings: Settings) -> None:
    assert [end_one(trials) for _ in range(12)] == list(range(12))
    before = trials.all()
    assert trials.note(1, "again", {"value": 0.1 + 0.2}) == {"value": 0.1 + 0.2}
    assert trials.note(1, "more", [1]) == [1] and trials.note(11, "again", None) is None
    other = Trials(settings, trials.study, "other")
    assert other.note(1, "again", {"value": 7.0}) == {"value": 0.1 + 0.2}
    cut(settings)
    assert other.note(1, "last", "") == ""
    for each in (trials, other):
        assert each.notes(1) == {"again": {"value": 0.1 + 0.2}, "more": [1], "last": ""}
        assert (each.notes(11), each.notes(0)) == ({"again": None}, {})
        assert each.all() == before
    other.close()


def test_only_a_trial_that_has_ended_is_noted_of(trials: Trials) -> None:
    assert trials.take(1) is not None
    for number in (0, 1, -1):
        with pytest.raises(InvalidInput, match=f"trial {number} of study tiny has not ended"):
            trials.note(number, "again", 1)
    assert trials.end(failed(0, "bad luck", 1.0))
    assert trials.note(0, "again", 1) == 1
    with pytest.raises(ValueError, match="JSON"):
        trials.note(0, "other", float("nan"))
    assert trials.notes(0) == {"again": 1}
