"""Steps of single fleets per second and CPU core, by the number of fleets, and how well queues agree with events.

    .venv/bin/python benchmarks/fleet_environment.py [--fleets 256 1024 4096] [--steps 240] [--seed 0] [--json]

The bar: at least 200,000 steps of single fleets a second on one core, with states, rewards, conflicts and resets. The
queues' mean waits are held against a simulation request by request of the same queue (M/G/c, log-normal service).
"""

import argparse
import heapq
import json
import os
import sys
import time
from typing import Any

# One core is what is measured.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from cogorch_dagster.fleet import queueing
from cogorch_dagster.fleet.actions import ACTION_COUNTS
from cogorch_dagster.fleet.environment import FleetEnvironment
from cogorch_dagster.fleet.parameters import default_parameters

QUEUES = ((8, 0.7, 0.3), (8, 0.85, 0.3), (8, 0.85, 1.5), (24, 0.85, 1.5), (24, 0.93, 0.3), (40, 0.93, 1.5))


def speed(fleets: int, steps: int, seed: int) -> dict[str, float]:
    """Steps of single fleets per second of CPU time, with random actions decided beforehand."""
    environment = FleetEnvironment(default_parameters(), fleets, seed=seed, stagger=True)
    rng = np.random.default_rng(seed)
    actions: list[dict[str, Any]] = [
        {
            **{agent: rng.integers(0, count, fleets) for agent, count in ACTION_COUNTS.items()},
            "resource": rng.random((fleets, 4), dtype=np.float32),
        }
        for _ in range(8)
    ]
    environment.step(actions[0])
    begin, wall = time.process_time(), time.perf_counter()
    for index in range(steps):
        environment.step(actions[index % len(actions)])
    spent, passed = time.process_time() - begin, time.perf_counter() - wall
    return {"fleets": fleets, "per_cpu_second": fleets * steps / spent, "per_second": fleets * steps / passed}


def waits(servers: int, load: float, scv: float, requests: int, seed: int) -> dict[str, float]:
    """Mean wait, in mean service times: by formula and event by event."""
    rng = np.random.default_rng(seed)
    sigma2 = np.log1p(scv)
    service = np.exp(rng.standard_normal(requests) * np.sqrt(sigma2) - sigma2 / 2).tolist()
    arrivals = np.cumsum(rng.exponential(1 / (servers * load), requests)).tolist()
    free = [0.0] * servers
    total = 0.0
    for at, seconds in zip(arrivals, service, strict=True):
        begin = max(heapq.heappop(free), at)
        total += begin - at
        heapq.heappush(free, begin + seconds)
    formula = queueing.stationary_wait(*(np.array(each) for each in (load, float(servers), 1.0, 1.0, scv)))
    return {
        "servers": servers,
        "load": load,
        "scv": scv,
        "simulated": total / requests,
        "formula": float(formula.mean),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fleets", type=int, nargs="+", default=[256, 1024, 4096])
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--requests", type=int, default=400_000, help="of each simulated queue")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    speeds = [speed(fleets, given.steps, given.seed) for fleets in given.fleets]
    queues = [waits(*each, requests=given.requests, seed=given.seed) for each in QUEUES]
    if given.json:
        json.dump({"speed": speeds, "queues": queues, "seed": given.seed}, sys.stdout, indent=2)
        print()
        return 0
    for each in speeds:
        print(f"{each['fleets']:6.0f} fleets: {each['per_cpu_second']:10,.0f} steps a CPU second (bar 200,000)")
    for each in queues:
        print(
            f"{each['servers']:3.0f} servers at {each['load']:.2f}, scv {each['scv']}: mean wait {each['formula']:.3f} "
            f"by formula, {each['simulated']:.3f} event by event (mean service 1)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
