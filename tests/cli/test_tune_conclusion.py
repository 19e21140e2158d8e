"""What becomes of a winner: one that is better is registered and proposed, any other only told of."""

from dataclasses import replace
from typing import Any

import pytest

from cogorch_dagster.cli import architectures
from cogorch_dagster.cli.tune_conclusion import chosen, concluded
from cogorch_dagster.errors import Unavailable
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import store
from cogorch_dagster.registry import store as registry
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import registration
from cogorch_dagster.tuning import study as studies
from cogorch_dagster.tuning.confirmation import Confirmation, fresh_seeds
from cogorch_dagster.tuning.difference import difference
from cogorch_dagster.tuning.halving import study as networks
from cogorch_dagster.tuning.planning import plan_for
from cogorch_dagster.tuning.search import run
from cogorch_dagster.tuning.study import Study
from tests.cli.conftest import Inside
from tests.tuning.tiny import BUDGET, bowl, fleet, measured

NAME = "hyperparameters-agent-ethical"


def found(settings: Settings, gain: float) -> Study:
    """A study whose winner earns so much more on fresh seeds, as the result of its confirmation has it."""
    with transaction(settings) as connection:
        plan = plan_for(connection, "ethical", fleet(), budget=BUDGET, sampler="random", selection=None)
        study = studies.begin(connection, "tiny", plan)
    best = run(settings, study, 2, objective=lambda given, params, _: [measured(float(params != given.current))]).best
    assert best is not None and best.number == 1
    gains = difference([gain - 0.01, gain, gain + 0.01], [0.0] * 3)
    confirmation = Confirmation("tiny", best.number, best.params, plan.version, fresh_seeds(plan, 3), gains)
    with transaction(settings) as connection:
        return studies.end(connection, "tiny", confirmation.document())


def end(settings: Settings, study: Study, *, propose: bool = True) -> Any:
    return concluded(settings, study, None, lambda: False, propose=propose, actor="ann")


def test_a_better_winner_is_registered_and_proposed(
    seeded: Settings, mlflow_database: Settings, inside: Inside
) -> None:
    study = found(seeded, 0.06)
    alone = end(seeded, study, propose=False)
    assert (alone.registered, alone.proposed) == (f"{NAME}@1", None)
    ended = end(seeded, study)
    assert ended.value()["registered"] == f"{NAME}@1", "once"
    assert ended.proposed is not None and ended.proposed["status"] == "draft"
    version = registry.find(seeded, f"{NAME}@candidate")
    assert version.params == ended.confirmation.params and version.lineage.study == "tiny"
    assert version.lineage.policy_version == "agent-ethical@1.0.0" and version.lineage.code_version == study.plan.code
    assert version.metrics["gain"] == pytest.approx(0.06)
    with transaction(seeded) as connection:
        (draft,) = store.versions(connection, "agent-ethical", "draft")
    assert draft.ref == ended.proposed["version"] and draft.params == version.params
    assert f"{NAME}@1" in inside("registry", "list").output


def test_a_better_network_is_registered_as_well(seeded: Settings, mlflow_database: Settings) -> None:
    with transaction(seeded) as connection:
        plan = networks.planned(connection, "ethical", fleet(), BUDGET, rungs=2)
        networks.begin(connection, "networks", plan)
    params, found = {**plan.current, "hidden": [32]}, list[str | None]()
    for gain in (0.001, 0.06):
        gains = difference([gain - 0.01, gain, gain + 0.01], [0.0] * 3)
        confirmation = Confirmation("networks", 4, params, plan.version, fresh_seeds(plan, 3), gains)
        with transaction(seeded) as connection:
            ended = networks.end(connection, "networks", confirmation.document())
        found.append(architectures._registered(seeded, ended))
    assert found == [None, f"{NAME}@1"]
    assert registry.find(seeded, f"{NAME}@1").params["hidden"] == [32]


def test_another_winner_is_neither(seeded: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    ended = end(seeded, found(seeded, 0.001))
    assert ended.confirmation.found.verdict == "not shown" and ended.value() == {"registered": None, "proposed": None}
    assert "nothing is proposed: the winner was not shown to be better" in capsys.readouterr().err
    with transaction(seeded) as connection:
        assert store.versions(connection, "agent-ethical", "draft") == []


def test_a_registry_that_is_away_does_not_keep_a_winner_from_being_proposed(
    seeded: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("no registry")

    monkeypatch.setattr(registration, "register_confirmed", away)
    ended = end(seeded, found(seeded, 0.06))
    assert ended.registered is None and ended.proposed is not None
    assert "the winner is not registered: no registry" in capsys.readouterr().err


def test_finalists_that_are_stopped_are_gone_on_with(seeded: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with transaction(seeded) as connection:
        plan = replace(plan_for(connection, "ethical", fleet(), budget=BUDGET), sampler="random")
        study = studies.begin(connection, "tiny", plan)
    run(seeded, study, 3, objective=bowl)
    finals = chosen(seeded, study, lambda: True)
    assert finals.winner is None and finals.done == 0 and len(finals.finalists) == 3
    assert "the same command goes on" in capsys.readouterr().err
