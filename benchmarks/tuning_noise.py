"""What sets settings of an agent apart in the fleet, beside what chance does: whether a search has anything to find.

    .venv/bin/python benchmarks/tuning_noise.py [--settings 60] [--agent ethical --judged learned ...] [--json]

Hyperparameters are drawn at random, as in random search of `tuning_steps.py`, and trained wholly with the seeds of two
studies. What all trainings of a study have in common is taken out. Of the best third of the settings: the deviation of
one training from its setting's mean (noise), and the deviation between the settings beyond what noise makes of means of
two (spread). Where noise is the larger of the two, the best of many trainings is mostly luck. A training that fails
leaves its setting out.
"""

import argparse
import json
import math
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from tuning_steps import fleet, fleet_options, quiet, whole

from cogorch_dagster.tuning.halving.sampling import sample

STUDIES = (0, 1)
# Of the draws; no study of `tuning_steps.py` has it.
SEED = 99


def scores(number: int, arguments: argparse.Namespace) -> list[float | None]:
    """Of the setting of this number, in each study."""
    quiet()
    tasks = [fleet(seed, arguments) for seed in STUDIES]
    values = sample(tasks[0].distributions, [], sampler="random", seed=SEED, number=number)
    return [whole(task, values) for task in tasks]


def deviations(found: np.ndarray[Any, Any]) -> dict[str, float]:
    """Noise and spread of scores, [settings, 2]."""
    own = found - found.mean(axis=0)
    best = own[own.mean(axis=1) >= np.quantile(own.mean(axis=1), 2 / 3)]
    noise = float(best.var(axis=1, ddof=1).mean())
    spread = float(best.mean(axis=1).var(ddof=1)) - noise / 2
    return {"noise": math.sqrt(noise), "spread": math.sqrt(max(spread, 0.0)), "settings": len(best)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=int, default=60)
    parser.add_argument("--processes", type=int, default=1)
    fleet_options(parser)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with ProcessPoolExecutor(arguments.processes, get_context("spawn")) as pool:
        every = list(pool.map(partial(scores, arguments=arguments), range(arguments.settings)))
    whole_ones = np.array([each for each in every if None not in each], dtype=float)
    result = deviations(whole_ones) | {"failed": len(every) - len(whole_ones)}
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{arguments.agent}, judged {arguments.judged}: of the best {result['settings']} settings,")
    print(f"noise of a training {result['noise']:.4f}, spread of the settings {result['spread']:.4f}")
    print(f"failed: {result['failed']} of {len(every)}")


if __name__ == "__main__":
    main()
