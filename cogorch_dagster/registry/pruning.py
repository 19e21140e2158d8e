"""Clearing away what registrations that were killed left: files and figures that belong to no version."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cogorch_dagster.lake import blobs
from cogorch_dagster.registry.artifacts import FOLDER, url_of
from cogorch_dagster.registry.mlflow_store import client, locked, translated
from cogorch_dagster.registry.queries import EXPERIMENT
from cogorch_dagster.settings import Settings

_PAGE = 1000


@dataclass(frozen=True)
class Pruned:
    """What a clean-up removed: runs with figures, and files."""

    runs: int
    files: int


def prune(settings: Settings) -> Pruned:
    """Remove files and runs that no version names; versions stay, and so does whatever is being registered.

    Raises:
        Unavailable: PostgreSQL or the lake cannot be reached.
    """
    mlflow = client(settings)
    with translated(settings):
        found = mlflow.search_experiments(filter_string=f"name LIKE '{EXPERIMENT}%'", max_results=_PAGE)
    runs = files = 0
    for experiment in found:
        name = experiment.name.removeprefix(EXPERIMENT)
        # Who registers holds this lock from before the first file until after the version.
        with locked(settings, name), translated(settings):
            named = {each.run_id for each in _all(mlflow.search_model_versions, f"name = '{name}'")}
            for run in _all(mlflow.search_runs, "", [experiment.experiment_id]):
                if run.info.run_id not in named:
                    mlflow.delete_run(run.info.run_id)
                    runs += 1
            if not named and mlflow.search_registered_models(f"name = '{name}'", max_results=1):
                mlflow.delete_registered_model(name)
            folder = url_of(settings, f"{FOLDER}/{name}")
            unnamed = [path for path in blobs.written(folder) if path.split("/")[0] not in named]
            for path in unnamed:
                blobs.delete(f"{folder}/{path}")
            files += len(unnamed)
    return Pruned(runs, files)


def _all(search: Any, condition: str, *first: Any) -> Iterator[Any]:
    """All pages of one of MLflow's searches."""
    token = None
    while True:
        page = search(*first, condition, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
