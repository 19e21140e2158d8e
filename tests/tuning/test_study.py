"""Studies as they are kept: begun once, joined with the same plan, listed, deleted with their journal."""

from typing import Any

import pytest
import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.platform.tables import studies as table
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import studies as every
from cogorch_dagster.tuning import study as studies
from cogorch_dagster.tuning.rejection import Selection
from cogorch_dagster.tuning.studies import differences
from cogorch_dagster.tuning.study import Plan
from cogorch_dagster.tuning.trials import Trials
from tests.tuning.tiny import begun, plan, space


def test_a_study_is_joined_by_the_same_plan(settings: Settings) -> None:
    first, again = begun(settings, seed=3), begun(settings, seed=3)
    assert first == again and first.plan == plan(seed=3)
    assert (first.ended_at, first.result) == (None, None)
    with transaction(settings) as connection:
        assert studies.get(connection, "tiny") == first


def test_another_plan_is_refused_with_the_differences(settings: Settings) -> None:
    begun(settings)
    with pytest.raises(Refused, match="its sampler is 'tpe', not 'random'; its seed is 0, not 1") as refused:
        begun(settings, sampler="random", seed=1)
    assert refused.value.reason == "other_study"
    with pytest.raises(Refused, match=r"its space.dimensions is .*, not .*learningRate"):
        begun(settings, space=space(names=["learningRate"]))


def test_a_plan_comes_back_from_its_document() -> None:
    found = plan(objectives=("reward", "latency"), sampler="gp", version="1.0.0")
    beside = plan(objectives=("reward", "conflicts"))
    chosen = plan(selection=Selection(3, 2))
    for each in (found, beside, chosen):
        assert Plan.from_document(each.document()) == each
    assert set(beside.companions) == {"policy", "consensus", "resource"} and "companions" not in found.document()
    # Plans from before there was a choice of a winner read as ever, and have the name that they had.
    assert "selection" not in found.document() and found.selection is None
    assert chosen.document()["selection"] == {"finalists": 3, "trainings": 2}
    assert found.document()["calibration"] == found.parameters.digest
    assert found.code and found.current["learningRate"] == 1e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"agent": "cook"}, "agent 'cook' is unknown"),
        ({"sampler": "anneal"}, "sampler 'anneal' is unknown; there are tpe, cma-es, gp, grid, random"),
        ({"objectives": ("latency",)}, "name reward first"),
        ({"objectives": ("reward", "cost")}, "objectives cost are unknown"),
        ({"objectives": ("reward", "conflicts"), "companions": {}}, "need checkpoints of consensus, policy, resource"),
        ({"companions": {"policy": "sha256:1"}}, "need checkpoints of nobody to act beside agent ethical"),
        ({"objectives": ("reward", "latency"), "sampler": "cma-es"}, "cma-es searches for one objective"),
        ({"seed": -1}, "seed of a study must lie between"),
    ],
)
def test_plans_that_cannot_be(changes: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        plan(**changes)


def test_names_that_cannot_be(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="'Tiny study' is no name of a study"):
        begun(settings, "Tiny study")
    with transaction(settings) as connection, pytest.raises(Refused, match="cogorch tune list"):
        studies.get(connection, "nothing")


def test_differences() -> None:
    assert differences({"a": [1, {"b": 2}], "c": 1}, {"a": [1, {"b": 3}], "d": 1}) == [
        "its a[1].b is 2, not 3",
        "its c is 1, not None",
        "its d is None, not 1",
    ]
    assert differences({"a": 1.0}, {"a": 1}) == []


def test_studies_are_listed_ended_and_deleted(settings: Settings) -> None:
    begun(settings, "one")
    trials = Trials(settings, begun(settings, "two"))
    assert trials.all() == []
    trials.close()
    with transaction(settings) as connection:
        assert [each.name for each in studies.listing(connection)] == ["two", "one"]
        assert [each.name for each in studies.listing(connection, limit=1)] == ["two"]
        assert studies.listing(connection, "policy") == []
        ended = studies.end(connection, "one", {"verdict": "better"})
        assert ended.result == {"verdict": "better"} and ended.ended_at is not None
        every.delete(connection, "two")
        assert [each.name for each in studies.listing(connection)] == ["one"]
        with pytest.raises(Refused, match="there is no study 'two'"):
            every.delete(connection, "two")


def test_a_study_of_the_other_sort_is_listed_and_not_taken_for_one(settings: Settings) -> None:
    begun(settings)
    with transaction(settings) as connection:
        connection.execute(sa.update(table).values(sort="architecture"))
        assert studies.listing(connection) == []
        assert [(each.name, each.sort) for each in every.rows(connection)] == [("tiny", "architecture")]
        for act in (studies.get, lambda *at: studies.end(*at, {})):
            with pytest.raises(Refused, match="not hyperparameters: `cogorch tune show`") as refused:
                act(connection, "tiny")
            assert refused.value.reason == "other_study"
    with pytest.raises(Refused, match="study tiny is one of architecture"):
        begun(settings)
