"""CPU seconds to load the code location, beside `import dagster` alone, each in a fresh interpreter.

    .venv/bin/python benchmarks/code_location.py [repetitions]

Every run and every code server pays this once. The bar: under 2.5 s, and none of the heavy packages.
"""

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
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    loaded: set[str] = set()
    seconds = 0.0
    for name, statement in MEASURED.items():
        seconds, memory, loaded = measure(statement, repetitions)
        print(f"{name:<16} {seconds:6.2f} s CPU  {memory:6.0f} MB  {len(loaded)} top-level modules")
    heavy = sorted(loaded & HEAVY)
    print(f"limit            {LIMIT_S:6.2f} s CPU  heavy packages: {', '.join(heavy) or 'none'}")
    return 0 if seconds < LIMIT_S and not heavy else 1


if __name__ == "__main__":
    sys.exit(main())
