"""Aliases: one champion, the one before it kept, whoever promotes and wherever a promotion dies."""

import threading
from typing import Any

import pytest

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.registry import store
from cogorch_dagster.registry.aliases import promote, remove_alias, set_alias
from cogorch_dagster.registry.records import Lineage
from cogorch_dagster.settings import Settings

NAME = "agent-policy"


def register(settings: Settings, count: int) -> None:
    for number in range(count):
        content = f"[{number}]".encode()
        lineage = Lineage(code_version="0.1.0")
        store.register(settings, NAME, {"params.json": content}, params={}, metrics={}, lineage=lineage)


def held(settings: Settings) -> dict[str, int]:
    return {alias: each.version for each in store.versions(settings, NAME) for alias in each.aliases}


def test_a_promotion_keeps_the_one_before_and_ends_a_candidacy(mlflow_database: Settings) -> None:
    register(mlflow_database, 3)
    set_alias(mlflow_database, NAME, "candidate", 1)
    assert promote(mlflow_database, NAME, "candidate").aliases == ("champion",)
    assert held(mlflow_database) == {"champion": 1}
    set_alias(mlflow_database, NAME, "candidate", 3)
    assert set_alias(mlflow_database, NAME, "champion", 2).aliases == ("champion",)
    assert held(mlflow_database) == {"champion": 2, "previous": 1, "candidate": 3}
    promote(mlflow_database, NAME, 2)
    assert held(mlflow_database) == {"champion": 2, "previous": 1, "candidate": 3}
    # Back again, and the other way round.
    promote(mlflow_database, NAME, "previous")
    assert held(mlflow_database) == {"champion": 1, "previous": 2, "candidate": 3}
    assert store.find(mlflow_database, f"{NAME}@champion").version == 1

    with pytest.raises(Refused, match="there is no agent-policy@9; versions are 3, 2, 1"):
        promote(mlflow_database, NAME, 9)
    with pytest.raises(InvalidInput, match="there is no alias 'best'"):
        set_alias(mlflow_database, NAME, "best", 1)


def test_a_promotion_that_dies_leaves_a_champion_and_is_completed_by_the_next(
    mlflow_database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    register(mlflow_database, 2)
    promote(mlflow_database, NAME, 1)
    set_alias(mlflow_database, NAME, "candidate", 2)
    sets = MlflowClient.set_registered_model_alias

    def dies_at(alias: str) -> Any:
        def act(self: Any, name: str, given: str, version: str) -> None:
            if given == alias:
                raise KeyboardInterrupt
            sets(self, name, given, version)

        return act

    for alias in ("previous", "champion"):
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "set_registered_model_alias", dies_at(alias))
            with pytest.raises(KeyboardInterrupt):
                promote(mlflow_database, NAME, 2)
        assert held(mlflow_database)["champion"] == 1
    with monkeypatch.context() as patch:
        patch.setattr(
            MlflowClient, "delete_registered_model_alias", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            promote(mlflow_database, NAME, 2)
    promote(mlflow_database, NAME, 2)
    assert held(mlflow_database) == {"champion": 2, "previous": 1}


def test_promotions_at_once_follow_one_another(mlflow_database: Settings) -> None:
    register(mlflow_database, 4)
    threads = [threading.Thread(target=promote, args=(mlflow_database, NAME, number)) for number in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Whoever came last displaced another one: never the same version as both, never none.
    found = held(mlflow_database)
    assert set(found) == {"champion", "previous"} and found["champion"] != found["previous"]


def test_an_alias_that_is_removed_names_nothing_and_the_others_stay(mlflow_database: Settings) -> None:
    register(mlflow_database, 2)
    set_alias(mlflow_database, NAME, "champion", 1)
    set_alias(mlflow_database, NAME, "candidate", 2)
    for _ in range(2):  # Again: nothing is there to be removed.
        remove_alias(mlflow_database, NAME, "candidate")
        assert held(mlflow_database) == {"champion": 1}
    with pytest.raises(InvalidInput, match="there is no alias 'best'"):
        remove_alias(mlflow_database, NAME, "best")
