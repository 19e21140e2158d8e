"""What is cleared away of old studies and of what their trials left, and what must not be."""

from datetime import timedelta

import pytest

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import studies
from cogorch_dagster.tuning import study as hyperparameters
from cogorch_dagster.tuning.clean_up import Cleared, checkpoints_in_use, clear
from cogorch_dagster.tuning.trials import Trials
from tests.tuning.tiny import aged, begun, plan, shelved

WEEK, YEAR = timedelta(days=7), timedelta(days=365)


def names(settings: Settings) -> list[str]:
    with transaction(settings) as connection:
        return sorted(each.name for each in studies.rows(connection))


def test_what_nobody_works_on_goes_when_it_is_old(settings: Settings) -> None:
    for name, age, ends in (("left", 8, 0), ("young", 6, 0), ("kept", 300, 1), ("past", 400, 1), ("worked", 8, 0)):
        study = begun(settings, name)
        if ends:
            with transaction(settings) as connection:
                hyperparameters.end(connection, name, {"verdict": "better"})
        aged(settings, name, days=age)
    worker, late = Trials(settings, study, "at work"), Trials(settings, begun(settings, "left"), "late")
    assert worker.take(1) is not None
    assert clear(settings, unfinished=WEEK, finished=YEAR) == Cleared(["left", "past"], 0)
    assert names(settings) == ["kept", "worked", "young"]
    with pytest.raises(Refused, match="there is no study 'left'"):
        late.take(1)
    late.close()
    worker.close()
    assert clear(settings, unfinished=WEEK, finished=YEAR) == Cleared(["worked"], 0)
    with pytest.raises(InvalidInput, match="unfinished must not be negative"):
        clear(settings, unfinished=-WEEK, finished=YEAR)


def test_states_of_trials_go_unless_they_may_be_gone_on_with(settings: Settings) -> None:
    for name in ("open", "concluded", "worked"):
        begun(settings, name)
    with transaction(settings) as connection:
        hyperparameters.end(connection, "concluded", {})
    files = {name: shelved(settings, name) for name in ("open", "concluded", "worked", "deleted")}
    worker = Trials(settings, begun(settings, "worked"), "at work")
    assert worker.take(1) is not None
    assert clear(settings, unfinished=WEEK, finished=YEAR).files == 2
    assert {name for name, path in files.items() if path.exists()} == {"open", "worked"}
    worker.close()
    with transaction(settings) as connection:
        studies.delete(connection, "worked")
    assert clear(settings, unfinished=WEEK, finished=YEAR).files == 1
    assert files["open"].exists()


def test_checkpoints_that_act_in_trials_are_in_use(settings: Settings) -> None:
    begun(settings, "alone")
    beside = begun(settings, "beside", objectives=("reward", "conflicts"))
    with transaction(settings) as connection:
        assert checkpoints_in_use(connection) == set(beside.plan.companions.values())
    assert plan().companions == {}
