"""Registering, finding and loading versions.

Files come first, below a folder that no version names, then the figures, and last the version in one transaction: what
a killed process leaves is no version, and `pruning.py` clears it away. A version's files are checked against their
digests and their format each time they are loaded.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cogorch_dagster.errors import InvalidInput, Refused, Unavailable
from cogorch_dagster.lake import blobs
from cogorch_dagster.registry import formats, records
from cogorch_dagster.registry.mlflow_store import client, locked, translated
from cogorch_dagster.registry.records import Artifact, Lineage, Registered, check_name
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

FOLDER = "registry"
ALIASES = ("candidate", "champion", "previous")
# Runs of these experiments hold the figures of versions; others in the same MLflow are not ours.
EXPERIMENT = "cogorch/"
_ARTIFACTS = "artifacts"
_PAGE = 1000
# MLflow's: parameters in one call, and characters of the place of a name's files, as its pages know it.
_BATCH, _LONGEST_ADDRESS = 100, 150
_LARGEST = 2**31 - 1  # PostgreSQL's integer.


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
    described = {file: Artifact(_sha256(content), len(content)) for file, content in files.items()}
    identity = records.identity(name, described, params, metrics, lineage)
    mlflow = client(settings)
    with locked(settings, name), translated(settings):
        known = _of_digest(mlflow, name, identity)
        if known is not None:
            found = _registered(mlflow, known)
            _repair(settings, found, files)
            return found
        run = mlflow.create_run(_experiment(settings, mlflow, name), run_name=name).info.run_id
        for file, content in files.items():
            _write(f"{url_of(settings, _folder(name, run))}/{file}", content)
        _log(mlflow, run, params, metrics)
        _ensure_name(mlflow, name)
        own = records.own_tags(identity, described, lineage)
        made = mlflow.create_model_version(name, _address(settings, name, run), run, tags={**tags, **own})
        return _record(made, records.texts_of_params(params), metrics, aliases={})


def get(settings: Settings, name: str, version: int | str) -> Registered:
    """A version by its number or by an alias.

    Raises:
        Refused: `unknown_version`: there is none. InvalidInput: neither a number nor an alias.
    """
    check_name(name)
    mlflow = client(settings)
    with translated(settings):
        number = _number(mlflow, name, version)
        found = _version(mlflow, name, number) if number is not None else None
        if found is None:
            known = ", ".join(str(each.version) for each in _versions(mlflow, f"name = '{name}'")) or "none"
            raise Refused("unknown_version", f"there is no {name}@{version}; versions are {known}")
        return _registered(mlflow, found)


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
        found = next(_versions(mlflow, f"name = '{name}' and tags.`{key}` = '{text}'"), None)
        return None if found is None else _registered(mlflow, found)


def versions(settings: Settings, name: str) -> list[Registered]:
    """All versions of a name, the newest first; empty for a name that has none."""
    check_name(name)
    mlflow = client(settings)
    with translated(settings):
        found = list(_versions(mlflow, f"name = '{name}'"))
        return _with_figures(mlflow, name, found) if found else []


def names(settings: Settings) -> list[str]:
    """The names that have a version, in their order."""
    mlflow = client(settings)
    with translated(settings):
        return sorted({each.name for each in _versions(mlflow, None) if records.DIGEST in each.tags})


def load(settings: Settings, registered: Registered) -> dict[str, bytes]:
    """The files of a version, each what was registered and of a format that executes nothing.

    Raises:
        Refused: `missing_artifact` or `damaged_artifact` (its bytes are not those of then, or could be executed).
        Unavailable: the lake cannot be read.
    """
    return {file: _read(settings, registered, file, artifact) for file, artifact in registered.files.items()}


def url_of(settings: Settings, path: str) -> str:
    """Where in the lake a path lies."""
    return f"{settings.lake_root}/{path}"


def _read(settings: Settings, registered: Registered, file: str, artifact: Artifact) -> bytes:
    what = f"{file} of {registered.ref}"
    remedy = "Restore it from a backup, or register the same again, which writes it anew."
    try:
        formats.require_name(file)
        content = blobs.read(f"{url_of(settings, registered.folder)}/{file}")
        if _sha256(content) != artifact.sha256:
            raise InvalidInput(f"its {len(content)} bytes are not the {artifact.bytes} that were registered")
        formats.require_harmless(file, content)
    except FileNotFoundError:
        raise Refused("missing_artifact", f"{what} is gone. {remedy}") from None
    except OSError as error:
        raise Unavailable(f"{what} cannot be read: {error}. Check the lake, then try again.") from error
    except InvalidInput as error:
        raise Refused("damaged_artifact", f"{what} is not loaded: {error}. {remedy}") from error
    return content


def _repair(settings: Settings, registered: Registered, files: Mapping[str, bytes]) -> None:
    """Write files anew that are missing or are no longer what was registered."""
    for file, artifact in registered.files.items():
        try:
            _read(settings, registered, file, artifact)
        except Refused:
            _write(f"{url_of(settings, registered.folder)}/{file}", files[file])


def _write(url: str, content: bytes) -> None:
    try:
        blobs.write(url, content)
    except OSError as error:
        raise Unavailable(f"the registry cannot write to the lake: {error}. Check the lake, then try again.") from error


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
    location = f"{root}/{FOLDER}/{name}"
    shown = urlsplit(location).password is None and len(location) <= _LONGEST_ADDRESS
    return location if shown else f"lake:/{FOLDER}/{name}"


def _address(settings: Settings, name: str, run: str) -> str:
    return f"{_location(settings, name)}/{run}/{_ARTIFACTS}"


def _folder(name: str, run: str) -> str:
    return f"{FOLDER}/{name}/{run}/{_ARTIFACTS}"


def _number(mlflow: "MlflowClient", name: str, version: int | str) -> int | None:
    if isinstance(version, str) and version.isdecimal():
        version = int(version) if len(version) <= len(str(_LARGEST)) else 0
    if isinstance(version, int):
        return version if 0 < version <= _LARGEST else None
    if version not in ALIASES:
        raise InvalidInput(f"{version!r:.120} is neither a version's number nor one of {', '.join(ALIASES)}")
    return aliases_of(mlflow, name).get(version)


def named_by(aliases: Mapping[str, int], version: int) -> tuple[str, ...]:
    """The aliases that name a version."""
    return tuple(alias for alias in ALIASES if aliases.get(alias) == version)


def aliases_of(mlflow: "MlflowClient", name: str) -> dict[str, int]:
    """Version numbers by alias."""
    found = mlflow.search_registered_models(f"name = '{name}'", max_results=1)
    return {alias: int(number) for alias, number in found[0].aliases.items()} if found else {}


def _version(mlflow: "MlflowClient", name: str, number: int) -> "ModelVersion | None":
    return next(_versions(mlflow, f"name = '{name}' and version_number = {number}"), None)


def _of_digest(mlflow: "MlflowClient", name: str, digest: str) -> "ModelVersion | None":
    return next(_versions(mlflow, f"name = '{name}' and tags.`{records.DIGEST}` = '{digest}'"), None)


def _versions(mlflow: "MlflowClient", condition: str | None) -> "Iterator[ModelVersion]":
    """Versions that were registered here, the newest first."""
    token = None
    while True:
        page = mlflow.search_model_versions(
            condition, max_results=_PAGE, order_by=["version_number DESC"], page_token=token
        )
        yield from (each for each in page if records.DIGEST in each.tags and each.run_id)
        token = page.token
        if not token:
            return


def _with_figures(mlflow: "MlflowClient", name: str, found: "Iterable[ModelVersion]") -> list[Registered]:
    """Versions of one name, with the figures of their runs read at once."""
    experiment = mlflow.get_experiment_by_name(EXPERIMENT + name)
    runs: dict[str, Any] = {}
    token = None
    while experiment is not None:
        page = mlflow.search_runs([experiment.experiment_id], max_results=_PAGE, page_token=token)
        runs |= {run.info.run_id: run for run in page}
        token = page.token
        if not token:
            break
    aliases = aliases_of(mlflow, name)
    data = {run_id: run.data for run_id, run in runs.items()}
    return [_record(each, data[str(each.run_id)].params, data[str(each.run_id)].metrics, aliases) for each in found]


def _registered(mlflow: "MlflowClient", found: "ModelVersion") -> Registered:
    figures = mlflow.get_run(str(found.run_id)).data
    return _record(found, figures.params, figures.metrics, aliases_of(mlflow, found.name))


def _record(
    found: "ModelVersion", params: Mapping[str, str], metrics: Mapping[str, float], aliases: Mapping[str, int]
) -> Registered:
    files, lineage, free = records.read_tags(found.tags)
    return Registered(
        name=found.name,
        version=int(found.version),
        digest=found.tags[records.DIGEST],
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        folder=_folder(found.name, str(found.run_id)),
        files=files,
        params=records.params_of_texts(params),
        metrics={key: float(value) for key, value in metrics.items()},
        lineage=lineage,
        tags=free,
        aliases=named_by(aliases, int(found.version)),
    )


def _sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
