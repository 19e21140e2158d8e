"""CPU seconds to load the code location, beside `import dagster` alone, each in a fresh interpreter.

    python benchmarks/code_location.py --repetitions 5

Every run and every code server pays this once. The bar: under 2.5 s, and none of the heavy packages.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
LIMIT_S = 2.5
HEAVY = {"torch", "dowhy", "mlflow", "featuretools", "sklearn", "optuna"}
MEASURED = {
    "import dagster": "import dagster",
    "code location": "from cogorch_dagster.definitions import defs; defs.get_repository_def().get_all_jobs()",
}
REPORT = (
    "; import json, resource, sys; used = resource.getrusage(resource.RUSAGE_SELF); "
    "print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss, sorted(m for m in sys.modules if '.' not in m)]))"
)


def measure(statement: str, repetitions: int) -> tuple[float, float, set[str]]:
    """Median CPU seconds, most MB of memory, and the top-level modules that were loaded."""
    runs = []
    for _ in range(repetitions):
        command = [sys.executable, "-c", statement + REPORT]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return median(run[0] for run in runs), max(run[1] for run in runs) / 1024, set(runs[0][2])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0], epilog="example: python benchmarks/code_location.py --json"
    )
    parser.add_argument("--repetitions", type=int, default=5, help="fresh interpreters for each figure")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line of stdout")
    chosen = parser.parse_args()
    found = {name: measure(statement, chosen.repetitions) for name, statement in MEASURED.items()}
    seconds, _, loaded = found["code location"]
    heavy = sorted(loaded & HEAVY)
    if chosen.json:
        figures = {name: {"cpu_s": cpu, "memory_mb": memory} for name, (cpu, memory, _) in found.items()}
        print(json.dumps({**figures, "limit_s": LIMIT_S, "heavy": heavy}))
    else:
        for name, (cpu, memory, modules) in found.items():
            print(f"{name:<16} {cpu:6.2f} s CPU  {memory:6.0f} MB  {len(modules)} top-level modules")
        print(f"limit            {LIMIT_S:6.2f} s CPU  heavy packages: {', '.join(heavy) or 'none'}")
    return 0 if seconds < LIMIT_S and not heavy else 1


if __name__ == "__main__":
    sys.exit(main())
