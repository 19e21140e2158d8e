"""Old versions go with their files; what is aliased, cited, young or newest stays, and a crash loses nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.lake import blobs
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies import administration, audit, drafts, findings
from cogorch_dagster.registry import store
from cogorch_dagster.registry.aliases import promote, set_alias
from cogorch_dagster.registry.pruning import Pruned, prune
from cogorch_dagster.registry.records import Lineage, Registered
from cogorch_dagster.registry.references import cited
from cogorch_dagster.registry.retention import Retention
from cogorch_dagster.settings import Settings
from tests.evaluation.traffic import REWARD

NAME, OTHER = "reward-model-core", "agent-policy"
NOW = timedelta(0)


def register(settings: Settings, numbers: range, name: str = NAME) -> list[Registered]:
    lineage = Lineage(code_version="0.1.0")
    files = ({"model.json": f"[{number}]".encode()} for number in numbers)
    return [store.register(settings, name, each, params={}, metrics={"r2": 0.5}, lineage=lineage) for each in files]


def numbers(settings: Settings, name: str = NAME) -> list[int]:
    return [each.version for each in store.versions(settings, name)]


def of(age: timedelta = NOW, newest: int = 1) -> list[Retention]:
    return [Retention("reward-model-", age, newest)]


def cite(settings: Settings, evidence: int, payload: int, details: int) -> None:
    """Name one version each in a proposal's evidence, in the audit log and in a finding of drift."""
    finding = dict.fromkeys(("began_at", "known_at"), datetime(2026, 1, 1, tzinfo=UTC)) | {
        **{"sort": "regime", "component": "router:core", "metric": "reward", "kind": "level", "size": 1.0},
        **{"before": 0.5, "after": 0.4, "details": {"mix": {"model": f"{NAME}@{details}"}}},
    }
    with transaction(settings) as connection:
        administration.create_policy(connection, "reward-test", "reward", actor="ann")
        models = {"models": [{"used": f"{NAME}@{evidence}"}]}
        drafts.propose_version(connection, "reward-test", REWARD, actor="ann", evidence=models)
        audit.append(connection, "ann", "flag.set", "flag:x", {"why": f"{NAME}@{payload} says so, not {NAME}x@1"})
        findings.insert(connection, [finding])


def test_only_old_versions_go_that_nothing_names(mlflow_database: Settings) -> None:
    settings = mlflow_database
    made = register(settings, range(13))
    (other,) = register(settings, range(1), OTHER)
    promote(settings, NAME, 2)
    promote(settings, NAME, 3)
    set_alias(settings, NAME, "candidate", 4)
    cite(settings, 5, 10, 7)
    with transaction(settings) as connection:
        assert cited(connection, NAME) == {5, 10, 7} and cited(connection, "reward-model") == set()

    assert prune(settings, of(age=timedelta(hours=1))) == Pruned(0, 0) == prune(settings)
    assert prune(settings, of(newest=13)) == Pruned(0, 0)
    assert numbers(settings) == list(range(13, 0, -1))

    gone = [9, 8, 6, 1]
    assert prune(settings, of(newest=3)) == Pruned(0, 4, tuple(f"{NAME}@{number}" for number in gone))
    assert numbers(settings) == [13, 12, 11, 10, 7, 5, 4, 3, 2] and numbers(settings, OTHER) == [1]
    kept = {each.version: each for each in store.versions(settings, NAME)}
    for each in made:
        assert Path(settings.lake_root, each.folder).parent.exists() == (each.version not in gone)
        if each.version in kept:
            assert (kept[each.version].digest, kept[each.version].metrics) == (each.digest, each.metrics)
            assert store.load(settings, each) == {"model.json": f"[{each.version - 1}]".encode()}
    held = {alias: each.version for each in kept.values() for alias in each.aliases}
    assert held == {"champion": 3, "previous": 2, "candidate": 4} and store.load(settings, other)
    assert prune(settings, of(newest=3)) == Pruned(0, 0), "once more changes nothing"

    with pytest.raises(Refused, match=f"there is no {NAME}@8"):
        store.get(settings, NAME, 8)
    # A number that was used never comes back, not even with the same contents.
    (again,) = register(settings, range(7, 8))
    assert again.version == 14 and again.digest == made[7].digest


def test_a_clean_up_that_dies_leaves_only_what_the_next_removes(
    mlflow_database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    settings = mlflow_database
    deleted = MlflowClient.delete_model_version

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    def dies_after(*arguments: Any) -> None:
        deleted(*arguments)
        raise KeyboardInterrupt

    steps = (
        (MlflowClient, "delete_model_version", dies),
        (MlflowClient, "delete_model_version", dies_after),
        (MlflowClient, "delete_run", dies),
        (blobs, "delete_folder", dies),
    )
    register(settings, range(1))
    for newest, (place, name, death) in enumerate(steps, start=2):
        register(settings, range(newest - 1, newest))
        with monkeypatch.context() as patch:
            patch.setattr(place, name, death)
            with pytest.raises(KeyboardInterrupt):
                prune(settings, of())
        # Whatever is still a version is whole.
        for each in store.versions(settings, NAME):
            assert store.load(settings, each)["model.json"]
        prune(settings, of())
        assert numbers(settings) == [newest]
        assert len(blobs.written(f"{settings.lake_root}/registry")) == 1
        assert prune(settings, of()) == Pruned(0, 0)


def test_a_version_that_goes_while_versions_are_listed_is_listed(
    mlflow_database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    register(mlflow_database, range(2))
    search = MlflowClient.search_runs

    def late(*arguments: Any, **named: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "search_runs", search)
            prune(mlflow_database, of())
        return search(*arguments, **named)

    monkeypatch.setattr(MlflowClient, "search_runs", late)
    assert [each.metrics for each in store.versions(mlflow_database, NAME)] == [{"r2": 0.5}] * 2
    assert numbers(mlflow_database) == [2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prefix": ""}, "without a prefix"),
        ({"age": timedelta(seconds=-1)}, "age must not be negative"),
        ({"newest": 0}, "newest is 0; at least the newest version stays"),
    ],
)
def test_a_retention_that_would_remove_everything_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Retention(**{"prefix": "reward-model-", "age": NOW, "newest": 1} | change)
