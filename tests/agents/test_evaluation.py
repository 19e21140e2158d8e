"""Scores: by hand from the environment's steps, the same for the same seeds, with common random numbers."""

import json

import numpy as np
import pytest

from cogorch_dagster.agents.baselines.autoscaler import Autoscaler
from cogorch_dagster.agents.baselines.static import StaticDefaults, passive
from cogorch_dagster.agents.baselines.tabular import TabularController
from cogorch_dagster.agents.comparison.comparison import Answer, Comparison
from cogorch_dagster.agents.comparison.equal_success import NotComparable
from cogorch_dagster.agents.comparison.scores_comparison import compare_scores
from cogorch_dagster.agents.controllers import States
from cogorch_dagster.agents.evaluation import METRICS, Scores, environment_seed, evaluate
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.actions import Values
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.parameters import default_parameters

PARAMETERS = default_parameters()
SEEDS = tuple(range(100, 110))


class Starved:
    """A controller that leaves hardly any capacity."""

    name = "starved"

    def act(self, states: States) -> dict[str, Values]:
        actions = passive(len(states["resource"]))
        actions["resource"][:] = 0.0
        return actions


def scored(controller: object, **changes: object) -> Scores:
    options = {"seeds": SEEDS, "fleets_per_seed": 2, "steps": 40} | changes
    return evaluate(PARAMETERS, controller, **options)  # type: ignore[arg-type]


def test_scores_by_hand() -> None:
    seeds = (5, 9)
    scores = scored(StaticDefaults(), seeds=seeds, fleets_per_seed=3, steps=10)
    environment = FleetEnvironment(PARAMETERS, 6, seed=environment_seed(seeds))
    steps = [environment.step(passive(6)) for _ in range(10)]
    for position, fleets in enumerate((range(3), range(3, 6))):
        answered = useful = good = ended = cost = waited = 0.0
        for step in steps:
            for fleet in fleets:
                for tenant in range(4):
                    outcome = step.outcome
                    answered += outcome.answered[tenant, fleet]
                    waited += outcome.answered[tenant, fleet] * outcome.latency_s[tenant, fleet] * 1000
                    useful += outcome.useful[tenant, fleet]
                    good += outcome.good[tenant, fleet]
                    ended += outcome.ended[tenant, fleet]
                cost += outcome.cost_usd[fleet]
        own = list(fleets)
        expected = {
            "latency": waited / answered,
            "success": useful / ended,
            "good": good / ended,
            "cost": cost / useful,
            "unfairness": np.mean([step.measured.unfairness[own] for step in steps]),
            "violations": np.mean([step.objectives.broken[:, own] for step in steps]),
            "utilisation": np.mean([step.outcome.utilisation[:, own] for step in steps]),
            "reward": np.mean([step.rewards[own] for step in steps]),
            "conflicts": 0.0,
        }
        assert {name: values[position] for name, values in scores.values.items()} == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "controller", [StaticDefaults(), Autoscaler(PARAMETERS), TabularController(PARAMETERS).deployed()]
)
def test_the_same_seeds_give_the_same_scores(controller: object) -> None:
    one, two, other = scored(controller), scored(controller), scored(controller, seeds=range(10))
    for metric in METRICS:
        np.testing.assert_array_equal(one.values[metric.name], two.values[metric.name])
    assert (one.values["latency"] != other.values["latency"]).all()
    assert json.loads(json.dumps(one.as_dict()))["values"]["latency"] == one.values["latency"].tolist()


def test_controllers_meet_the_same_traffic() -> None:
    one, two, other = (
        scored(StaticDefaults()),
        scored(Autoscaler(PARAMETERS)),
        scored(Autoscaler(PARAMETERS), seeds=range(10)),
    )
    # What a seed costs both is common; other seeds have nothing in common.
    assert np.corrcoef(one.values["cost"], two.values["cost"])[0, 1] > 0.6
    assert abs(np.corrcoef(one.values["cost"], other.values["cost"])[0, 1]) < 0.6


def test_a_starved_fleet_does_worse_and_its_latency_is_not_compared() -> None:
    found = compare_scores(scored(StaticDefaults()), scored(Starved()))
    assert list(found) == [metric.name for metric in METRICS]
    success, latency = found["success"], found["latency"]
    assert isinstance(success, Comparison)
    assert success.answer is Answer.worse
    assert isinstance(latency, NotComparable)
    back = compare_scores(scored(Starved()), scored(StaticDefaults()))
    assert isinstance(back["latency"], Comparison)
    assert back["latency"].answer is Answer.better


def test_episodes_follow_each_other() -> None:
    short = PARAMETERS.model_copy(update={"horizon": 8})
    scores = evaluate(short, Autoscaler(short), seeds=(1, 2), fleets_per_seed=2, steps=30)
    assert np.isfinite(scores.values["latency"]).all()
    assert evaluate(short, StaticDefaults(), seeds=(1,), fleets_per_seed=1).steps == 8


def test_scores_of_other_fleets_are_not_compared() -> None:
    base = scored(StaticDefaults())
    with pytest.raises(InvalidInput, match="different seeds"):
        compare_scores(base, scored(StaticDefaults(), seeds=range(10)))
    with pytest.raises(InvalidInput, match="different steps"):
        compare_scores(base, scored(StaticDefaults(), steps=5))
    other = PARAMETERS.model_copy(update={"slo_ms": 1.0})
    with pytest.raises(InvalidInput, match="different parameters"):
        compare_scores(base, evaluate(other, StaticDefaults(), seeds=SEEDS, fleets_per_seed=2, steps=40))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": ()}, "at least one seed"),
        ({"seeds": (1, 1)}, "distinct"),
        ({"seeds": (-1,)}, "between 0"),
        ({"fleets_per_seed": 0}, "fleets_per_seed"),
        ({"steps": 0}, "steps must lie"),
    ],
)
def test_wrong_numbers_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        scored(StaticDefaults(), **changes)
