"""What a new trial tries: the same for the same seed, and by TPE near what was good at the rung it learns from."""

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.tuning.halving.rule import Rule
from cogorch_dagster.tuning.halving.rungs import Ladder, Trial
from cogorch_dagster.tuning.halving.sampling import enough, learned_from, sample

SPACE: dict[str, BaseDistribution] = {
    "x": FloatDistribution(0, 1),
    "rate": FloatDistribution(1e-4, 1, log=True),
    "kind": CategoricalDistribution(["a", "b"]),
}


def drawn(observations: Any, sampler: Any, numbers: range = range(1, 40), seed: int = 3) -> list[dict[str, Any]]:
    return [sample(SPACE, observations, sampler=sampler, seed=seed, number=number) for number in numbers]


def test_at_random_is_even_on_each_scale_and_follows_from_seed_and_number() -> None:
    found = drawn([], "random", range(300))
    assert found[:3] == drawn([], "random", range(3))
    assert found[0] != drawn([], "random", range(1), seed=4)[0]
    assert abs(np.mean([each["x"] for each in found]) - 0.5) < 0.06
    assert abs(np.mean([np.log10(each["rate"]) for each in found]) + 2) < 0.25
    assert 100 < sum(each["kind"] == "a" for each in found) < 200


def test_tpe_draws_near_what_was_good_and_one_in_four_at_random() -> None:
    rng = np.random.default_rng(0)
    seen = [
        ({"x": x, "rate": 10 ** -(4 * y), "kind": "ab"[n % 2]}, -abs(x - 0.8))
        for n, (x, y) in enumerate(rng.random((30, 2)))
    ]
    guided = drawn(seen, "tpe")
    assert guided == drawn(seen, "tpe")
    at_random = drawn([], "random")
    assert [each for n, each in enumerate(guided, 1) if n % 4 == 0] == [
        each for n, each in enumerate(at_random, 1) if n % 4 == 0
    ]
    learned = [abs(each["x"] - 0.8) for n, each in enumerate(guided, 1) if n % 4]
    assert np.median(learned) < 0.5 * np.median([abs(each["x"] - 0.8) for each in at_random])
    # With too little to learn from, at random.
    assert drawn(seen[: enough(SPACE) - 1], "tpe") == at_random


def test_nothing_is_printed() -> None:
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        drawn([({"x": 0.1, "rate": 0.1, "kind": "a"}, float(n)) for n in range(6)], "tpe", range(1, 3))
    assert out.getvalue() == ""


def test_the_highest_rung_with_enough_is_learned_from() -> None:
    steps = Ladder((1, 3, 9), 3)
    trials = [Trial(n, tuple(10.0 * r + n for r in range(1 + (n < 4) + (n < 2))), "paused") for n in range(8)]
    values = {n: {"x": n / 10} for n in range(8)}
    assert learned_from(steps, trials, values, 9) == []
    assert learned_from(steps, trials, values, 5) == [({"x": n / 10}, float(n)) for n in range(8)]
    assert learned_from(steps, trials, values, 3) == [({"x": n / 10}, 10.0 + n) for n in range(4)]
    assert learned_from(steps, trials, values, 2) == [({"x": n / 10}, 20.0 + n) for n in range(2)]


def test_a_rule_and_its_document() -> None:
    rule = Rule(Ladder((1, 3), 3), 30, SPACE, "tpe", 5)
    again = Rule.from_document(rule.document())
    assert again == rule
    assert again.values(2, [], {}) == sample(SPACE, [], sampler="random", seed=5, number=2)
    for wrong, said in (
        ({"sampler": "grid"}, "random or tpe"),
        ({"seed": -1}, "seed is -1"),
        ({"distributions": {}}, "no parameter"),
    ):
        with pytest.raises(InvalidInput, match=said):
            Rule.from_document(rule.document() | wrong)
