"""Free tags that a version gets after it was registered: what was found out about it since."""

from dataclasses import replace

from cogorch_dagster.registry.mlflow_store import client, locked, translated
from cogorch_dagster.registry.records import Registered, check_figures
from cogorch_dagster.settings import Settings

# Of an agent's version: whether the agents together earn more than the static defaults, yes or no.
BEATS_STATIC = "beats_static"


def set_tag(settings: Settings, version: Registered, key: str, text: str) -> Registered:
    """Write a free tag on a version, whatever it said before; nothing else of the version changes.

    Raises:
        InvalidInput: a key or text out of bounds. Unavailable: the registry cannot be reached.
    """
    check_figures({}, {}, {key: text})
    mlflow = client(settings)
    with locked(settings, version.name), translated(settings):
        mlflow.set_model_version_tag(version.name, str(version.version), key, text)
    return replace(version, tags={**version.tags, key: text})
