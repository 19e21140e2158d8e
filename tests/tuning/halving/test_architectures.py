"""The search for an architecture from its plan to its result, with real trainings that are as short as can be."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from cogorch_dagster.agents.hyperparameters import first_defaults
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.lake import blobs
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.platform.tables import studies as table
from cogorch_dagster.policies import hyperparameters, parameter, ranges
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.budget import Budget
from cogorch_dagster.tuning.halving import architectures, shelf, study
from cogorch_dagster.tuning.halving.architecture_space import architecture_space
from cogorch_dagster.tuning.halving.sampling import sample
from cogorch_dagster.tuning.halving.study import Plan, Study
from tests.tuning.tiny import shelved

PARAMETERS = default_parameters().model_copy(update={"horizon": 8})

BUDGET = Budget(episodes=2, evaluation_episodes=2, fleets=2, seeds=1)
SETTINGS = {"trainings": 5, "eta": 2, "rungs": 3, "seed": 4}


@pytest.mark.parametrize("kind", hyperparameters.PARAMETERS)
def test_what_is_drawn_may_be_proposed(kind: str) -> None:
    for level in parameter.LEVELS:
        space = architecture_space(kind, level, first_defaults(kind), joint=True)
        layers = set()
        for number in range(12):
            values = sample(space.distributions(), [], sampler="random", seed=0, number=number)
            params = space.params(values)
            assert ranges.invalid(kind, params) == []
            assert ranges.violations(kind, first_defaults(kind), params, level) == []
            drawn = space.space.of_internal(values)
            assert params["hidden"] == [drawn[f"width{n}"] for n in range(1, drawn["layers"] + 1)]
            layers.add(len(params["hidden"]))
        assert len(layers) > 1


def test_alone_the_hyperparameters_stay() -> None:
    current = first_defaults("ppo") | {"clip": 0.25}
    space = architecture_space("ppo", "strict", current)
    params = space.params(sample(space.distributions(), [], sampler="random", seed=0, number=0))
    assert {name: params[name] for name in params if params[name] != current[name]}.keys() <= {
        *hyperparameters.ARCHITECTURE
    }
    assert study.ArchitectureSpace.from_document(space.document()) == space
    with pytest.raises(InvalidInput, match="level 'lax' is unknown"):
        architecture_space("ppo", "lax", current)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="are not valid"):
        architecture_space("ppo", "wide", current | {"clip": 7})


def begun(settings: Settings, name: str = "small", **others: Any) -> Study:
    with transaction(settings) as connection:
        plan = study.planned(connection, "ethical", PARAMETERS, BUDGET, **{**SETTINGS, **others})
        return study.begin(connection, name, plan)


def test_from_the_plan_to_the_result(settings: Settings) -> None:
    found = begun(settings)
    assert found.plan == Plan.from_document(found.plan.document())
    assert begun(settings) == found
    with pytest.raises(Refused, match=r"its seed is 4, not 5"):
        begun(settings, seed=5)
    with pytest.raises(InvalidInput, match="no name of a study"):
        begun(settings, "Not so")
    with pytest.raises(InvalidInput, match="trainings is 0"):
        replace(found.plan, trainings=0)

    # Stopped and gone on with.
    asked: list[int] = []
    stopped = architectures.search(settings, found, stop=lambda: len(asked) > 40 or bool(asked.append(1)))
    assert not stopped.ended
    with pytest.raises(Refused, match="go on with it") as early:
        architectures.conclude(settings, stopped)
    assert early.value.reason == "not_ended"
    told: list[Any] = []
    outcome = architectures.search(settings, found, progress=told.append)
    assert outcome.ended
    assert outcome.spent <= outcome.budget == 5 * 2 * 8 * 2
    assert told[-1].spent == outcome.spent
    assert outcome.rows[2].reached >= 1
    assert outcome.best is not None
    assert len(outcome.best.scores) == 3
    assert outcome.best.scores[2] == max(record.scores[2] for record in outcome.records if len(record.scores) == 3)
    # As a killed worker leaves it.
    assert shelved(settings, "small").exists()
    assert architectures.standing(settings, found).records == outcome.records

    ended = architectures.conclude(settings, outcome, seeds=3)
    result = ended.result
    assert result is not None
    assert result["params"] == found.plan.space.params(outcome.best.values)
    assert result["params"]["hidden"] != found.plan.current["hidden"]
    assert (result["trial"], result["best"]["rung"], result["spent"]) == (outcome.best.number, 2, outcome.spent)
    assert result["found"]["mean"] == pytest.approx(result["found"]["candidate"] - result["found"]["baseline"])
    assert [row["reached"] for row in result["rungs"]] == [row.reached for row in outcome.rows]
    assert result["violations"] == ranges.violations("ppo", found.plan.current, result["params"], found.plan.level)
    assert blobs.written(shelf.folder(settings, "small")) == {}
    # Judged again on the same seeds, nothing is trained.
    ended = architectures.conclude(settings, outcome, seeds=3, stop=lambda: True)
    assert ended.result == result
    with transaction(settings) as connection:
        assert study.get(connection, "small") == ended
        assert [each.name for each in study.listing(connection, "ethical")] == ["small"]
        assert study.listing(connection, "policy") == []
        worse = {**result, "verdict": "worse", "found": result["found"] | {"low": -0.2, "high": -0.1}}
        with pytest.raises(Refused, match="is not proposed") as refused:
            architectures.propose(connection, replace(ended, result=worse), actor="ada")
        assert refused.value.reason == "not_better"
    assert len(outcome.picture()) < 20_000


def test_a_study_of_another_sort_and_one_without_a_winner(settings: Settings) -> None:
    found = begun(settings)
    with transaction(settings) as connection:
        connection.execute(sa.update(table).values(sort="hyperparameters"))
    with pytest.raises(Refused, match="one of hyperparameters"):
        begun(settings)
    with transaction(settings) as connection, pytest.raises(Refused, match="cogorch tune show"):
        study.get(connection, "small")
    outcome = replace(architectures.standing(settings, found), ended=True)
    with pytest.raises(Refused, match="no trial of study small reached a rung") as none:
        architectures.conclude(settings, outcome)
    assert none.value.reason == "no_winner"
    with transaction(settings) as connection, pytest.raises(Refused, match="has no result yet"):
        architectures.propose(connection, found, actor="ada")
