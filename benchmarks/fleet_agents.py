"""Joint training of the fleet's four agents, and what it reaches against every baseline on fresh seeds.

    .venv/bin/python benchmarks/fleet_agents.py [--fleets 256] [--steps N] [--seed 0] [--seeds 20] [--quick] [--json]

The bars: interquartile means over 20 fresh seeds, each with its whole 95 % stratified bootstrap interval beyond them:
latency at equal success at least 25 % lower, unfairness 18 %, violations 30 %, cost of a useful answer lower; and
training to the plateau in at most 10 minutes. Baselines that learn have the same number of fleet steps. Fresh seeds
are those from `--first-seed` on, which neither training nor the choice of the best agents has met.
"""

import argparse
import json
import sys
import time
from typing import Any

from cogorch_dagster.agents.comparison.contest import Contest, contest
from cogorch_dagster.agents.comparison.contestants import BASELINES, require_known
from cogorch_dagster.agents.training.joint import JointTraining, Progress, train
from cogorch_dagster.agents.training.joint_checkpoints import of_agents
from cogorch_dagster.agents.training.joint_configuration import JointConfiguration
from cogorch_dagster.agents.training.joint_controller import controller_of
from cogorch_dagster.fleet.parameters import default_parameters

BARS_AGAINST = ("static", "q-learning")
# Of the best reward less that of the first evaluation: from there on it is the plateau.
PLATEAU = 0.95
LONGEST_S = 600.0


class Clock:
    """Seconds of wall and CPU time at each evaluation."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        self.points: list[dict[str, float]] = []

    def told(self, now: Progress) -> None:
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        self.points.append({"steps": now.steps, "wall_s": wall, "cpu_s": cpu, "reward": now.point["reward"]})
        figures = "  ".join(f"{name} {now.point[name]:.4g}" for name in ("latency", "success", "violations", "cost"))
        say(f"{now.steps:>6}  {wall:6.1f} s ({cpu:.1f} s CPU)  reward {now.point['reward']:.4f}  {figures}")

    def plateau(self) -> dict[str, float]:
        """The first evaluation within 5 % of the way to the best reward."""
        rewards = [point["reward"] for point in self.points]
        enough = rewards[0] + PLATEAU * (max(rewards) - rewards[0])
        return next(point for point in self.points if point["reward"] >= enough)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def trained(configuration: JointConfiguration) -> tuple[JointTraining, Clock]:
    clock = Clock()
    return train(default_parameters(), configuration, progress=clock.told), clock


def report(found: Contest, clock: Clock) -> None:
    last, plateau = clock.points[-1], clock.plateau()
    print(f"training: {last['steps']:,.0f} steps in {last['wall_s']:.0f} s wall, {last['cpu_s']:.0f} s CPU")
    print(
        f"plateau (95 % of the way to the best reward) after {plateau['wall_s']:.0f} s wall, {plateau['cpu_s']:.0f} s "
        f"CPU: bar of {LONGEST_S:.0f} s {'reached' if plateau['wall_s'] <= LONGEST_S else 'NOT reached'}"
    )
    document = found.document()
    print(f"\n{'':22}" + "".join(f"{name:>14}" for name in document["summary"]["joint"]))
    for name, summary in document["summary"].items():
        print(f"{name:22}" + "".join(f"{each['value']:14.5g}" for each in summary.values()))
    for name, bars in found.bars.items():
        print(f"\nagainst {name}" + ("" if name in BARS_AGAINST else " (reported, no bar)"))
        for each in bars:
            print(f"  {'reached' if each.reached else 'MISSED ':8} bar {each.bar.improvement:4.0%}: {each.verdict}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = JointConfiguration()
    parser.add_argument("--fleets", type=int, default=defaults.fleets)
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--baselines", default=",".join(BASELINES))
    parser.add_argument("--quick", action="store_true", help="A short training and static defaults only.")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    names = ["static"] if given.quick else given.baselines.split(",")
    require_known(names)
    steps = min(given.steps, 800) if given.quick else given.steps
    configuration = JointConfiguration(fleets=given.fleets, steps=steps, seed=given.seed)
    training, clock = trained(configuration)
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    found = contest(
        default_parameters(), controller_of(of_agents(training)), names, configuration, seeds=seeds, told=say
    )
    needed = [each.reached for name in names if name in BARS_AGAINST for each in found.bars[name]]
    reached = all(needed) and clock.plateau()["wall_s"] <= LONGEST_S
    if given.json:
        document: dict[str, Any] = {"configuration": configuration.document(), "training": clock.points}
        print(json.dumps(document | found.document() | {"plateau": clock.plateau(), "reached": reached}))
    else:
        report(found, clock)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
