"""One process of a study: how it ends. What it does is tested with the search, the finalists and the pairs."""

import os
import signal
from collections.abc import Iterator

import pytest

from cogorch_dagster.errors import Refused
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import pairs
from cogorch_dagster.tuning.finalists import standing
from cogorch_dagster.tuning.rejection import Selection
from cogorch_dagster.tuning.search import run
from cogorch_dagster.tuning.worker import main
from tests.tuning.tiny import begun, bowl


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Its own do not stay."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_it_ends_where_the_process_that_started_it_is_gone(settings: Settings) -> None:
    study = begun(settings, selection=Selection(2, 2))
    run(settings, study, 3, objective=bowl)
    for task in (["trials", "9"], ["finalists"], ["confirmation", "1", "3"]):
        main(study.name, os.getppid() + 1, task)
    assert run(settings, study, 3).count("complete") == 3 and standing(settings, study).done == 0


def test_a_training_that_cannot_be_confirmed_is_no_death(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    study, asked = begun(settings), []

    def refused(*_: object) -> None:
        asked.append(1)
        raise Refused("training_diverged", "no longer finite")

    run(settings, study, 3, objective=bowl)
    monkeypatch.setattr(pairs, "fresh_training", refused)
    main(study.name, os.getppid(), ["confirmation", "1", "3"])
    assert len(asked) == 1


def test_an_unknown_task_is_refused(settings: Settings) -> None:
    study = begun(settings)
    with pytest.raises(SystemExit, match="no task of a worker: dance"):
        main(study.name, os.getppid(), ["dance"])
