"""The one resource: which installation an asset, job or sensor works on."""

import dagster as dg
from pydantic import Field

from cogorch_dagster.settings import Settings, load_settings


class CogorchResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Yields the settings; each field that is not empty takes the place of the environment's value.

    Carries no secret: the address of PostgreSQL comes from the environment only.
    """

    home: str = Field(default="", description="State of the installation; empty: COGORCH_HOME.")
    lake: str = Field(default="", description="Any fsspec path; empty: COGORCH_LAKE.")
    database: str = Field(default="", description="Database of the control plane; empty: COGORCH_DATABASE.")

    @property
    def settings(self) -> Settings:
        named = {"home": self.home, "lake": self.lake, "database": self.database}
        overrides = {name: value for name, value in named.items() if value}
        return Settings(**overrides) if overrides else load_settings()  # type: ignore[arg-type]
