"""The confirmation: on fresh seeds, on as many each time, kept as the study's result."""

from typing import Any

import pytest

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import study as studies
from cogorch_dagster.tuning.confirmation import Confirmation, compared, confirm, fresh_seeds, returns, settled
from cogorch_dagster.tuning.difference import difference
from cogorch_dagster.tuning.finalists import decide
from cogorch_dagster.tuning.objective import Interrupted
from cogorch_dagster.tuning.rejection import Selection
from cogorch_dagster.tuning.search import run
from cogorch_dagster.tuning.seeds import training_seed
from tests.tuning.tiny import PPO, begun, bowl, plan


def test_fresh_seeds_are_none_of_the_search() -> None:
    searched = {training_seed(0, number) for number in range(1000)}
    assert len(set(fresh_seeds(plan(), 1000))) == 1000
    assert not searched & set(fresh_seeds(plan(), 1000))
    # Nor those on which what is in force now was confirmed, if the seed is the same.
    assert not set(fresh_seeds(plan(), 1000)) & set(fresh_seeds(plan(version="1.0.0"), 1000))
    for few in (2, 1001):
        with pytest.raises(InvalidInput, match="3 to 1000 seeds"):
            fresh_seeds(plan(), few)


def test_the_same_hyperparameters_do_not_differ_and_others_do() -> None:
    values = returns(plan(), [PPO, PPO, {**PPO, "learningRate": 1e-2}], seeds=3)
    assert values.shape == (3, 3) and (values[0] == values[1]).all() and (values[0] != values[2]).any()
    assert len(set(values[0])) == 3
    assert (returns(plan(), [PPO], seeds=3) == values[:1]).all()
    found = compared(plan(), PPO, PPO, seeds=3)
    assert (found.mean, found.low, found.high, found.verdict) == (0, 0, 0, "not shown")


def test_what_is_in_force_is_not_trained_against_itself(settings: Settings) -> None:
    study = begun(settings)
    assert run(settings, study, 1, objective=bowl).best is not None
    # A training would ask `stop`, and be interrupted.
    assert confirm(settings, study, stop=lambda: True) is None
    with transaction(settings) as connection:
        assert studies.get(connection, "tiny").result is None


def test_a_winner_is_confirmed_and_kept_as_the_studys_result(settings: Settings) -> None:
    study, told = begun(settings, version="1.0.0"), []
    with pytest.raises(Refused, match="no trial of study tiny is complete") as refused:
        confirm(settings, study)
    assert refused.value.reason == "no_winner"
    best = run(settings, study, 4, objective=bowl).best
    found = confirm(settings, study, seeds=3, progress=lambda *given: told.append(given))
    assert best is not None and found is not None and (found.trial, found.params) == (best.number, best.params)
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert found.found == compared(study.plan, best.params, PPO, seeds=3)
    with transaction(settings) as connection:
        kept = studies.get(connection, "tiny")
    result: dict[str, Any] = kept.result or {}
    assert kept.ended_at is not None and result["verdict"] == found.found.verdict
    assert Confirmation.from_document(result) == found
    assert confirm(settings, study, seeds=3, progress=lambda *given: told.append(given)) == found and len(told) == 3
    assert confirm(settings, study) == found, "without a number, as many as before"


def test_a_confirmation_that_is_stopped_leaves_nothing(settings: Settings) -> None:
    study = begun(settings)
    run(settings, study, 3, objective=bowl)
    with pytest.raises(Interrupted):
        confirm(settings, study, stop=lambda: True)
    with transaction(settings) as connection:
        assert studies.get(connection, "tiny").result is None
    assert settled(settings, study, 5) == 5 and settled(settings, study, None) == 10


def test_a_study_is_not_confirmed_again_on_more_seeds_until_it_is_better(settings: Settings) -> None:
    study = begun(settings)
    shown = Confirmation("tiny", 1, PPO, None, fresh_seeds(study.plan, 4), difference([0.1, -0.1, 0.0, 0.1], [0] * 4))
    assert shown.found.verdict == "not shown"
    with transaction(settings) as connection:
        studies.end(connection, "tiny", shown.document())
    for seeds in (3, 5, 40):
        with pytest.raises(
            Refused, match=f"was confirmed on 4 fresh seeds, so {seeds} cannot follow.*Give 4"
        ) as refused:
            confirm(settings, study, seeds=seeds)
        assert refused.value.reason == "seeds_fixed"
    assert settled(settings, study, 4) == settled(settings, study, None) == 4
    with pytest.raises(InvalidInput, match="3 to 1000 seeds"):
        settled(settings, begun(settings, "other"), 2)


def test_the_result_says_who_the_finalists_were(settings: Settings) -> None:
    study = begun(settings, selection=Selection(1, 1))
    best = run(settings, study, 3, objective=bowl).best
    finals = decide(settings, study, train=lambda plan, params, place, stop: bowl(plan, params, stop)[0])
    found = confirm(settings, study, seeds=3)
    assert best is not None and found is not None and found.trial == best.number
    with transaction(settings) as connection:
        result: dict[str, Any] = studies.get(connection, "tiny").result or {}
    assert result["finalists"] == [each.document() for each in finals.finalists]
    assert [each["trial"] for each in result["finalists"]] == [best.number, 0]
    assert Confirmation.from_document(result) == found
