"""Registering, finding and loading versions.

Files come first, below a folder that no version names, then the figures, and last the version in one transaction: what
a killed process leaves is no version, and `pruning.py` clears it away. A version's files are checked against their
digests and their format each time they are loaded.
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.registry import artifacts, formats, queries, records
from cogorch_dagster.registry.mlflow_store import client, locked, translated
from cogorch_dagster.registry.queries import EXPERIMENT
from cogorch_dagster.registry.records import Lineage, Registered, check_name
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

# MLflow's: parameters in one call, and characters of the place of a name's files, as its pages know it.
_BATCH, _LONGEST_ADDRESS = 100, 150


def register(
    settings: Settings,
    name: str,
    files: Mapping[str, bytes],
    *,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    lineage: Lineage,
    tags: Mapping[str, str] | None = None,
) -> Registered:
    """Make a version of these files and figures; what was registered before gives the version of then.

    Args:
        name: of what it is a version, 1 to 80 of `a-z 0-9 _ -`.
        files: at least one, by name; see `formats.require_harmless`.
        params: JSON values by name, at most 6000 characters each.
        metrics: finite; they come back bit for bit.
        tags: free texts beside it; not part of what makes versions the same.

    Raises:
        InvalidInput: a name, figure or text out of bounds, or a file that could execute something.
        Unavailable: PostgreSQL or the lake cannot be reached.
    """
    tags = tags or {}
    check_name(name)
    records.check_figures(params, metrics, tags)
    if not files:
        raise InvalidInput(f"a version of {name} needs at least one file, got none")
    for file, content in files.items():
        formats.require_harmless(file, content)
    described = {file: artifacts.described(content) for file, content in files.items()}
    identity = records.identity(name, described, params, metrics, lineage)
    mlflow = client(settings)
    with locked(settings, name), translated(settings):
        known = queries.of_digest(mlflow, name, identity)
        if known is not None:
            found = queries.with_its_figures(mlflow, known)
            artifacts.repair(settings, found, files)
            return found
        run = mlflow.create_run(_experiment(settings, mlflow, name), run_name=name).info.run_id
        for file, content in files.items():
            artifacts.write(settings, f"{artifacts.folder_of(name, run)}/{file}", content)
        _log(mlflow, run, params, metrics)
        _ensure_name(mlflow, name)
        own = records.own_tags(identity, described, lineage)
        made = mlflow.create_model_version(name, _address(settings, name, run), run, tags={**tags, **own})
        return queries.record(made, records.texts_of_params(params), metrics, aliases={})


def get(settings: Settings, name: str, version: int | str) -> Registered:
    """A version by its number or by an alias.

    Raises:
        Refused: `unknown_version`: there is none. InvalidInput: neither a number nor an alias.
    """
    check_name(name)
    mlflow = client(settings)
    with translated(settings):
        number = queries.number_of(mlflow, name, version)
        found = queries.numbered(mlflow, name, number) if number is not None else None
        if found is None:
            known = ", ".join(str(each.version) for each in queries.matching(mlflow, f"name = '{name}'"))
            others = f"versions are {known}" if known else f"{name} has no version, see `cogorch registry list`"
            raise Refused("unknown_version", f"there is no {name}@{version}; {others}")
        return queries.with_its_figures(mlflow, found)


def find(settings: Settings, ref: str) -> Registered:
    """A version by a reference such as `agent-policy@3` or `agent-policy@champion`.

    Raises:
        InvalidInput: not of that form. Refused: `unknown_version`.
    """
    name, separator, version = ref.strip().partition("@")
    if not separator:
        raise InvalidInput(f"{ref!r:.120} names no version; write NAME@VERSION or NAME@ALIAS, such as {name}@champion")
    return get(settings, name, version)


def of_tag(settings: Settings, name: str, key: str, text: str) -> Registered | None:
    """The newest version with this free tag, if there is one."""
    check_name(name)
    if "'" in text:
        raise InvalidInput(f"tag {key} cannot be {text!r:.120}: it holds a quote")
    mlflow = client(settings)
    with translated(settings):
        found = next(queries.matching(mlflow, f"name = '{name}' and tags.`{key}` = '{text}'"), None)
        return None if found is None else queries.with_its_figures(mlflow, found)


def versions(settings: Settings, name: str) -> list[Registered]:
    """All versions of a name, the newest first; empty for a name that has none."""
    check_name(name)
    mlflow = client(settings)
    with translated(settings):
        found = list(queries.matching(mlflow, f"name = '{name}'"))
        return queries.with_figures(mlflow, name, found) if found else []


def names(settings: Settings) -> list[str]:
    """The names that have a version, in their order."""
    mlflow = client(settings)
    with translated(settings):
        return sorted({each.name for each in queries.matching(mlflow, None)})


def load(settings: Settings, registered: Registered) -> dict[str, bytes]:
    """The files of a version, each what was registered and of a format that executes nothing.

    Raises:
        Refused: `missing_artifact` or `damaged_artifact` (its bytes are not those of then, or could be executed).
        Unavailable: the lake cannot be read.
    """
    return {file: artifacts.read(settings, registered, file) for file in registered.files}


def _log(mlflow: "MlflowClient", run: str, params: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    texts = [Param(key, text) for key, text in records.texts_of_params(params).items()]
    figures = [Metric(key, float(value), now, 0) for key, value in metrics.items()]
    for start in range(0, max(len(texts), len(figures)), _BATCH):
        mlflow.log_batch(run, params=texts[start : start + _BATCH], metrics=figures[start : start + _BATCH])
    mlflow.set_terminated(run)


def _experiment(settings: Settings, mlflow: "MlflowClient", name: str) -> str:
    found = mlflow.get_experiment_by_name(EXPERIMENT + name)
    if found is not None:
        return str(found.experiment_id)
    return str(mlflow.create_experiment(EXPERIMENT + name, artifact_location=_location(settings, name)))


def _ensure_name(mlflow: "MlflowClient", name: str) -> None:
    if not mlflow.search_registered_models(f"name = '{name}'", max_results=1):
        mlflow.create_registered_model(name)


def _location(settings: Settings, name: str) -> str:
    """Where MLflow's own pages look for files of a name; not where we do, which follows from the settings."""
    from urllib.parse import urlsplit

    root = settings.lake_root if "://" in settings.lake_root else f"file://{settings.lake_root}"
    location = f"{root}/{artifacts.FOLDER}/{name}"
    shown = urlsplit(location).password is None and len(location) <= _LONGEST_ADDRESS
    return location if shown else f"lake:/{artifacts.FOLDER}/{name}"


def _address(settings: Settings, name: str, run: str) -> str:
    return f"{_location(settings, name)}/{run}/{artifacts.FILES}"
