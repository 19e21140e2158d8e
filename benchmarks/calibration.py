"""How well calibrated parameters fit real and made traffic, beside the defaults, also on the held-out last quarter.

    .venv/bin/python benchmarks/calibration.py [--data ../shared/data] [--days 7] [--seed 0] [--plots FOLDER] [--json]

azure: two traces of an hour, a tenant each, token lengths and arrivals only. gentd26: requests to an image service
over three weeks, groups as tenants, 86 models as three classes, seconds of execution and failures, no tokens. made:
observations of the default fleet at a twentieth of its traffic, the truth known, calibrated from defaults that are
wrong; one replica per model, so that requests slow each other down.
"""

import argparse
import csv
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from cogorch_dagster.fleet.calibration.calibration import Calibration, calibrate_table  # noqa: E402
from cogorch_dagster.fleet.calibration.figure import distributions  # noqa: E402
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters  # noqa: E402
from tests.fleet.calibration.traffic import observations, wrong_defaults  # noqa: E402

FAMILIES = ("input_tokens", "output_tokens", "requests per minute", "work_ms")
TRUTH_MODEL = (
    "overhead_ms", "prefill_ms_per_token", "decode_ms_per_token", "residual_sigma", "batch_slowdown", "failure_rate",
    "degraded_failure_rate", "degraded_slowdown", "incidents_per_day", "incident_minutes", "usd_per_million_input",
    "usd_per_million_output",
)  # fmt: skip
TRUTH_TENANT = ("dispersion", "burst_factor", "bursts_per_day", "burst_minutes")
OUTCOMES = {"SUCCEED": "success", "FAILED": "failure", "PENDING": "pending", "PROCESSING": "pending"}


def azure(folder: Path) -> pa.Table:
    """Both traces as tenants `code` and `conv`."""
    rows = []
    for tenant in ("code", "conv"):
        with (folder / "azure_llm" / f"AzureLLMInferenceTrace_{tenant}.csv").open() as file:
            for row in csv.DictReader(file):
                at = datetime.fromisoformat(row["TIMESTAMP"][:26]).replace(tzinfo=UTC)
                rows.append((at, tenant, int(row["ContextTokens"]), int(row["GeneratedTokens"])))
    at, tenants, read, written = zip(*rows, strict=True)
    columns = {"occurred_at": at, "tenant": tenants, "input_tokens": read, "output_tokens": written}
    return pa.table({name: pa.array(list(values)) for name, values in columns.items()})


def gentd26(folder: Path) -> pa.Table:
    """As the preset `gentd26` maps it."""
    with (folder / "gentd26" / "requests.csv").open() as file:
        rows = list(csv.DictReader(file))
    seconds = [row["exec_time_seconds"] for row in rows]
    return pa.table(
        {
            "occurred_at": [datetime.fromisoformat(row["gmt_create"]).replace(tzinfo=UTC) for row in rows],
            "tenant": [row["groupId"] or None for row in rows],
            "request_model": [row["checkpoint_model_version_id"] or None for row in rows],
            "outcome": [OUTCOMES[row["predict_status"]] for row in rows],
            "duration_ms": pa.array([float(each) * 1000 if each else None for each in seconds], pa.float64()),
        }
    )


def calibrated(table: pa.Table, **options: Any) -> tuple[Calibration, float]:
    times = table["occurred_at"].to_pylist()
    start = time.process_time()
    found = calibrate_table(table, min(times), max(times) + timedelta(microseconds=1), **options)
    return found, time.process_time() - start


def summary(found: Calibration, cpu: float) -> dict[str, Any]:
    fits = [
        {
            "name": each.name,
            "rows": each.rows,
            "verdict": each.verdict,
            **{
                f"{which}_{measure}": getattr(distance, measure) if distance else None
                for which in ("calibrated", "default", "held_out", "held_out_default")
                for distance in (getattr(each, which),)
                for measure in ("ks", "wasserstein")
            },
        }
        for each in found.fits
    ]
    held = [each for each in found.fits if each.held_out and each.held_out_default]
    better = sum(
        each.held_out.ks < each.held_out_default.ks for each in held if each.held_out and each.held_out_default
    )
    return {
        "rows": found.rows,
        "cpu_s": cpu,
        "held_out": len(held),
        "held_out_nearer_than_defaults": better,
        "fits": fits,
        "warnings": found.warnings,
        "parameters": found.parameters.model_dump(mode="json", exclude={"origin"}),
    }


def recovered(found: FleetParameters, truth: FleetParameters, scale: float) -> dict[str, dict[str, float]]:
    """True and found values of the made fleet."""
    pairs: dict[str, dict[str, float]] = {}
    for model in found.models:
        own = next(each for each in truth.models if each.name == model.name)
        for field in TRUTH_MODEL:
            pairs[f"{model.name} {field}"] = {"truth": getattr(own, field), "found": getattr(model, field)}
    for tenant in found.tenants:
        mine = next(each for each in truth.tenants if each.name == tenant.name)
        for field in TRUTH_TENANT:
            pairs[f"{tenant.name} {field}"] = {"truth": getattr(mine, field), "found": getattr(tenant, field)}
        rate = {"truth": mine.requests_per_second * scale, "found": tenant.requests_per_second}
        shape = max(abs(a - b) for a, b in zip(tenant.hourly_shape, mine.hourly_shape, strict=True))
        pairs[f"{tenant.name} requests_per_second"] = rate
        pairs[f"{tenant.name} hourly_shape, largest error"] = {"truth": 0.0, "found": shape}
    return pairs


def show(name: str, value: dict[str, Any]) -> None:
    print(f"\n{name}: {value['rows']:,} rows, {value['cpu_s']:.1f} s of CPU; held out, nearer than the defaults: "
          f"{value['held_out_nearer_than_defaults']} of {value['held_out']}")  # fmt: skip
    print(f"{'':48}{'KS':>7}{'default':>9}{'held out':>10}{'default':>9}{'W':>8}{'default':>9}  verdict")
    for each in value["fits"]:
        ks = [each[f"{which}_ks"] for which in ("calibrated", "default", "held_out", "held_out_default")]
        shown = "".join(f"{'-' if k is None else f'{k:.3f}':>{w}}" for k, w in zip(ks, (7, 9, 10, 9), strict=True))
        areas = f"{each['calibrated_wasserstein']:8.3f}{each['default_wasserstein']:9.3f}"
        print(f"{each['name'][:47]:48}{shown}{areas}  {each['verdict']}")
    for warning in value["warnings"]:
        print(f"warning: {warning}")
    for key, pair in value.get("recovered", {}).items():
        print(f"  {key:48}{pair['truth']:12.5g}{pair['found']:12.5g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--days", type=float, default=7, help="of made traffic")
    parser.add_argument("--seed", type=int, default=0, help="of made traffic and of the draws")
    parser.add_argument("--plots", type=Path, help="write a picture per data set there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    kept: dict[str, Calibration] = {}
    real: dict[str, Callable[[Path], pa.Table]] = {"azure": azure, "gentd26": gentd26}
    for name, read in real.items():
        if not options.data.is_dir():
            print(f"no data at {options.data}; {name} is left out", file=sys.stderr)
            continue
        kept[name], cpu = calibrated(read(options.data), seed=options.seed)
        results[name] = summary(kept[name], cpu)
    truth, scale = default_parameters(), 0.05
    made = observations(truth, options.days, seed=options.seed, scale=scale, company=True)
    one = dict.fromkeys((each.name for each in truth.models), 1)
    kept["made"], cpu = calibrated(made, base=wrong_defaults(), seed=options.seed, replicas=one)
    results["made"] = summary(kept["made"], cpu)
    results["made"]["recovered"] = recovered(kept["made"].parameters, truth, scale)
    for name, found in kept.items():
        if options.plots:
            (options.plots / f"{name}.png").write_bytes(distributions(found))
    if options.json:
        print(json.dumps(results))
        return
    for name, value in results.items():
        show(name, value)


if __name__ == "__main__":
    main()
