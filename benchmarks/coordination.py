"""Coordinated steps: seconds by phase, equilibria and their proof, conflicts, and what it brings to the fleet.

    .venv/bin/python benchmarks/coordination.py [--fleets 8] [--steps 40] [--scenarios 16] [--seed 0] [--json]
        [--checkpoints FOLDER] [--training-steps 1200] [--oracle-every 4]

Without checkpoints (`policy.safetensors` and so on in a folder) the four agents are trained first, shortly. The same
fleets are then run coordinated, by the agents' plain intentions, left alone, and by the oracle that knows the future;
differences are interquartile means with 95 % intervals over fleets.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# One core is what is measured.
os.environ["OMP_NUM_THREADS"] = "1"

from cogorch_dagster.agents import checkpoints
from cogorch_dagster.agents.comparison.scores_comparison import compare_scores
from cogorch_dagster.agents.evaluation import evaluate
from cogorch_dagster.fleet.parameters import FleetParameters, default_parameters
from cogorch_dagster.fleet.signals import AGENTS
from cogorch_dagster.games.agent_process import AgentSource
from cogorch_dagster.games.coordinated_run import CoordinatedRun, run
from cogorch_dagster.games.coordinator import CoordinationSettings
from cogorch_dagster.games.oracle import Oracle

METRICS = ("reward", "latency", "success", "unfairness", "violations", "cost", "conflicts")


def trained(parameters: FleetParameters, folder: Path, steps: int, seed: int) -> None:
    """Train the agents and write their best checkpoints."""
    from cogorch_dagster.agents.training.joint import train
    from cogorch_dagster.agents.training.joint_checkpoints import of_agents
    from cogorch_dagster.agents.training.joint_configuration import JointConfiguration

    configuration = JointConfiguration(
        fleets=128, steps=steps, evaluate_every=max(steps // 5, 1), validation_seeds=4, seed=seed
    )
    for agent, checkpoint in of_agents(train(parameters, configuration)).items():
        checkpoints.write(folder / f"{agent}.safetensors", checkpoint)


def verdicts(found: CoordinatedRun) -> dict[str, dict[str, str]]:
    """The comparisons' sentences by other controller and metric."""
    return {
        other: {name: comparison.verdict for name, comparison in comparisons.items() if name in METRICS}
        for other, comparisons in found.comparisons.items()
    }


def measured(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    parameters = default_parameters()
    settings = CoordinationSettings(limit_s=given.limit, scenarios=given.scenarios, common=given.common)
    sources = [AgentSource(agent, str(folder / f"{agent}.safetensors")) for agent in AGENTS]
    found = run(parameters, sources, steps=given.steps, seed=given.seed, fleets=given.fleets, settings=settings)
    means = {
        name: {metric: float(scores.values[metric].mean()) for metric in METRICS}
        for name, scores in found.scores.items()
    }
    answer = {**found.summary(), "means": means, "verdicts": verdicts(found)}
    if given.oracle_every:
        coordinated = found.scores["coordinated"]
        oracle = Oracle(parameters, horizon=8, every=given.oracle_every)
        begun = time.process_time()
        scores = evaluate(parameters, oracle, seeds=coordinated.seeds, fleets_per_seed=1, steps=given.steps)
        means["oracle"] = {metric: float(scores.values[metric].mean()) for metric in METRICS}
        answer["oracle_cpu_seconds"] = time.process_time() - begun
        answer["verdicts"]["oracle"] = {"reward": compare_scores(scores, coordinated)["reward"].verdict}
    return answer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fleets", type=int, default=8)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--scenarios", type=int, default=16)
    parser.add_argument("--common", type=float, default=CoordinationSettings().common)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of a step")
    parser.add_argument("--checkpoints", type=Path, help="folder; without it the agents are trained")
    parser.add_argument("--training-steps", type=int, default=1200, help="of 128 fleets at once")
    parser.add_argument("--oracle-every", type=int, default=4, help="steps between its decisions; 0 leaves it out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.checkpoints or Path(temporary)
        if given.checkpoints is None:
            trained(default_parameters(), folder, given.training_steps, given.seed)
        found = measured(given, folder)
    if given.json:
        json.dump({**found, "seed": given.seed, "fleets": given.fleets, "scenarios": given.scenarios}, sys.stdout)
        print()
        return 0
    print(f"{found['steps']} steps, {found['verified']} with a verified equilibrium: {found['concepts']}")
    print(f"largest NashConv {found['largest_relative_nash_conv']:.2g} of the payoff range; decided {found['decided']}")
    print(
        f"conflicts a step: {found['conflicts_among_intentions']:.2f} among the intentions, "
        f"{found['conflicts_in_equilibrium']:.2f} in the equilibrium; {found['vetoes']} vetoes"
    )
    seconds = ", ".join(f"{phase} {value:.4f}" for phase, value in found["seconds"].items())
    print(f"median wall seconds of a step: {seconds}; CPU seconds of the payoffs {found['payoff_cpu_seconds']:.2f}")
    for name, values in found["means"].items():
        print(f"{name:12s} " + ", ".join(f"{metric} {value:.4g}" for metric, value in values.items()))
    for other, sentences in found["verdicts"].items():
        for sentence in sentences.values():
            print(f"coordinated against {other}: {sentence}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
