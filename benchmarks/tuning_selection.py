"""How to spend a number of trainings: on more seeds of each trial, on more trials, or on the finalists; simulated.

    .venv/bin/python benchmarks/tuning_selection.py [--spread .03] [--noise .04] [--in-force .03] [--searches 4000]
        [--json]

Trials are worth what a normal distribution of this spread gives them, what is in force is worth `in-force` above their
mean, and a training shows the worth with this noise (normalised returns). What a search gains is the worth of who wins
less that of what is in force; what a confirmation with endless seeds would say. Nothing is trained here: the figures
say which way of choosing is better where trials differ by as much as a training is off, not what an agent gains.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from cogorch_dagster.tuning.rejection import Selection, contest, most_looks, selection_of

# Trials, trainings of each, finalists beside what is in force, and trainings of these on average.
WAYS = (
    (24, 2, 0, 0),
    (48, 1, 0, 0),
    (16, 3, 0, 0),
    (24, 1, 4, 4),
    (32, 1, 3, 4),
    (24, 1, 7, 3),
    (16, 2, 3, 4),
    (24, 2, 4, 4),
    (40, 1, 5, 5),
    (48, 1, 4, 4),
)


def searched(
    rng: np.random.Generator, trials: int, each: int, chosen: Selection | None, given: argparse.Namespace
) -> float:
    """The gain of one search."""
    worth = np.concatenate(([given.in_force], rng.normal(0, given.spread, trials - 1)))
    scores = worth + given.noise / math.sqrt(each) * rng.standard_normal(trials)
    if chosen is None:
        return float(worth[int(np.argmax(scores))] - worth[0])
    arms = [0, *[int(trial) for trial in np.argsort(-scores) if trial != 0][: chosen.finalists]]
    lengths = chosen.lengths(len(arms))
    shown = worth[arms][:, None] + given.noise * rng.standard_normal((len(arms), lengths[-1]))
    seen: dict[int, dict[int, float | None]] = {
        arm: dict(enumerate(row)) for arm, row in zip(arms, shown.tolist(), strict=True)
    }
    winner = contest(arms, lengths, seen).winner
    assert winner is not None, "no look failed"
    return float(worth[winner] - worth[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spread", type=float, default=0.03)
    parser.add_argument("--noise", type=float, default=0.04)
    parser.add_argument("--in-force", type=float, default=0.03)
    parser.add_argument("--searches", type=int, default=4000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    begun, rows = time.process_time(), list[dict[str, Any]]()
    for trials, each, finalists, further in WAYS:
        rng, chosen = np.random.default_rng(0), selection_of(finalists, further)
        gains = [searched(rng, trials, each, chosen, given) for _ in range(given.searches)]
        spent = trials * each + (most_looks(chosen.lengths(finalists + 1)) if chosen else 0)
        rows.append(
            {
                "trials": trials,
                "trainings of a trial": each,
                "finalists": finalists,
                "of a finalist": further,
                "trainings": spent,
                "gain": float(np.mean(gains)),
                "error": float(np.std(gains)) / math.sqrt(len(gains)),
                "worse than in force": float(np.mean(np.array(gains) < 0)),
            }
        )
    if given.json:
        print(json.dumps({"rows": rows, "cpu_s": time.process_time() - begun}))
        return
    print(f"spread {given.spread}, noise {given.noise}, in force {given.in_force:+}; percentage points\n")
    print("trials  of each  finalists  of each  trainings   gain           worse than in force")
    for row in sorted(rows, key=lambda each: each["trainings"]):
        print(
            f"{row['trials']:>6}{row['trainings of a trial']:>9}{row['finalists']:>11}{row['of a finalist']:>9}"
            f"{row['trainings']:>11}   {100 * row['gain']:+.2f} +- {200 * row['error']:.2f}"
            f"{row['worse than in force']:>14.0%}"
        )


if __name__ == "__main__":
    main()
