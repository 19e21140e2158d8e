"""The configuration of the Dagster instance of an installation, and the environment that Dagster's processes need.

Imports no Dagster: the file names classes of `resources/` that Dagster loads by itself.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from cogorch_dagster.settings import Settings

# Two cores: one run learns, one trains agents on a single thread, and a slot stays free for an activation.
MAX_CONCURRENT_RUNS = 3
LANE_TAG = "cogorch/lane"
MAX_RUN_SECONDS = 1800


def directory(settings: Settings) -> Path:
    """`DAGSTER_HOME` of the installation."""
    return settings.home / "dagster"


def write_instance(settings: Settings) -> Path:
    """Write `dagster.yaml` whole or not at all; the same settings write the same bytes.

    The file holds no address and no password of PostgreSQL: `resources.storage` asks the settings for them.

    Returns:
        The path of the file.
    """
    import yaml

    folder = directory(settings)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "dagster.yaml"
    text = "# Written by cogorch; changed again at its next start.\n" + yaml.safe_dump(
        _configuration(), sort_keys=False
    )
    handle, name = tempfile.mkstemp(dir=folder, prefix=".dagster.yaml.")
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def environment(settings: Settings) -> dict[str, str]:
    """What a Dagster process needs beside the inherited environment to belong to this installation.

    Holds the password of `COGORCH_POSTGRES_URL` if there is one: for child processes, never for a file or a log.
    """
    variables = {"DAGSTER_HOME": str(directory(settings)), "DAGSTER_DISABLE_TELEMETRY": "yes"}
    for name, value in settings:
        text = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        if value is not None and text:
            variables[f"COGORCH_{name.upper()}"] = text
    return variables


def _configuration() -> dict[str, Any]:
    return {
        "storage": {"custom": {"module": "resources.storage", "class": "InstallationStorage", "config": {}}},
        "run_launcher": {"module": "resources.launcher", "class": "WatchfulRunLauncher", "config": {}},
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {"dequeue_interval_seconds": 2},
        },
        "concurrency": {
            "runs": {
                "max_concurrent_runs": MAX_CONCURRENT_RUNS,
                "tag_concurrency_limits": [
                    {"key": LANE_TAG, "value": {"applyLimitPerUniqueValue": True}, "limit": 1},
                ],
            }
        },
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": 180,
            "cancel_timeout_seconds": 60,
            "max_runtime_seconds": MAX_RUN_SECONDS,
            "max_resume_run_attempts": 0,
            "poll_interval_seconds": 15,
        },
        "retention": {
            "schedule": {"purge_after_days": {"skipped": 2, "success": 30, "failure": 30}},
            "sensor": {"purge_after_days": {"skipped": 1, "success": 7, "failure": 30}},
            "auto_materialize": {"purge_after_days": {"skipped": 1, "success": 7, "failure": 30}},
        },
        # The creation of a run over many hours must not hold up the sensor that activates decisions.
        "sensors": {"use_threads": True, "num_workers": 3},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
    }
