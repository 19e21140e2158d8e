"""CPU seconds to evaluate a million logged decisions: doubly robust with its interval, beside plain NumPy IPS.

    .venv/bin/python benchmarks/evaluation.py [--rows 1000000] [--arms 5] [--tenants 20] [--repetitions 5] [--json]

Plain IPS is what a notebook would hold: the ratios, the mean of ratio times reward, and 1.96 standard errors. The bar:
doubly robust and its interval under 1 s of CPU, for a target that is the same in every row and for one that is not.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median

# One thread, so that CPU time is not that of threads waiting for each other.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402

from cogorch_dagster.evaluation.bandit import LoggedBandit  # noqa: E402
from cogorch_dagster.evaluation.estimators import EVERY, EstimatorName, estimates  # noqa: E402
from cogorch_dagster.evaluation.report import evaluate_bandit  # noqa: E402

LIMIT_S = 1.0


def simulated(rows: int, arms: int, tenants: int) -> tuple[LoggedBandit, np.ndarray]:
    """A log with propensities of each row's own, and a target that differs from row to row."""
    rng = np.random.default_rng(1)
    logging = rng.dirichlet(np.ones(arms) * 4, rows) * 0.9 + 0.1 / arms
    action = (logging.cumsum(axis=1) < rng.random(rows)[:, None]).sum(axis=1).clip(0, arms - 1)
    reward = 0.3 + 0.4 * action / arms + 0.2 * rng.standard_normal(rows)
    names = tuple(f"arm-{number}" for number in range(arms))
    tenant = rng.integers(0, tenants, rows)
    log = LoggedBandit(action, logging[np.arange(rows), action], reward, names, slices={"tenant": tenant})
    return log, rng.dirichlet(np.ones(arms), rows)


def plain_ips(log: LoggedBandit, target: np.ndarray) -> tuple[float, float, float]:
    """Value and interval in as few lines as it takes."""
    chosen = target[log.action] if target.ndim == 1 else target[np.arange(len(log)), log.action]
    terms = chosen / log.propensity * log.reward
    value, margin = terms.mean(), 1.96 * terms.std() / np.sqrt(len(terms))
    return value, value - margin, value + margin


def cpu(work: Callable[[], object], repetitions: int) -> float:
    """Median CPU seconds."""
    spent = []
    for _ in range(repetitions):
        begun = time.process_time()
        work()
        spent.append(time.process_time() - begun)
    return median(spent)


def fresh(log: LoggedBandit) -> LoggedBandit:
    """The log without anything computed before."""
    return LoggedBandit(log.action, log.propensity, log.reward, log.arms, slices=log.slices)


def by(log: LoggedBandit, target: np.ndarray, name: EstimatorName) -> Callable[[], object]:
    def work() -> object:
        patterns, (ratios,) = fresh(log).against(target)
        return estimates(patterns, ratios, (name,))

    return work


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--arms", type=int, default=5)
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON value instead of a table")
    chosen = parser.parse_args()
    log, by_row = simulated(chosen.rows, chosen.arms, chosen.tenants)
    found: dict[str, dict[str, float]] = {}
    for kind, target in (("one target", np.full(chosen.arms, 1 / chosen.arms)), ("target by row", by_row)):
        seconds = {"plain ips": cpu(partial(plain_ips, log, target), chosen.repetitions)}
        seconds |= {name: cpu(by(log, target, name), chosen.repetitions) for name in EVERY}
        seconds["all, by tenant"] = cpu(partial(evaluate_bandit, fresh(log), target), 1)
        found[kind] = seconds
    worst = max(seconds["dr"] for seconds in found.values())
    if chosen.json:
        print(json.dumps({"rows": chosen.rows, "arms": chosen.arms, "cpu_s": found, "limit_s": LIMIT_S}))
    else:
        print(f"{chosen.rows:,} rows, {chosen.arms} arms, {chosen.tenants} tenants; CPU seconds, and times plain IPS")
        for kind, seconds in found.items():
            for name, spent in seconds.items():
                print(f"{kind:<14} {name:<15} {spent:7.3f} s  {spent / seconds['plain ips']:6.1f} x")
        print(f"limit for dr   {LIMIT_S:23.3f} s")
    return 0 if worst < LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
