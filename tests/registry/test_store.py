"""Registering and loading: what comes back is what was given, twice is once, and a damaged file is not loaded."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cogorch_dagster.errors import InvalidInput, Refused, Unavailable
from cogorch_dagster.lake import blobs
from cogorch_dagster.registry import pruning, store
from cogorch_dagster.registry.differences import differences
from cogorch_dagster.registry.records import Lineage, Registered
from cogorch_dagster.settings import Settings

LINEAGE = Lineage(
    code_version="0.1.0",
    since=datetime(2026, 1, 1, tzinfo=UTC),
    until=datetime(2026, 1, 2, tzinfo=UTC),
    inputs="sha256:" + "1" * 64,
    calibration="sha256:" + "2" * 64,
    run_id="run-1",
    policy_version="agent-policy@1.0.1",
    study="policy-1",
)
PARAMS: dict[str, Any] = {"learningRate": 3e-4, "hidden": [64, 32], "activation": "relu", "batchSize": 64, "note": "7"}
# Neither has a short decimal form.
METRICS = {"reward": 0.1 + 0.2, "latency": 1234.5678901234567, "nothing": -0.0}


def registered(
    settings: Settings, *, reward: float = 0.1 + 0.2, files: Mapping[str, bytes] | None = None
) -> Registered:
    return store.register(
        settings,
        "agent-policy",
        files or {"params.json": b'{"a":1}', "notes.md": b"# why\n"},
        params=PARAMS,
        metrics={**METRICS, "reward": reward},
        lineage=LINEAGE,
        tags={"said": "it is ann's"},
    )


def path_of(settings: Settings, found: Registered, file: str) -> Path:
    return Path(settings.lake_root, found.folder, file)


def test_a_version_comes_back_as_it_was_registered(mlflow_database: Settings) -> None:
    made = registered(mlflow_database)
    assert (made.name, made.version, made.ref) == ("agent-policy", 1, "agent-policy@1")
    for found in (
        made,
        store.get(mlflow_database, "agent-policy", 1),
        *store.versions(mlflow_database, "agent-policy"),
    ):
        assert found.params == PARAMS and isinstance(found.params["batchSize"], int)
        assert {key: value.hex() for key, value in found.metrics.items()} == {k: v.hex() for k, v in METRICS.items()}
        assert found.lineage == LINEAGE and found.tags == {"said": "it is ann's"} and found.aliases == ()
        assert abs((found.created_at - datetime.now(UTC)).total_seconds()) < 60
    assert store.load(mlflow_database, made) == {"params.json": b'{"a":1}', "notes.md": b"# why\n"}
    assert store.names(mlflow_database) == ["agent-policy"]
    assert store.versions(mlflow_database, "nobody") == []


def test_the_same_again_is_the_same_version_and_mends_its_files(mlflow_database: Settings) -> None:
    first = registered(mlflow_database)
    path_of(mlflow_database, first, "notes.md").write_bytes(b"# else\n")
    path_of(mlflow_database, first, "params.json").unlink()
    again = registered(mlflow_database)
    assert again == first
    assert store.load(mlflow_database, again)["notes.md"] == b"# why\n"

    others = [
        registered(mlflow_database, reward=0.3),
        registered(mlflow_database, files={"params.json": b'{"a":2}'}),
        store.register(mlflow_database, "reward-model", {"model.json": b"{}"}, params={}, metrics={}, lineage=LINEAGE),
    ]
    assert [each.ref for each in others] == ["agent-policy@2", "agent-policy@3", "reward-model@1"]
    assert [each.version for each in store.versions(mlflow_database, "agent-policy")] == [3, 2, 1]
    with_other_lineage = store.register(
        mlflow_database,
        "reward-model",
        {"model.json": b"{}"},
        params={},
        metrics={},
        lineage=replace(LINEAGE, study="policy-2"),
    )
    assert with_other_lineage.version == 2


def test_many_at_once_get_one_version_each_of_what_differs(mlflow_database: Settings) -> None:
    found: list[Registered] = []

    def work(reward: float) -> None:
        found.append(registered(mlflow_database, reward=reward))

    threads = [threading.Thread(target=work, args=(reward,)) for reward in (0.1, 0.2, 0.3) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    by_reward = {
        reward: {each.version for each in found if each.metrics["reward"] == reward} for reward in (0.1, 0.2, 0.3)
    }
    assert sorted(by_reward.values(), key=min) == [{1}, {2}, {3}]


class Killed(BaseException):
    """Stands for the end of a process: nothing catches it."""


def test_a_registration_that_dies_anywhere_leaves_nothing_visible(
    mlflow_database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    written = blobs.write

    def dies(*arguments: Any, **_named: Any) -> None:
        if isinstance(arguments[0], str):
            written(*arguments)  # One of two files is there.
        raise Killed

    steps = ["log_batch", "set_terminated", "create_registered_model", "create_model_version"]
    for place, name in ((blobs, "write"), *((MlflowClient, step) for step in steps)):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, dies)
            with pytest.raises(Killed):
                registered(mlflow_database)
        assert store.names(mlflow_database) == [] and store.versions(mlflow_database, "agent-policy") == []
        with pytest.raises(Refused, match="agent-policy has no version"):
            store.get(mlflow_database, "agent-policy", 1)
        if name != "create_model_version":
            assert pruning.prune(mlflow_database) == pruning.Pruned(runs=1, files=1 if name == "write" else 2)
            assert blobs.written(f"{mlflow_database.lake_root}/registry") == {}

    # What is left of the last one neither hinders a registration nor is mistaken for part of it.
    made = registered(mlflow_database)
    assert made.version == 1
    assert pruning.prune(mlflow_database) == pruning.Pruned(runs=1, files=2)
    assert pruning.prune(mlflow_database) == pruning.Pruned(0, 0)
    assert store.load(mlflow_database, made) and store.get(mlflow_database, "agent-policy", 1) == made


def test_a_file_that_is_gone_or_changed_is_not_loaded(mlflow_database: Settings) -> None:
    made = registered(mlflow_database)
    path_of(mlflow_database, made, "notes.md").write_bytes(b"# hwy\n")
    with pytest.raises(Refused, match=r"notes.md of agent-policy@1 is not loaded") as damaged:
        store.load(mlflow_database, made)
    assert damaged.value.reason == "damaged_artifact"
    path_of(mlflow_database, made, "notes.md").unlink()
    with pytest.raises(Refused, match="is gone") as missing:
        store.load(mlflow_database, made)
    assert missing.value.reason == "missing_artifact"


def test_the_lake_may_be_anywhere_that_fsspec_knows(mlflow_database: Settings) -> None:
    elsewhere = mlflow_database.model_copy(update={"lake": f"memory://{mlflow_database.database}/" + "deep/" * 50})
    made = registered(elsewhere)
    assert store.load(elsewhere, store.find(elsewhere, made.ref))["notes.md"] == b"# why\n"
    blobs.write(f"{elsewhere.lake_root}/registry/{made.name}/killed/artifacts/notes.md", b"# half\n")
    assert pruning.prune(elsewhere) == pruning.Pruned(0, 1) and pruning.prune(elsewhere) == pruning.Pruned(0, 0)
    assert set(store.load(elsewhere, made)) == {"params.json", "notes.md"}
    # Not where it was registered, but where the settings say.
    with pytest.raises(Refused, match="is gone"):
        store.load(mlflow_database, made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Agent Policy"}, "name 'Agent Policy' must be 1 to 80 characters"),
        ({"files": {}}, "needs at least one file"),
        ({"files": {"../params.json": b"{}"}}, "artifact '../params.json' is refused"),
        ({"metrics": {"reward": float("nan")}}, "metric reward is nan"),
        ({"metrics": {"no good": 1.0}}, "metric 'no good' must be"),
        ({"params": {"a": "x" * 7000}}, "parameter a has more than 6000 characters"),
        ({"params": {"a": float("inf")}}, "is inf; JSON has only finite numbers"),
        ({"tags": {"cogorch.digest": "x"}}, "tag 'cogorch.digest' must be"),
    ],
)
def test_what_cannot_be_registered_is_refused_before_anything_is_written(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    without_server = Settings(home=tmp_path, _env_file=None)
    given = {"name": "agent-policy", "files": {"params.json": b"{}"}, "params": {}, "metrics": {}, "tags": {}} | change
    with pytest.raises(InvalidInput, match=message):
        store.register(without_server, given.pop("name"), given.pop("files"), lineage=LINEAGE, **given)
    assert list(tmp_path.iterdir()) == []


def test_a_reference_is_a_number_or_an_alias(mlflow_database: Settings) -> None:
    registered(mlflow_database)
    assert store.find(mlflow_database, "agent-policy@1").version == 1
    for ref in ("agent-policy@champion", "agent-policy@2", "nobody@1", f"agent-policy@{10**30}", "agent-policy@0"):
        with pytest.raises(Refused, match=f"there is no {ref}"):
            store.find(mlflow_database, ref)
    for ref in ("agent-policy", "agent-policy@newest", "agent-policy@"):
        with pytest.raises(InvalidInput):
            store.find(mlflow_database, ref)


def test_without_its_database_it_says_so_and_not_the_password(settings: Settings) -> None:
    secret = (
        f"postgresql://postgres:hidden-word@/postgres?{str(settings.postgres_url.get_secret_value()).split('?')[1]}"
    )
    changed = Settings(home=settings.home, postgres_url=secret, mlflow_database="nothing_there", _env_file=None)
    with pytest.raises(Unavailable, match=r"database nothing_there cannot be opened.*cogorch setup") as error:
        registered(changed)
    assert "hidden-word" not in str(error.value)


def test_differences_are_those_of_params_metrics_lineage_and_files(mlflow_database: Settings) -> None:
    first = registered(mlflow_database)
    second = store.register(
        mlflow_database,
        "agent-policy",
        {"params.json": b'{"a":1}'},
        params={**PARAMS, "learningRate": 1e-3},
        metrics={"reward": 0.5},
        lineage=replace(LINEAGE, study=None),
    )
    found = {(each.part, each.name): each for each in differences(first, second)}
    assert set(found) == {
        ("params", "learningRate"),
        ("metrics", "reward"),
        ("metrics", "latency"),
        ("metrics", "nothing"),
        ("lineage", "study"),
        ("files", "notes.md"),
    }
    assert found["params", "learningRate"].change == pytest.approx(7e-4)
    assert found["lineage", "study"].first == "policy-1" and found["lineage", "study"].second is None
    assert found["metrics", "latency"].change is None
    assert differences(first, first) == []
