"""Clearing away what belongs to no version, as killed registrations leave it, and versions past their retention."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cogorch_dagster.lake import blobs
from cogorch_dagster.registry.artifacts import FOLDER, url_of
from cogorch_dagster.registry.mlflow_store import client, locked, translated
from cogorch_dagster.registry.queries import EXPERIMENT
from cogorch_dagster.registry.retention import Retention, expired
from cogorch_dagster.settings import Settings

_PAGE = 1000


@dataclass(frozen=True)
class Pruned:
    """What a clean-up removed.

    Attributes:
        runs: with figures, that no version named.
        files: of these and of the versions.
        versions: such as `reward-model-router-core@3`, with their runs and files.
    """

    runs: int
    files: int
    versions: tuple[str, ...] = ()


def prune(settings: Settings, retentions: Sequence[Retention] = ()) -> Pruned:
    """Remove versions past their retention, then files and runs that no version names.

    Other versions stay, and so does whatever is being registered. A version goes before its run and its files: a
    process that is killed leaves no version without them, and the next clean-up removes what it left.

    Args:
        retentions: of the names whose versions go at all.

    Raises:
        Unavailable: PostgreSQL or the lake cannot be reached.
    """
    mlflow = client(settings)
    with translated(settings):
        found = mlflow.search_experiments(filter_string=f"name LIKE '{EXPERIMENT}%'", max_results=_PAGE)
    versions: list[str] = []
    runs = files = 0
    for experiment in found:
        name = experiment.name.removeprefix(EXPERIMENT)
        # Who registers holds this lock from before the first file until after the version.
        with locked(settings, name), translated(settings):
            gone = [each for retention in retentions for each in expired(settings, mlflow, name, retention)]
            for version in gone:
                mlflow.delete_model_version(name, str(version.version))
            named = {each.run_id for each in _all(mlflow.search_model_versions, f"name = '{name}'")}
            unnamed = [
                run.info.run_id
                for run in _all(mlflow.search_runs, "", [experiment.experiment_id])
                if run.info.run_id not in named
            ]
            for run in unnamed:
                mlflow.delete_run(run)
            if not named and mlflow.search_registered_models(f"name = '{name}'", max_results=1):
                mlflow.delete_registered_model(name)
            files += _cleared(settings, name, named)
        versions += [f"{name}@{each.version}" for each in gone]
        runs += len(set(unnamed) - {each.run_id for each in gone})
    return Pruned(runs, files, tuple(versions))


def _cleared(settings: Settings, name: str, named: set[str]) -> int:
    """Delete the files of a name that lie below none of these runs; how many."""
    folder = url_of(settings, f"{FOLDER}/{name}")
    unnamed = [path for path in blobs.written(folder) if path.split("/")[0] not in named]
    for run in sorted({path.split("/")[0] for path in unnamed}):
        blobs.delete_folder(f"{folder}/{run}")
    return len(unnamed)


def _all(search: Any, condition: str, *first: Any) -> Iterator[Any]:
    """All pages of one of MLflow's searches."""
    token = None
    while True:
        page = search(*first, condition, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
