"""What the registry adds to MLflow: registering and loading an agent, beside MLflow's client alone.

    .venv/bin/python benchmarks/registry.py [--versions 30] [--megabytes 1] [--json]

Both write the same files to the same lake and the same figures to the same database of an embedded PostgreSQL of their
own. Ours checks formats and digests, locks the name, recognises what is registered already, and clears up after kills;
MLflow's client alone logs a run with its artifacts and makes a version of it. Times are CPU of this process and, in
parentheses, of the clock, medians in ms.
"""

import argparse
import json
import os
import shutil
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from cogorch_dagster.platform import migrate, postgres
from cogorch_dagster.registry import mlflow_store, store
from cogorch_dagster.registry.aliases import promote
from cogorch_dagster.registry.records import Lineage, Registered
from cogorch_dagster.settings import Settings

os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
PARAMS = {f"parameter{k}": 0.1 * k for k in range(20)}
METRICS = {f"metric{k}": 0.3 * k for k in range(10)}


def checkpoint(megabytes: float, seed: int) -> bytes:
    data = np.random.default_rng(seed).bytes(int(megabytes * 1e6))
    header = json.dumps({"w": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}).encode()
    return struct.pack("<Q", len(header)) + header + data


def timed(calls: list[Callable[[], Any]]) -> dict[str, float]:
    cpu, clock = [], []
    for call in calls:
        start = time.process_time(), time.perf_counter()
        call()
        cpu.append(time.process_time() - start[0])
        clock.append(time.perf_counter() - start[1])
    return {"cpu_ms": 1e3 * statistics.median(cpu), "clock_ms": 1e3 * statistics.median(clock)}


def alone(settings: Settings, experiment: str, files: dict[str, bytes]) -> None:
    """The same by MLflow's client, as its documentation has it."""
    from mlflow.entities import Metric, Param

    client = mlflow_store.client(settings)
    run = client.create_run(experiment).info
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        client.log_artifacts(run.run_id, folder)
    now = int(time.time() * 1000)
    metrics = [Metric(key, value, now, 0) for key, value in METRICS.items()]
    client.log_batch(run.run_id, metrics=metrics, params=[Param(key, str(value)) for key, value in PARAMS.items()])
    client.set_terminated(run.run_id)
    client.create_model_version("alone", str(run.artifact_uri), run.run_id)


def alone_loaded(settings: Settings, version: int) -> None:
    client = mlflow_store.client(settings)
    made = client.get_model_version("alone", str(version))
    with tempfile.TemporaryDirectory() as folder:
        client.download_artifacts(str(made.run_id), "", folder)
        for path in Path(folder).iterdir():
            path.read_bytes()
    client.get_run(str(made.run_id))


def measured(settings: Settings, versions: int, megabytes: float) -> dict[str, Any]:
    start = time.process_time(), time.perf_counter()
    mlflow_store.client(settings)
    first = {"cpu_ms": 1e3 * (time.process_time() - start[0]), "clock_ms": 1e3 * (time.perf_counter() - start[1])}
    files = [{"checkpoint.safetensors": checkpoint(megabytes, k), "fleet.json": b"{}"} for k in range(versions)]
    lineage = Lineage(code_version="benchmark")

    def register(k: int) -> Registered:
        return store.register(settings, "ours", files[k], params=PARAMS, metrics=METRICS, lineage=lineage)

    client = mlflow_store.client(settings)
    experiment = client.create_experiment("alone", artifact_location=f"file://{settings.lake_root}/alone")
    client.create_registered_model("alone")
    register(0)
    alone(settings, experiment, files[0])
    rounds = range(1, versions)
    return {
        "first use": first,
        "register": timed([lambda k=k: register(k) for k in rounds]),  # type: ignore[misc]
        "register, MLflow alone": timed([lambda k=k: alone(settings, experiment, files[k]) for k in rounds]),  # type: ignore[misc]
        "register again": timed([lambda k=k: register(k) for k in rounds]),  # type: ignore[misc]
        "get and load": timed(
            [lambda k=k: store.load(settings, store.get(settings, "ours", k)) for k in rounds]  # type: ignore[misc]
        ),
        "get and load, MLflow alone": timed([lambda k=k: alone_loaded(settings, k) for k in rounds]),  # type: ignore[misc]
        "promote": timed([lambda k=k: promote(settings, "ours", k) for k in rounds]),  # type: ignore[misc]
        "list all": timed([lambda: store.versions(settings, "ours")] * 5),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=int, default=30, help="at least 2")
    parser.add_argument("--megabytes", type=float, default=1.0, help="of a checkpoint")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="cogorch-benchmark-"))
    settings = Settings(home=home, _env_file=None)
    try:
        postgres.ensure_running(settings)
        migrate.create_databases(settings)
        found = measured(settings, options.versions, options.megabytes)
        mlflow_store.dispose()
    finally:
        postgres.stop(settings, mode="immediate")
        shutil.rmtree(home, ignore_errors=True)
    if options.json:
        print(json.dumps(found))
    else:
        for name, each in found.items():
            print(f"{name:<28} {each['cpu_ms']:>8.1f} ms ({each['clock_ms']:.1f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
