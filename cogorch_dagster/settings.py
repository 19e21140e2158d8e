"""The one settings object: where things are and the limits of the installation.

What the fleet does is not configured here but in policy documents, which are versioned and approved.
"""

from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from `COGORCH_*` environment variables, then from `.env` in the working directory."""

    model_config = SettingsConfigDict(
        env_prefix="COGORCH_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    home: Path = Field(default=Path(".cogorch"), description="State of this installation.")
    lake: str = Field(default="", description="Any fsspec path; empty: `<home>/lake`.")
    postgres_url: SecretStr | None = Field(
        default=None,
        description="postgresql://user:password@host:port of a server; unset: an embedded one under `home`.",
    )
    database: str = Field(default="cogorch", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    dagster_database: str = Field(default="dagster", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    mlflow_database: str = Field(default="mlflow", pattern=r"^[a-z_][a-z0-9_]{0,62}$")

    service_host: str = "127.0.0.1"
    service_port: int = Field(default=8710, ge=1, le=65535)
    webserver_host: str = "127.0.0.1"
    webserver_port: int = Field(default=3000, ge=1, le=65535)

    duckdb_memory_limit: str = Field(default="1GB", description="Above it DuckDB spills to `<home>/spill`.")
    duckdb_threads: int = Field(default=2, ge=1, le=256)

    success_sample_rate: float = Field(
        default=1.0, gt=0, le=1, description="Share of first-attempt successes kept; failures are always kept."
    )
    retention_days: int = Field(
        default=90, ge=1, le=3650, description="Raw hours older than this are dropped; their rollups stay."
    )
    reward_model_days: int = Field(
        default=90,
        ge=1,
        le=3650,
        description="Reward models not in use go after so long; the newest stay.",
    )
    retraining_rows: int = Field(
        default=100_000, ge=1, description="New observations since the last calibration that start a retraining."
    )
    retraining_pause_hours: float = Field(
        default=6.0, ge=0, le=8760, description="After a retraining none is started because of the data for so long."
    )

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @property
    def lake_root(self) -> str:
        """The fsspec path below which every Parquet file of the lake lies."""
        return self.lake.rstrip("/") if self.lake else str(self.home / "lake")

    @property
    def service_url(self) -> str:
        return f"http://{self.service_host}:{self.service_port}"


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
