"""The search: every trial asked for, once, whoever dies over it; failures as failures; the same for the same seed."""

import os
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

from cogorch_dagster.agents.training.joint import JointTraining
from cogorch_dagster.errors import InvalidInput, Unavailable
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import search
from cogorch_dagster.tuning.budget import Budget
from cogorch_dagster.tuning.ended import complete, failed
from cogorch_dagster.tuning.objective import Measured, measure, score
from cogorch_dagster.tuning.sampling import SAMPLERS
from cogorch_dagster.tuning.search import run
from cogorch_dagster.tuning.seeds import evaluation_seeds, training_seed
from cogorch_dagster.tuning.study import Study
from cogorch_dagster.tuning.trials import MOST_ATTEMPTS, Trials
from cogorch_dagster.tuning.workers import share
from tests.tuning.tiny import BUDGET, PPO, begun, bowl, fleet, space


def params(settings: Settings, study: Study) -> list[dict[str, Any]]:
    trials = Trials(settings, study)
    try:
        return [each.params for each in trials.all()]
    finally:
        trials.close()


def test_real_trainings_with_common_seeds_and_what_they_earn(settings: Settings) -> None:
    study, told = begun(settings), []
    found = run(settings, study, 4, progress=told.append)
    assert found.ended and found.count("complete") == 4
    assert [(each.trial.number, each.ended, each.total) for each in told] == [(n, n + 1, 4) for n in range(4)]
    assert found.trials[0].params == PPO
    assert len({str(each.params) for each in found.trials}) == 4
    best = found.best
    assert best is not None and best.values == max(each.values for each in found.trials if each.values)
    again = [
        measure(fleet(), "ethical", best.params, training_seed(0, n), BUDGET, seeds=evaluation_seeds(0, BUDGET))
        for n in range(2)
    ]
    assert best.mean == pytest.approx(np.mean([each.normalised for each in again]), abs=1e-12)
    assert best.steps == 2 * 2 * 10 * 2


def test_a_study_is_the_same_every_time_also_where_it_was_stopped(settings: Settings) -> None:
    few = space(names=["learningRate", "clip", "epochs"])
    for sampler in SAMPLERS:
        whole, halves = (begun(settings, f"{name}-{sampler}", sampler=sampler, space=few) for name in ("one", "two"))
        found = run(settings, whole, 12, objective=bowl)
        run(settings, halves, 5, objective=bowl)
        assert run(settings, halves, 12, objective=bowl).count("complete") == 12
        assert (sampler, params(settings, whole)) == (sampler, params(settings, halves))
        assert run(settings, whole, 12, objective=bowl).trials == found.trials


def test_samplers_find_what_random_trials_do_not(settings: Settings) -> None:
    best = {}
    for sampler, trials in (("random", 60), ("tpe", 40), ("cma-es", 60), ("gp", 14)):
        found = run(settings, begun(settings, sampler, sampler=sampler), trials, objective=bowl).best
        assert found is not None and found.values is not None
        best[sampler] = found.values[0]
    assert min(best[sampler] for sampler in ("tpe", "cma-es", "gp")) > max(0.97, best["random"])


def test_a_grid_tries_every_cell_once(settings: Settings) -> None:
    few = space(names=["clip", "epochs"])
    study = begun(settings, sampler="grid", space=few)
    found = run(settings, study, 10, objective=bowl)
    tried = {(each.params["clip"], each.params["epochs"]) for each in found.trials[1:]}
    assert tried == {(each["clip"], each["epochs"]) for each in few.grid(3)} and len(tried) == 9
    with pytest.raises(InvalidInput, match="the grid has 9 cells; ask for at most one trial more, not 11"):
        run(settings, study, 11, objective=bowl)


def test_a_failed_training_is_a_failed_trial_with_its_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, limit = JointTraining._reward, 1e-3

    def broken(self: JointTraining, step: Any, agent: Any) -> Any:
        rate = self.configuration.settings_of(agent)["learning_rate"]
        return whole(self, step, agent) * np.float32(1e25 if rate > limit else 1)

    monkeypatch.setattr(JointTraining, "_reward", broken)
    found = run(settings, begun(settings, space=space(names=["learningRate"])), 6)
    diverged = [each for each in found.trials if each.params["learningRate"] > limit]
    assert 0 < len(diverged) < 6 and found.ended
    assert [each for each in found.trials if each.state == "failed"] == diverged
    assert all("no longer finite" in (each.error or "") and each.values is None for each in diverged)
    assert found.best is not None and found.best.params["learningRate"] <= limit


def test_without_a_complete_trial_there_is_no_best(settings: Settings) -> None:
    def broken(*_: Any) -> list[Measured]:
        raise RuntimeError("bad\0 luck")

    found = run(settings, begun(settings), 2, objective=broken)
    assert (found.best, found.pareto, found.count("failed")) == (None, [], 2)
    assert found.trials[0].error == "RuntimeError: bad luck"


def test_several_objectives_have_a_front(settings: Settings) -> None:
    def both(plan: Any, tried: Any, _: Any) -> list[Measured]:
        place = plan.space.unit(tried)[0]
        return [Measured(place, place, 1 - place if place > 0.5 else 2.0, place, 1, (place,))]

    one = space(names=["clip"])
    objectives = ("reward", "conflicts", "latency")
    found = run(settings, begun(settings, objectives=objectives, space=one), 10, objective=both)
    every = {each.number: each.values for each in found.trials if each.values}
    front = {
        number
        for number, own in every.items()
        if not any(o[0] >= own[0] and o[1] <= own[1] and o[2] <= own[2] and o != own for o in every.values())
    }
    assert {each.number for each in found.pareto} == front
    assert found.best is not None and found.best.values == max(every.values())


def test_an_interrupted_trial_is_gone_on_with(settings: Settings) -> None:
    study, asked = begun(settings), []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 100

    first = run(settings, study, 3, stop=stop)
    assert not first.ended and first.count("running") == 1
    second = run(settings, study, 3)
    assert second.count("complete") == len(second.trials) == 3
    open_then = next(each for each in first.trials if each.state == "running")
    assert second.trials[open_then.number].params == open_then.params
    assert second.trials[open_then.number].attempts == 2


def until(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_workers_trial_is_taken_over_without_loss_or_repetition(settings: Settings) -> None:
    # The first training is far longer than the test, so that the kill meets it.
    study = begun(settings, budget=Budget(100_000, 2, 2, 1))
    command = [sys.executable, "-m", "cogorch_dagster.tuning.worker", study.name, str(os.getpid()), "trials", "6"]
    child = subprocess.Popen(command)
    trials = Trials(settings, study, "watching")
    try:
        until(lambda: [each.state for each in trials.all()] == ["running"])
        assert trials.take(1) == "wait"
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(30)
    orphaned = trials.all()[0]
    until(lambda: trials._journal.alive([orphaned.worker or ""]) == set())
    trials.close()
    found = run(settings, study, 6, objective=bowl)
    assert [each.number for each in found.trials] == list(range(6)) and found.count("complete") == 6
    assert (found.trials[0].params, found.trials[0].attempts) == (orphaned.params, 2)
    assert len({str(each.params) for each in found.trials}) == 6


def test_a_trial_over_which_every_worker_dies_fails(settings: Settings) -> None:
    study = begun(settings)
    for attempt in range(MOST_ATTEMPTS):
        trials = Trials(settings, study, f"worker {attempt}")
        taken = trials.take(1)
        assert taken not in (None, "wait") and taken.number == 0  # type: ignore[union-attr]
        trials.close()
    found = run(settings, study, 1, objective=bowl)
    assert found.ended and found.trials[0].error == f"its worker died {MOST_ATTEMPTS} times"


def test_what_a_slow_worker_brings_too_late_does_not_count(settings: Settings) -> None:
    study = begun(settings)
    slow, quick = Trials(settings, study, "slow"), Trials(settings, study, "quick")
    assert slow.take(1) is not None
    slow._journal.close()
    until(lambda: quick.take(1) != "wait")
    assert not slow.end(failed(0, "too late", 1.0))
    assert quick.end(failed(0, "in time", 1.0))
    assert [each.error for each in quick.all()] == ["in time"]
    slow.close()
    quick.close()


def test_workers_share_the_trials(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    study = begun(settings)
    here = Trials(settings, study, "here")
    held = here.take(4)
    assert held is not None and held != "wait"

    def look() -> bool:
        """Ends the trial that is held here when all others have ended elsewhere."""
        done = sum(each.state == "complete" for each in here.all())
        if done == 3:
            measured = bowl(study.plan, held.params, bool)
            assert here.end(complete(study.plan, held.number, score(measured), measured, 0.0))
        return done == 4

    assert share(settings, study.name, ("trials", "4"), 1, look=look, stop=bool) == 0
    workers = [each.worker for each in here.all()]
    here.close()
    assert workers[0] == "here" and len(set(workers[1:])) == 1 and workers[1] != "here"
    # Nothing is left to two more, and they are not started.
    monkeypatch.setattr(search, "share", lambda *_, **__: pytest.fail("started"))
    found = run(settings, study, 4, workers=2)
    assert found.count("complete") == len(found.trials) == 4 and found.lost == 0
    assert len({str(each.params) for each in found.trials}) == 4


def test_workers_that_all_die_are_reported(settings: Settings) -> None:
    with pytest.raises(Unavailable, match=r"all 1 workers died[^!]*there is no study 'gone'"):
        share(settings, "gone", ("trials", "1"), 1, look=bool, stop=bool)


def test_impossible_numbers(settings: Settings) -> None:
    study = begun(settings)
    for trials, workers in ((0, 1), (1, 0), (100_001, 1), (1, 257)):
        with pytest.raises(InvalidInput, match="1 to 100000 trials and 1 to 256 workers"):
            run(settings, study, trials, workers=workers)
    with pytest.raises(InvalidInput, match="measured by one worker"):
        run(settings, study, 1, workers=2, objective=bowl)
