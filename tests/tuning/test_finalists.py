"""The finalists: who they are, that further trainings alone decide, and that each of these is made once."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput, Refused, Unavailable
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import finalists, sharing
from cogorch_dagster.tuning import study as studies
from cogorch_dagster.tuning.budget import Budget
from cogorch_dagster.tuning.confirmation import confirm, fresh_seeds
from cogorch_dagster.tuning.finalists import Finals, Told, decide, finalists_of, standing, winner_of
from cogorch_dagster.tuning.fresh import fresh_seed, fresh_training
from cogorch_dagster.tuning.objective import Interrupted, Measured
from cogorch_dagster.tuning.rejection import Selection
from cogorch_dagster.tuning.search import Stop, run
from cogorch_dagster.tuning.seeds import training_seed
from cogorch_dagster.tuning.study import Plan, Study
from cogorch_dagster.tuning.trials import Trial
from tests.tuning.tiny import PPO, begun, measured, plan, space

PICK = Selection(finalists=3, trainings=3)
# Of the four of them, three looks at each: 2, 2 and 3, so 10 at most.
TOTAL = 2 + 2 + 3 + 3
CUT = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE application_name = 'cogorch tuning' AND datname = current_database()
"""


def searched(settings: Settings, scores: list[float], **changes: Any) -> Study:
    """A study of random trials with these scores, in order."""
    study = begun(settings, **{"sampler": "random", "selection": PICK, **changes})
    left = iter(scores)
    outcome = run(settings, study, len(scores), objective=lambda *_: [measured(next(left))])
    assert outcome.ended
    return study


class Trainings:
    """Further trainings by trial and place, and which of them were made."""

    def __init__(self, settings: Settings, study: Study, value: Callable[[int, int], float]) -> None:
        self.numbers = {str(each.trial.params): each.trial.number for each in standing(settings, study).finalists}
        self.value, self.made = value, list[tuple[int, int]]()

    def __call__(self, plan: Plan, params: Any, place: int, stop: Stop) -> Measured:
        number = self.numbers[str(params)]
        self.made.append((number, place))
        return measured(self.value(number, place))


def test_finalists_are_the_best_scores_and_what_is_in_force() -> None:
    other = [{**PPO, "clip": clip} for clip in (0.1, 0.15, 0.25, 0.3)]
    trials = [
        Trial(0, "complete", PPO, values=(0.1,)),
        Trial(1, "complete", other[0], values=(0.5,)),
        Trial(2, "failed", other[1]),
        Trial(3, "complete", other[0], values=(0.6,)),
        Trial(4, "complete", other[2], values=(0.2,)),
        Trial(5, "running", other[3]),
        Trial(6, "complete", PPO, values=(0.9,)),
    ]

    def numbers(most: int, given: list[Trial] = trials) -> list[int]:
        return [each.number for each in finalists_of(plan(selection=Selection(most)), given)]

    assert numbers(1) == [0, 3]
    assert numbers(5) == [0, 3, 4], "each set of hyperparameters once"
    assert numbers(2, [Trial(0, "failed", PPO), *trials[1:]]) == [0, 3, 4], "it failed once, and may not again"
    assert numbers(1, trials[2:3]) == [] == finalists_of(plan(), trials)


def test_further_trainings_decide_and_scores_do_not(settings: Settings) -> None:
    study, told = searched(settings, [0.2, 0.9, 0.3, 0.8, 0.1]), list[Told]()
    assert standing(settings, study).winner is None
    worth = {0: 0.5, 1: 0.4, 2: 0.7, 3: 0.6}
    train = Trainings(settings, study, lambda number, place: worth[number] + place / 100)
    finals = decide(settings, study, train=train, progress=told.append)
    # The third of the scores wins; the best of them is dropped first.
    assert winner_of(study, finals).number == 2
    assert [each.trial.number for each in finals.finalists] == [2, 3, 0, 1]
    assert [each.dropped for each in finals.finalists] == [None, 3, 2, 2]
    assert finals.finalists[0].returns == pytest.approx((0.7, 0.71, 0.72))
    assert finals.finalists[0].mean == pytest.approx(0.71)
    # t of 97.5 % with 2 degrees of freedom is 4.302653.
    half = 4.302653 * 0.01 / math.sqrt(3)
    assert finals.finalists[0].interval == (pytest.approx(0.71 - half), pytest.approx(0.71 + half))
    assert len(train.made) == len(set(train.made)) == len(told) == TOTAL
    assert sorted(each.done for each in told) == list(range(1, TOTAL + 1)) and {each.total for each in told} == {TOTAL}
    assert {(each.trial, each.place, each.value) for each in told} == {
        (number, place, worth[number] + place / 100) for number, place in train.made
    }
    assert standing(settings, study) == finals
    assert decide(settings, study, train=train) == finals and len(train.made) == TOTAL


def test_what_is_in_force_can_win_and_then_there_is_nothing_to_confirm(settings: Settings) -> None:
    study = searched(settings, [0.1, 0.9, 0.8])
    finals = decide(settings, study, train=Trainings(settings, study, lambda number, _: float(number == 0)))
    assert winner_of(study, finals).number == 0
    # A training would ask `stop`, and be interrupted.
    assert confirm(settings, study, stop=lambda: True) is None


def test_an_interruption_loses_one_training_and_the_rest_is_not_made_again(settings: Settings) -> None:
    study = searched(settings, [0.1, 0.9, 0.8, 0.7])
    train = Trainings(settings, study, lambda number, place: math.sin(7 * number + place))

    def tired(given: Plan, params: Any, place: int, stop: Stop) -> Measured:
        if len(train.made) == 4:
            raise Interrupted
        return train(given, params, place, stop)

    with pytest.raises(Interrupted):
        decide(settings, study, train=tired)
    assert standing(settings, study).done == 4
    finals = decide(settings, study, train=train)
    assert len(train.made) == len(set(train.made)) == finals.done == TOTAL
    whole = searched(settings, [0.1, 0.9, 0.8, 0.7], name="whole")
    again = decide(settings, whole, train=Trainings(settings, whole, train.value))
    assert [each.document() for each in again.finalists] == [each.document() for each in finals.finalists]


def test_a_failed_training_drops_its_finalist_with_the_error(settings: Settings) -> None:
    study = searched(settings, [0.1, 0.9, 0.8, 0.7])

    def value(number: int, place: int) -> float:
        if number in (0, 1):
            raise Refused("training_diverged", "no longer finite")
        return number / 10

    finals = decide(settings, study, train=Trainings(settings, study, value))
    assert winner_of(study, finals).number == 3
    errors = {each.trial.number: each.error for each in finals.finalists}
    assert errors == {
        3: None,
        2: None,
        0: "training_diverged: no longer finite",
        1: "training_diverged: no longer finite",
    }

    def broken(number: int, place: int) -> float:
        raise ValueError("not a number")

    other = searched(settings, [0.1, 0.9], name="other")
    failed = decide(settings, other, train=Trainings(settings, other, broken))
    with pytest.raises(Refused, match=r"every finalist of study other failed.*trial 1: ValueError: not a") as refused:
        winner_of(other, failed)
    assert refused.value.reason == "no_winner" and failed.winner is None


def test_an_unreachable_database_is_no_failure_of_a_finalist(settings: Settings) -> None:
    study = searched(settings, [0.1, 0.9])

    def value(number: int, place: int) -> float:
        raise Unavailable("no server")

    with pytest.raises(Unavailable):
        decide(settings, study, train=Trainings(settings, study, value))
    assert standing(settings, study).done == 0


def test_what_another_process_recorded_first_stands(settings: Settings) -> None:
    study, made = searched(settings, [0.1, 0.9]), list[int]()
    inner = Trainings(settings, study, lambda number, place: number + place / 10)

    def slow(given: Plan, params: Any, place: int, stop: Stop) -> Measured:
        made.append(place)
        if len(made) == 1:
            # It loses its connection, and meanwhile all is done elsewhere.
            with transaction(settings) as connection:
                connection.execute(sa.text(CUT))
            decide(settings, study, train=inner)
        return measured(-9.0)

    finals = decide(settings, study, train=slow)
    assert len(made) == 1 and winner_of(study, finals).number == 1
    assert finals.finalists[0].returns == pytest.approx([1 + place / 10 for place in range(len(inner.made) // 2)])


def test_more_trials_later_may_be_finalists_and_what_is_known_of_others_is_kept(settings: Settings) -> None:
    study = searched(settings, [0.1, 0.9, 0.8])
    first = Trainings(settings, study, lambda number, _: number / 10)
    assert winner_of(study, decide(settings, study, train=first)).number == 2
    run(settings, study, 4, objective=lambda *_: [measured(2.0)])
    assert standing(settings, study).winner is None
    second = Trainings(settings, study, lambda number, _: number / 10)
    finals = decide(settings, study, train=second)
    assert winner_of(study, finals).number == 3
    assert not set(first.made) & set(second.made) and finals.done == TOTAL


def test_without_a_selection_the_best_score_wins_and_without_a_trial_nobody(settings: Settings) -> None:
    study = searched(settings, [0.1, 0.9, 0.8], selection=None)
    assert decide(settings, study) == standing(settings, study)
    assert winner_of(study, standing(settings, study)).number == 1
    for selection in (None, PICK):
        empty = begun(settings, f"empty-{selection is None}".lower(), selection=selection)
        finals = decide(settings, empty)
        assert finals == Finals((), None)
        with pytest.raises(Refused, match=r"no trial of study empty-.* is complete") as refused:
            winner_of(empty, finals)
        assert refused.value.reason == "no_winner"
    open_ = searched(settings, [0.1, 0.9], name="open")
    with pytest.raises(Refused, match="finalists of study open are not trained yet"):
        winner_of(open_, standing(settings, open_))


def test_their_seeds_are_neither_the_searchs_nor_the_confirmations() -> None:
    for given in (plan(), plan(version="1.0.0"), plan(version="2.0.0")):
        own = {fresh_seed(given, "finalists", place) for place in range(100)}
        assert len(own) == 100 and not own & set(fresh_seeds(given, 1000))
        assert not own & {training_seed(given.seed, number) for number in range(1000)}
    assert not own & {fresh_seed(plan(version="1.0.0"), "finalists", place) for place in range(100)}


def test_a_finalist_is_really_trained_and_each_time_on_other_seeds(settings: Settings) -> None:
    study = begun(settings, sampler="random", selection=Selection(1, 3), space=space(names=["learningRate"]))
    run(settings, study, 2, objective=lambda *_: [measured(0.5)])
    finals = decide(settings, study)
    for each in finals.finalists:
        found = [fresh_training(study.plan, each.trial.params, "finalists", place).normalised for place in range(2)]
        assert list(each.returns) == found and len(set(found)) == 2
    best = max(finals.finalists, key=lambda each: each.mean or -math.inf)
    assert winner_of(study, finals) == best.trial
    with transaction(settings) as connection:
        assert studies.get(connection, study.name).plan.selection == Selection(1, 3)


def test_two_processes_choose_whom_one_does(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    # The same trials, so the same trainings.
    alone, shared = (searched(settings, [0.1, 0.9, 0.8], name=name, selection=Selection(2, 2)) for name in ("a", "b"))
    finals, told = decide(settings, alone), list[Told]()
    assert finals.winner is not None and not any(each.error for each in finals.finalists)

    def here(*_: Any) -> Measured:
        raise AssertionError("trained by the one that watches")

    monkeypatch.setattr(finalists, "fresh_training", here)
    found = decide(settings, shared, workers=2, progress=told.append)
    assert [each.document() for each in found.finalists] == [each.document() for each in finals.finalists]
    assert winner_of(shared, found).params == winner_of(alone, finals).params
    assert len({(each.trial, each.place) for each in told}) == len(told) == found.done == found.total
    assert [each.done for each in told] == list(range(1, found.total + 1))
    # Nothing is left, so no process is started.
    monkeypatch.setattr(sharing, "share", here)
    assert decide(settings, shared, workers=2) == found
    with pytest.raises(InvalidInput, match="done by one worker"):
        decide(settings, shared, workers=2, train=here)


def test_a_killed_processs_training_is_done_by_another(settings: Settings) -> None:
    # Far longer than the test, so that the kill meets it.
    study = searched(settings, [0.1, 0.9], selection=Selection(1, 1), budget=Budget(100_000, 2, 2, 1))
    train = Trainings(settings, study, lambda number, _: float(number))
    command = [sys.executable, "-m", "cogorch_dagster.tuning.worker", study.name, str(os.getpid()), "finalists"]
    child = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 60
        while not locks(settings):
            assert time.monotonic() < deadline and child.poll() is None
            time.sleep(0.05)
        with pytest.raises(Interrupted):
            # What it is at is left to it.
            decide(settings, study, train=train, stop=lambda: True)
        assert train.made == [(1, 0)]
    finally:
        child.kill()
        child.wait(30)
    finals = decide(settings, study, train=train)
    assert train.made == [(1, 0), (0, 0)] and winner_of(study, finals).number == 1


def locks(settings: Settings) -> int:
    """Advisory locks that are held in this database."""
    query = "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database WHERE locktype = 'advisory' AND granted"
    with transaction(settings) as connection:
        return int(connection.execute(sa.text(query + " AND datname = current_database()")).scalar_one())
