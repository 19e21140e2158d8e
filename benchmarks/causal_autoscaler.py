"""Simpson's reversal on the simulated fleet: what an autoscaler's own rows say of replicas, adjusted and not.

    .venv/bin/python benchmarks/causal_autoscaler.py [--seeds 10] [--fleets 48] [--periods 24] [--json]

Each seed simulates fleets whose replicas follow load and queue, so that replicas and latency rise together. The effect
of 0.1 more of max_replicas on latency is read from the rows three ways: without adjustment, from a structural model on
the simulation's own graph, and, as the truth, from the same fleets held at 0.3 and at 0.4. The bar: in every seed the
correlation is positive and the model's interval lies below 0. How often the interval holds the mean of the truth is
told beside it: the model is a line, the simulation is not.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.models.answer import Answer
from cogorch_dagster.causal.models.fitting import fit_model
from cogorch_dagster.causal.models.intervention import what_if
from cogorch_dagster.fleet.causes import true_effect
from cogorch_dagster.fleet.parameters import default_parameters
from tests.causal.autoscaler import graph, rows

STEP = 0.1
PAIR = ("replicas", "latency_s")


def judged(seed: int, fleets: int, periods: int) -> dict[str, Any]:
    data = rows(seed=seed, fleets=fleets, periods=periods)
    start = time.process_time()
    model = fit_model(graph(), data, seed=seed)
    (answer,) = what_if(model, shift={"replicas": STEP}, outcomes=["latency_s"])
    ms = (time.process_time() - start) * 1e3
    (naive,) = what_if(
        fit_model(Graph.from_edges(PAIR, [PAIR]), data, seed=seed), shift={"replicas": STEP}, outcomes=["latency_s"]
    )
    assert isinstance(answer, Answer)
    assert isinstance(naive, Answer)
    return {
        "seed": seed,
        "rows": data.rows,
        "correlation": float(np.corrcoef(data.column("replicas"), data.column("latency_s"))[0, 1]),
        "unadjusted": naive.change,
        "adjusted": answer.change,
        "interval": list(answer.interval),
        "block": model.block,
        "ms": ms,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--fleets", type=int, default=48)
    parser.add_argument("--periods", type=int, default=24)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    found = [judged(seed, options.fleets, options.periods) for seed in range(options.seeds)]
    truth = true_effect(
        default_parameters(), "replicas", [0.4] * 3, "latency_s", against=[0.3] * 3, steps=240, fleets=256, seed=1000
    )
    reversed_ = sum(row["correlation"] > 0 for row in found)
    right = sum(row["interval"][1] < 0 for row in found)
    held = sum(row["interval"][0] <= truth.mean <= row["interval"][1] for row in found)
    if options.json:
        bounds = [float(each) for each in truth.interval]
        print(json.dumps({"seeds": found, "truth": truth.mean, "truth_interval": bounds, "held": held}))
    else:
        print(f"{'seed':>5}{'rows':>7}{'correlation':>13}{'unadjusted s':>14}{'adjusted s':>12}   95 %")
        for row in found:
            low, high = row["interval"]
            head = f"{row['seed']:>5}{row['rows']:>7}{row['correlation']:>13.3f}{row['unadjusted']:>14.3f}"
            print(f"{head}{row['adjusted']:>12.3f}   {low:.3f} to {high:.3f}   {row['ms']:.0f} ms")
        low, high = truth.interval
        print(f"truth {truth.mean:.3f} s ({low:.3f} to {high:.3f}); within the interval in {held} of {len(found)}")
        print(f"correlation positive in {reversed_}, interval below 0 in {right} of {len(found)}")
    return 0 if reversed_ == right == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
