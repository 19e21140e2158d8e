"""Where Dagster keeps runs, events and schedules: PostgreSQL through dagster-postgres, at the address of the settings.

The address of the embedded server is its socket, which is known once it runs, and that of another server may hold a
password. So `dagster.yaml` names this class instead of an address, and a `dagster dev` typed by hand finds the
server, and starts it when it is ours, as every other command does.
"""

from collections.abc import Mapping
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from cogorch_dagster.platform import postgres
from cogorch_dagster.settings import load_settings


class InstallationStorage(DagsterPostgresStorage):
    """dagster-postgres on the `dagster` database of the installation."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, _config_value: Mapping[str, Any]
    ) -> "InstallationStorage":
        settings = load_settings()
        postgres.ensure_running(settings)
        return cls(postgres.server_url(settings, settings.dagster_database), inst_data=inst_data)
