"""Doubly robust effects on two public data sets with a known answer, by the defaults of the library.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/causal_real.py [--data ../shared/data] [--seed 0] [--json]

Lalonde: the treated of the NSW experiment with controls from the CPS survey; the experiment says 1794 with a standard
error of 671. Bar: the effect on the treated within one standard error. IHDP 1 to 5: simulated outcomes on the
covariates of a real trial. Bar: mean absolute error of the average effect at most .12.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from cogorch_dagster.causal.effects.estimation.doubly_robust import doubly_robust
from cogorch_dagster.causal.effects.estimation.matching import matching
from cogorch_dagster.causal.effects.estimation.ols import ols
from tests.causal.effects.real import BENCHMARK, BENCHMARK_ERROR, ihdp, lalonde

BAR_IHDP = 0.12


def of_lalonde(folder: Path, seed: int) -> dict[str, Any]:
    y, t, x = lalonde(folder)
    start = time.process_time()
    found = doubly_robust(y, t, x, target="ATT", seed=seed)
    seconds = time.process_time() - start
    estimate = found.fit.estimate
    return {
        "value": estimate.value,
        "se": estimate.se,
        "rows": estimate.rows,
        "notes": list(estimate.notes),
        "learners": found.learners,
        "seconds": seconds,
        "difference of means": float(y[t == 1].mean() - y[t == 0].mean()),
        "ols": ols(y, t, x).estimate.value,
        "matching": matching(y, t, x, target="ATT").value,
    }


def of_ihdp(folder: Path, seed: int) -> list[dict[str, float]]:
    rows = []
    for k in range(1, 6):
        y, t, x, truth = ihdp(folder, k)
        start = time.process_time()
        estimate = doubly_robust(y, t, x, seed=seed).fit.estimate
        rows.append(
            {
                "truth": truth,
                "value": estimate.value,
                "se": estimate.se,
                "error": abs(estimate.value - truth),
                "ols_error": abs(ols(y, t, x).estimate.value - truth),
                "seconds": time.process_time() - start,
            }
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent.parent.parent / "shared" / "data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    options = parser.parse_args()
    folder = options.data / "causal"
    job, trials = of_lalonde(folder, options.seed), of_ihdp(folder, options.seed)
    error = float(np.mean([row["error"] for row in trials]))
    if options.json:
        print(json.dumps({"lalonde": job, "ihdp": trials, "ihdp_error": error}))
    else:
        print(
            f"Lalonde, effect on the treated: {job['value']:.0f} (standard error {job['se']:.0f}, {job['rows']} rows, "
            f"{job['seconds']:.1f} s); experiment {BENCHMARK:.0f} ({BENCHMARK_ERROR:.0f})"
        )
        print(
            f"  matching {job['matching']:.0f}, ols {job['ols']:.0f}, "
            f"difference of means {job['difference of means']:.0f}"
        )
        for k, row in enumerate(trials, start=1):
            print(
                f"IHDP {k}: {row['value']:.3f} (standard error {row['se']:.3f}), truth {row['truth']:.3f}, error "
                f"{row['error']:.3f}, ols {row['ols_error']:.3f}, {row['seconds']:.1f} s"
            )
        print(f"IHDP mean absolute error {error:.3f}")
    return 0 if abs(job["value"] - BENCHMARK) <= BENCHMARK_ERROR and error <= BAR_IHDP else 1


if __name__ == "__main__":
    sys.exit(main())
