"""Another objective than the fleet: a small network on digits, paused and searched by the same code."""

import torch

from cogorch_dagster.agents import checkpoints
from cogorch_dagster.tuning.halving.rule import Rule
from cogorch_dagster.tuning.halving.rungs import Trial, ladder, next_job
from tests.tuning.halving.digits import SPACE, DigitsTrials

VALUES = {
    "layers": 2,
    "width": 16,
    "activation": "silu",
    "dropout": 0.2,
    "learning_rate": 0.01,
    "weight_decay": 0.01,
    "batch": 128,
}


def test_paused_and_promoted_is_trained_through() -> None:
    torch.set_num_threads(1)
    trials = DigitsTrials(6, 3, networks=2)
    through, paused = trials.start(VALUES), trials.start(VALUES)
    for level in (1, 3, 6):
        assert paused.reach(level, bool) == through.reach(level, bool)
        paused = trials.resume(VALUES, paused.checkpoint())
    found = [checkpoints.unpack(each.checkpoint()).parts for each in (paused, through)]
    assert checkpoints.nested.encode(found[0]) == checkpoints.nested.encode(found[1])
    assert [found[0][network]["epochs"] for network in "01"] == [6, 6]


def test_a_study_finds_a_network_that_reads_digits() -> None:
    torch.set_num_threads(1)
    trials = DigitsTrials(8, 0)
    rule = Rule(ladder(8, eta=2, rungs=4), 48, SPACE, "random", 1)
    done: list[Trial] = []
    states, best = {}, 0.0
    while (job := next_job(rule.ladder, done, rule.budget)) is not None:
        values = rule.values(job.trial, done, {})
        training = trials.resume(values, states[job.trial]) if job.rung else trials.start(values)
        reached = training.reach(rule.ladder.levels[job.rung], bool)
        assert reached is not None
        states[job.trial] = training.checkpoint()
        scores = done[job.trial].scores if job.rung else ()
        done[job.trial : job.trial + 1] = [Trial(job.trial, (*scores, reached.score), "paused")]
        best = max(best, reached.figures["accuracy"])
    assert best > 0.93
    assert sum(trial.next_rung == 4 for trial in done) >= 1
