"""What MLflow holds, as versions: looked up by name, number, alias or digest, with the figures of their runs.

MLflow's errors pass through here as they are; who calls has `mlflow_store.translated` around it.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.registry import artifacts, records
from cogorch_dagster.registry.records import Registered

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

ALIASES = ("candidate", "champion", "previous")
# Runs of these experiments hold the figures of versions; others in the same MLflow are not ours.
EXPERIMENT = "cogorch/"
_PAGE = 1000
_LARGEST = 2**31 - 1  # PostgreSQL's integer.


def matching(mlflow: "MlflowClient", condition: str | None) -> "Iterator[ModelVersion]":
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


def numbered(mlflow: "MlflowClient", name: str, number: int) -> "ModelVersion | None":
    """The version of this number."""
    return next(matching(mlflow, f"name = '{name}' and version_number = {number}"), None)


def of_digest(mlflow: "MlflowClient", name: str, digest: str) -> "ModelVersion | None":
    """The version of these contents."""
    return next(matching(mlflow, f"name = '{name}' and tags.`{records.DIGEST}` = '{digest}'"), None)


def number_of(mlflow: "MlflowClient", name: str, version: int | str) -> int | None:
    """The number that a number or an alias means, None where no version can have it.

    Raises:
        InvalidInput: neither.
    """
    if isinstance(version, str) and version.isdecimal():
        version = int(version) if len(version) <= len(str(_LARGEST)) else 0
    if isinstance(version, int):
        return version if 0 < version <= _LARGEST else None
    if version not in ALIASES:
        raise InvalidInput(f"{version!r:.120} is neither a version's number nor one of {', '.join(ALIASES)}")
    return aliases_of(mlflow, name).get(version)


def aliases_of(mlflow: "MlflowClient", name: str) -> dict[str, int]:
    """Version numbers by alias."""
    found = mlflow.search_registered_models(f"name = '{name}'", max_results=1)
    return {alias: int(number) for alias, number in found[0].aliases.items()} if found else {}


def named_by(aliases: Mapping[str, int], version: int) -> tuple[str, ...]:
    """The aliases that name a version."""
    return tuple(alias for alias in ALIASES if aliases.get(alias) == version)


def with_figures(mlflow: "MlflowClient", name: str, found: "Iterable[ModelVersion]") -> list[Registered]:
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

    def figures(run_id: str) -> Any:
        # A clean-up may have removed the version since it was found; its run can still be read one by one.
        return (runs[run_id] if run_id in runs else mlflow.get_run(run_id)).data

    data = [(each, figures(str(each.run_id))) for each in found]
    return [record(each, own.params, own.metrics, aliases) for each, own in data]


def with_its_figures(mlflow: "MlflowClient", found: "ModelVersion") -> Registered:
    """A version with the figures of its run."""
    figures = mlflow.get_run(str(found.run_id)).data
    return record(found, figures.params, figures.metrics, aliases_of(mlflow, found.name))


def record(
    found: "ModelVersion", params: Mapping[str, str], metrics: Mapping[str, float], aliases: Mapping[str, int]
) -> Registered:
    """A version from what MLflow holds of it."""
    files, lineage, free = records.read_tags(found.tags)
    return Registered(
        name=found.name,
        version=int(found.version),
        digest=found.tags[records.DIGEST],
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        folder=artifacts.folder_of(found.name, str(found.run_id)),
        files=files,
        params=records.params_of_texts(params),
        metrics={key: float(value) for key, value in metrics.items()},
        lineage=lineage,
        tags=free,
        aliases=named_by(aliases, int(found.version)),
    )
