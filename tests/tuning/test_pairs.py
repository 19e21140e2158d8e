"""The pairs of a confirmation: noted one by one, shared by processes, the same however they came about."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cogorch_dagster.errors import Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import pairs, sharing, worker
from cogorch_dagster.tuning import study as studies
from cogorch_dagster.tuning.confirmation import confirm
from cogorch_dagster.tuning.fresh import fresh_training
from cogorch_dagster.tuning.objective import Interrupted, Measured
from cogorch_dagster.tuning.pairs import paired
from cogorch_dagster.tuning.search import Stop, run
from cogorch_dagster.tuning.study import Plan
from cogorch_dagster.tuning.trials import Trial
from tests.tuning.forks import forked
from tests.tuning.tiny import begun, bowl, measured


def winner(settings: Settings, name: str = "tiny") -> tuple[studies.Study, Trial]:
    study = begun(settings, name)
    best = run(settings, study, 4, objective=bowl).best
    assert best is not None and best.number > 0
    return study, best


def test_what_is_done_is_not_done_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    study, best = winner(settings)
    made, told = list[tuple[bool, int]](), list[tuple[int, int]]()

    def value(ours: bool, place: int) -> float:
        return place + ours / 3

    def train(_: Plan, params: Any, purpose: str, place: int, __: Stop) -> Measured:
        # The second pair lacks what is in force, the third what was found.
        for most, error in ((3, Interrupted()), (6, Refused("training_diverged", "no longer finite"))):
            if len(made) == most:
                made.append((False, -1))
                raise error
        assert purpose == "confirmation"
        made.append((params == best.params, place))
        return measured(value(*made[-1]))

    monkeypatch.setattr(pairs, "fresh_training", train)
    for error in (Interrupted, Refused):
        with pytest.raises(error):
            confirm(settings, study, seeds=3)
        with transaction(settings) as connection:
            assert studies.get(connection, study.name).result is None
    found = paired(settings, study, best.number, 3, progress=lambda *given: told.append(given))
    assert found.tolist() == [[value(ours, place) for place in range(3)] for ours in (True, False)]
    first, second, third = ([(True, place), (False, place)] for place in range(3))
    assert made == [*first, second[0], (False, -1), *second, (False, -1), *third]
    assert told == [(3, 3)], "the others were done before"


def test_two_processes_confirm_what_one_does(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (study, _), (other, _) = winner(settings), winner(settings, "other")
    alone, here = confirm(settings, study, seeds=3), os.getpid()

    def elsewhere(*given: Any) -> Measured:
        assert os.getpid() != here, "trained by the one that watches"
        return fresh_training(*given)

    def share(
        settings: Settings, study: str, task: Sequence[str], workers: int, look: Callable[[], bool], stop: Any
    ) -> None:
        """As `workers.share`, with copies of this process: each that begins anew imports for seconds."""
        children = [forked(lambda: worker.main(study, here, task)) for _ in range(workers)]
        while any(child.is_alive() for child in children):
            look()
            time.sleep(0.05)
        assert look() and [child.exitcode for child in children] == [0, 0]

    monkeypatch.setattr(pairs, "fresh_training", elsewhere)
    monkeypatch.setattr(sharing, "share", share)
    told: list[tuple[int, int]] = []
    shared = confirm(settings, other, seeds=3, workers=2, progress=lambda *given: told.append(given))
    assert alone is not None and shared is not None and shared.document() == alone.document() | {"study": "other"}
    assert told == [(1, 3), (2, 3), (3, 3)]
