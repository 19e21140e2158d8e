"""The controllers that agents have to beat, on fresh seeds, and how often the intervals that compare them hold.

    .venv/bin/python benchmarks/baselines.py [--seeds 20] [--first-seed 100000] [--fleets-per-seed 8]
        [--train-fleets 64] [--train-steps 6000] [--train-seed 0] [--against static] [--picture FILE] [--json]

Static defaults, autoscalers at three targets, and the first design's Q-learning with its fixed epsilon (as it ran:
one action in five is random for ever; and its best actions only) and with a decaying one. The Q-tables learn from
`train-fleets * train-steps` steps of single fleets; few fleets for many steps, because a shared table is updated once
per step and learns less from the same budget with many fleets. Then the coverage of the 95 % interval at several
numbers of seeds, and CPU time of an evaluation and of a comparison.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from cogorch_dagster.agents.baselines.autoscaler import Autoscaler
from cogorch_dagster.agents.baselines.static import StaticDefaults
from cogorch_dagster.agents.baselines.tabular import TabularConfiguration, decaying
from cogorch_dagster.agents.baselines.training import train_tabular
from cogorch_dagster.agents.comparison.bootstrap import interquartile_mean, interval, replicates, resampled
from cogorch_dagster.agents.comparison.comparison import Metric, compare_all
from cogorch_dagster.agents.comparison.comparison_figure import comparison_figure
from cogorch_dagster.agents.comparison.scores_comparison import compare_scores
from cogorch_dagster.agents.controllers import Controller
from cogorch_dagster.agents.evaluation import METRICS, Scores, evaluate
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters

TARGETS = (0.5, 0.65, 0.8)


def controllers(parameters: FleetParameters, fleets: int, steps: int, seed: int) -> list[Controller]:
    fixed, _ = train_tabular(parameters, TabularConfiguration(), fleets=fleets, steps=steps, seed=seed)
    falling, _ = train_tabular(parameters, decaying(fleets * steps // 2), fleets=fleets, steps=steps, seed=seed)
    scalers = [Autoscaler(parameters, target=target) for target in TARGETS]
    return [StaticDefaults(), *scalers, fixed.deployed(), fixed.deployed(explore=False), falling.deployed()]


def coverage(repetitions: int = 2000) -> dict[str, dict[str, float]]:
    """Share of 95 % intervals of the interquartile mean that hold the truth, by distribution and number of seeds."""
    rng, found = np.random.default_rng(0), {}
    for name, draw in {"normal": rng.standard_normal, "lognormal": lambda shape: rng.lognormal(0, 1, shape)}.items():
        truth = float(interquartile_mean(draw(4_000_000)))
        row = {}
        for seeds in (5, 10, 20, 40):
            values = draw((repetitions, seeds))
            low, high = interval(replicates(values, resampled(seeds, count=1000, seed=1), "interquartile mean"))
            row[str(seeds)] = float(((low <= truth) & (truth <= high)).mean())
        found[name] = row
    return found


def comparison_seconds() -> float:
    """CPU seconds of 2,000 resamples of 20 seeds in 10 metrics, best of five."""
    rng = np.random.default_rng(0)
    metrics = [Metric(f"metric {index}", "1", "lower") for index in range(10)]
    sides = [{metric.name: rng.normal(100, 10, 20) for metric in metrics} for _ in range(2)]
    times = []
    for _ in range(5):
        begun = time.process_time()
        compare_all(metrics, sides[0], sides[1], resamples=2000)
        times.append(time.process_time() - begun)
    return min(times)


def report(found: dict[str, Any]) -> None:
    names = [metric.name for metric in METRICS]
    print(f"{'':<34}" + "".join(f"{name:>12}" for name in names))
    for controller, row in found["interquartile_means"].items():
        print(f"{controller:<34}" + "".join(f"{row[name]:12.4g}" for name in names))
    for controller, verdicts in found["verdicts"].items():
        print(f"\n{controller}, against {found['against']}")
        for verdict in verdicts.values():
            print(f"  {verdict}")
    print("\ncoverage of the 95 % interval, by seeds")
    for name, row in found["coverage"].items():
        print(f"  {name:<12}" + "".join(f"{seeds:>6}: {share:.1%}" for seeds, share in row.items()))
    print(
        f"\nCPU seconds: training the Q-tables {found['training_s']:.1f}, one evaluation {found['evaluation_s']:.2f}, "
        f"one comparison {found['comparison_s']:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=100_000)
    parser.add_argument("--fleets-per-seed", type=int, default=8)
    parser.add_argument("--train-fleets", type=int, default=64)
    parser.add_argument("--train-steps", type=int, default=6000)
    parser.add_argument("--train-seed", type=int, default=0)
    parser.add_argument("--against", default="static", help="name of the controller that the others are compared with")
    parser.add_argument("--picture", type=Path, help="PNG of the intervals")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    options = parser.parse_args()
    parameters = default_parameters()
    begun = time.process_time()
    ready = controllers(parameters, options.train_fleets, options.train_steps, options.train_seed)
    trained = time.process_time()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    scores: dict[str, Scores] = {
        each.name: evaluate(parameters, each, seeds=seeds, fleets_per_seed=options.fleets_per_seed) for each in ready
    }
    evaluated = time.process_time()
    if options.against not in scores:
        parser.error(f"no controller is named {options.against!r}; they are {', '.join(scores)}")
    against = scores[options.against]
    compared = {name: compare_scores(against, each) for name, each in scores.items() if name != options.against}
    found = {
        "against": options.against,
        "interquartile_means": {
            name: {metric: float(interquartile_mean(values)) for metric, values in each.values.items()}
            for name, each in scores.items()
        },
        "verdicts": {
            name: {metric: each.verdict for metric, each in metrics.items()} for name, metrics in compared.items()
        },
        "coverage": coverage(),
        "training_s": trained - begun,
        "evaluation_s": (evaluated - trained) / len(scores),
        "comparison_s": comparison_seconds(),
        "scores": {name: each.as_dict() for name, each in scores.items()},
    }
    if options.picture:
        options.picture.write_bytes(comparison_figure(compared, baseline=options.against))
    if options.json:
        print(json.dumps(found))
    else:
        report(found)


if __name__ == "__main__":
    main()
