"""The scheduler's laws, over any order in which trials arrive, fail and are asked for."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.tuning.halving.rungs import (
    Job,
    Ladder,
    Trial,
    bracket,
    hopeless,
    ladder,
    next_job,
    ranked,
    spent,
)


def test_levels_are_the_full_training_over_powers_of_eta_in_whole_units() -> None:
    assert ladder(810, eta=3, rungs=4).levels == (30, 90, 270, 810)
    assert ladder(2400 * 16, eta=3, rungs=4, unit=16).levels == (89 * 16, 267 * 16, 800 * 16, 2400 * 16)
    assert ladder(7, eta=2, rungs=1).levels == (7,)
    climbed = ladder(64, eta=4, rungs=4)
    assert [climbed.increment(rung) for rung in range(4)] == [1, 3, 12, 48]
    for arguments in ({"full": 10, "rungs": 4}, {"full": 10, "rungs": 1, "unit": 3}, {"full": 10, "rungs": 0}):
        with pytest.raises(InvalidInput, match="rungs"):
            ladder(**arguments)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="eta is 1"):
        Ladder((1, 2), 1)
    with pytest.raises(InvalidInput, match="rise"):
        Ladder((2, 2), 2)


def test_the_best_of_the_highest_rung_goes_first() -> None:
    steps = Ladder((1, 3, 9), 3)
    low = [Trial(n, (score,), "paused") for n, score in enumerate([0.1, 0.9, 0.5])]
    assert next_job(steps, low[:2], 100) == Job(2, 0)  # floor(2 / 3) of two is none.
    assert next_job(steps, low, 100) == Job(1, 1)
    climbing = [low[0], Trial(1, (0.9,), "running"), low[2]]
    assert next_job(steps, climbing, 100) == Job(3, 0)
    higher = [Trial(n, (0.1 * n, -0.1 * n), "paused") for n in range(3)] + [Trial(3, (5.0,), "paused")]
    assert next_job(steps, higher, 100) == Job(0, 2)  # Best at rung 1, though worst at rung 0.
    assert next_job(steps, [replace(higher[0], status="running"), *higher[1:]], 100) == Job(3, 1)


def test_equal_scores_and_failures() -> None:
    steps = Ladder((1, 2), 2)
    equal = [Trial(n, (1.0,), "paused") for n in range(2)]
    assert next_job(steps, equal, 100) == Job(0, 1)
    # One that failed on its way up counts where it was, and is not asked again.
    assert next_job(steps, [Trial(0, (1.0,), "failed"), equal[1]], 100) == Job(2, 0)
    # One that failed before rung 0 is nowhere.
    assert ranked([Trial(0, (), "failed"), equal[1]], 0) == [equal[1]]
    assert spent(steps, [Trial(0, (), "failed"), Trial(1, (1.0,), "running"), Trial(2, (1.0,), "paused")]) == 1 + 2 + 1


@st.composite
def studies(draw: st.DrawFn) -> tuple[Ladder, int, list[float], list[int]]:
    """A ladder, a budget, and what decides scores, failures and who of the running is next to arrive."""
    eta, count = draw(st.integers(2, 4)), draw(st.integers(1, 3))
    steps = ladder(draw(st.integers(1, 2)) * eta ** (count - 1), eta=eta, rungs=count)
    budget = draw(st.integers(steps.levels[-1], 6 * steps.levels[-1]))
    scores = draw(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9]), min_size=8, max_size=8))
    return steps, budget, scores, draw(st.lists(st.integers(0, 11), min_size=12, max_size=12))


@settings(max_examples=60, deadline=None)
@given(studies(), st.integers(1, 4))
def test_laws_of_the_scheduler(study: tuple[Ladder, int, list[float], list[int]], workers: int) -> None:
    steps, budget, scores, choices = study
    trials: list[Trial] = []
    given_out: list[Job] = []
    dead: set[int] = set()
    for turn in range(10_000):
        running = [trial for trial in trials if trial.status == "running"]
        job = next_job(steps, trials, budget) if len(running) < workers else None
        assert job == (next_job(steps, list(trials), budget) if len(running) < workers else None)
        if job is not None:
            _check_job(steps, trials, job, dead)
            given_out.append(job)
            if job.rung == 0:
                trials.append(Trial(job.trial, (), "running"))
            else:
                trials[job.trial] = replace(trials[job.trial], status="running")
        elif running:
            _arrive(trials, running[choices[turn % 12] % len(running)], scores, choices[(turn * 5 + 1) % 12] == 0)
        else:
            break
        assert spent(steps, trials) == sum(steps.increment(job.rung) for job in given_out) <= budget
        dead |= hopeless(steps, trials, budget)
    assert not any(trial.status == "running" for trial in trials)
    assert max(Counter(given_out).values()) == 1
    # What is left would not take another trial to the top.
    assert budget - spent(steps, trials) < steps.levels[-1]
    assert dead >= {trial.number for trial in trials if trial.next_rung > steps.top and trial.status == "paused"}


def _check_job(steps: Ladder, trials: list[Trial], job: Job, dead: set[int]) -> None:
    waiting = {
        rung: [
            trial.number
            for trial in sorted(
                (t for t in trials if len(t.scores) > rung), key=lambda t: (t.scores[rung], -t.number), reverse=True
            )[: sum(len(t.scores) > rung for t in trials) // steps.eta]
            if trial.status == "paused" and len(trial.scores) == rung + 1
        ]
        for rung in range(steps.top)
    }
    if job.rung == 0:
        assert job.trial == len(trials)
        return
    assert job.trial == waiting[job.rung - 1][0]
    assert job.trial not in dead
    for rung in range(job.rung, steps.top):
        # Only what the budget does not allow is passed over.
        assert not waiting[rung] or steps.increment(rung + 1) > steps.increment(job.rung)


def _arrive(trials: list[Trial], trial: Trial, scores: list[float], fails: bool) -> None:
    if fails:
        trials[trial.number] = replace(trial, status="failed")
    else:
        score = scores[(trial.number * 3 + trial.next_rung) % 8]
        trials[trial.number] = replace(trial, scores=(*trial.scores, score), status="paused")


def test_who_can_no_longer_be_promoted() -> None:
    steps = Ladder((1, 3), 3)
    paused = [Trial(n, (-float(n),), "paused") for n in range(6)]
    assert hopeless(steps, paused, 1000) == frozenset()
    # Three steps for another trial, at most one: of seven, two are promoted.
    assert hopeless(steps, paused, 6 + 3) == {2, 3, 4, 5}
    # Those that are on their way are more.
    coming = [Trial(number, (), "running") for number in (5, 6, 7)]
    assert hopeless(steps, [*paused[:5], *coming], 8 + 3) == {3, 4}
    # Too little for any promotion.
    assert hopeless(steps, paused, 6 + 1) == {0, 1, 2, 3, 4, 5}


def test_one_bracket_takes_one_trial_to_the_top() -> None:
    """With the best first, and the budget that `bracket` says."""
    steps = ladder(27, eta=3, rungs=4)
    assert bracket(steps) == 27 + 9 * 2 + 3 * 6 + 18
    trials: list[Trial] = []
    while (job := next_job(steps, trials, bracket(steps))) is not None:
        before = trials[job.trial].scores if job.rung else ()
        trials[job.trial : job.trial + 1] = [Trial(job.trial, (*before, -float(job.trial)), "paused")]
    assert [len(trial.scores) for trial in trials[:10]] == [4, 3, 3, 2, 2, 2, 2, 2, 2, 1]
    assert len(trials) == 27


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60, unique=True), st.integers(2, 4))
def test_of_a_rung_whose_best_came_first_no_more_than_one_in_eta_is_promoted(scores: list[float], eta: int) -> None:
    """In this order each promotion is for good: with others a later trial may outdo one that was promoted before."""
    steps = Ladder((1, 2), eta)
    trials: list[Trial] = []
    promoted = 0
    for score in sorted(scores, reverse=True):
        trials.append(Trial(len(trials), (score,), "paused"))
        job = next_job(steps, trials, 10**9)
        assert job is not None
        if job.rung == 1:
            promoted += 1
            trials[job.trial] = Trial(job.trial, (trials[job.trial].scores[0], 0.0), "paused")
    assert promoted == len(scores) // eta
