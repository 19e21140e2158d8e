"""Which version is to be used: `champion` is the one, `previous` the one before it, `candidate` one that may follow."""

from dataclasses import replace

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.registry.mlflow_store import client, locked, translated
from cogorch_dagster.registry.queries import ALIASES, aliases_of, named_by
from cogorch_dagster.registry.records import Registered
from cogorch_dagster.registry.store import get
from cogorch_dagster.settings import Settings


def promote(settings: Settings, name: str, version: int | str) -> Registered:
    """Make a version the champion and the champion of now the previous one; nothing happens if it is that already.

    A process that is killed meanwhile leaves the old champion, perhaps also as previous; promoting again completes it.

    Raises:
        Refused: `unknown_version`.
    """
    mlflow = client(settings)
    with locked(settings, name):
        chosen = get(settings, name, version)
        with translated(settings):
            now = aliases_of(mlflow, name)
            champion = now.get("champion")
            if champion != chosen.version:
                if champion is not None:
                    mlflow.set_registered_model_alias(name, "previous", str(champion))
                mlflow.set_registered_model_alias(name, "champion", str(chosen.version))
            if now.get("candidate") == chosen.version:
                mlflow.delete_registered_model_alias(name, "candidate")
            return replace(chosen, aliases=named_by(aliases_of(mlflow, name), chosen.version))


def remove_alias(settings: Settings, name: str, alias: str) -> None:
    """Let an alias name nothing; nothing happens if it does not.

    Raises:
        InvalidInput: no such alias.
    """
    _require_alias(alias)
    mlflow = client(settings)
    with locked(settings, name), translated(settings):
        if alias in aliases_of(mlflow, name):
            mlflow.delete_registered_model_alias(name, alias)


def set_alias(settings: Settings, name: str, alias: str, version: int | str) -> Registered:
    """Let an alias name a version, whatever it named before; for `champion` the same as `promote`.

    Raises:
        InvalidInput: no such alias. Refused: `unknown_version`.
    """
    _require_alias(alias)
    if alias == "champion":
        return promote(settings, name, version)
    mlflow = client(settings)
    with locked(settings, name):
        chosen = get(settings, name, version)
        with translated(settings):
            mlflow.set_registered_model_alias(name, alias, str(chosen.version))
            return replace(chosen, aliases=named_by(aliases_of(mlflow, name), chosen.version))


def _require_alias(alias: str) -> None:
    if alias not in ALIASES:
        raise InvalidInput(f"there is no alias {alias!r:.120}; there are {', '.join(ALIASES)}")
