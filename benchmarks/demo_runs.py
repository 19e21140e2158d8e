"""How often the demo keeps its word: is the measured difference above 0, and inside the proposal's interval?

    python benchmarks/demo_runs.py --runs 5

Each run is a whole `cogorch demo` with a seed of its own on this installation: two minutes on two cores. The peer of
each figure is the proposal's own estimate, made before the change.
"""

import argparse
import json
import subprocess
import sys
from typing import Any


def run_demo(seed: int) -> dict[str, Any]:
    """One demo's result; its progress goes to stderr."""
    command = [sys.executable, "-m", "cogorch_dagster.cli", "demo", "--json", "--seed", str(seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def row(result: dict[str, Any]) -> dict[str, Any]:
    """The figures that the documentation quotes."""
    proposal, measured = result["proposal"], result["measured"]
    low, high = proposal["ci95"]
    return {
        "seed": result["seed"],
        "estimate": round(proposal["estimate"], 4),
        "ci95": [round(low, 4), round(high, 4)],
        "before": round(measured["before"], 4),
        "after": round(measured["after"], 4),
        "diff": round(measured["diff"], 4),
        "diff_ci95": [round(bound, 4) for bound in measured["diff_ci95"]],
        "above_0": measured["diff_ci95"][0] > 0,
        "inside": low <= measured["diff"] <= high,
        "switch_ms": round(result["switch_ms"], 1),
        "failed_requests": result["failed_requests"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog="example: python benchmarks/demo_runs.py --runs 5 --first-seed 11",
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=11)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line of stdout")
    chosen = parser.parse_args()
    rows = []
    for seed in range(chosen.first_seed, chosen.first_seed + chosen.runs):
        rows.append(row(run_demo(seed)))
        print(rows[-1], file=sys.stderr if chosen.json else sys.stdout, flush=True)
    summary = {
        "runs": len(rows),
        "above_0": sum(each["above_0"] for each in rows),
        "inside": sum(each["inside"] for each in rows),
        "rows": rows,
    }
    if chosen.json:
        print(json.dumps(summary))
    else:
        print(f"above 0 in {summary['above_0']} of {len(rows)}, inside the proposal's interval in {summary['inside']}")


if __name__ == "__main__":
    main()
