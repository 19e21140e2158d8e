"""What tuning gains over the first design's defaults and over today's settings, on seeds that no search has seen.

    .venv/bin/python benchmarks/tuning_gain.py [--agents policy,consensus,ethical,resource] [--trials 24]
        [--episodes 10] [--fleets 16] [--trainings 1] [--finalists 5] [--finalist-trainings 4] [--seeds 10] [--seed 0]
        [--home DIR] [--json]

For each agent: TPE over its hyperparameters, each as far as `standard` bounds and its searched range go, the first
trial being the first defaults (learning rates 1e-3, discount .95, the rest as the algorithms have it). The best trials
and the first defaults are trained further, on seeds of their own, and the winner is who earns most in these trainings.
Then the winner, the first defaults and today's settings are each trained on the same fresh seeds and evaluated on fresh
fleets; nothing is chosen by these. Returns are normalised: 0 for an agent that acts at random, 1 for the best that a
step can be. The bar: at least 3 percentage points over the first defaults with the 95 % interval above 0; where it is
missed, the defaults stand.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parent.parent))

from cogorch_dagster.agents.hyperparameters import first_defaults
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.fleet.signals import AgentName
from cogorch_dagster.platform import database, migrate, postgres
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning import study as studies
from cogorch_dagster.tuning.budget import Budget
from cogorch_dagster.tuning.confirmation import returns
from cogorch_dagster.tuning.difference import MARGIN, Difference, difference
from cogorch_dagster.tuning.finalists import Told, decide, winner_of
from cogorch_dagster.tuning.planning import todays
from cogorch_dagster.tuning.rejection import selection_of
from cogorch_dagster.tuning.search import Progress, run
from cogorch_dagster.tuning.space import space_of
from cogorch_dagster.tuning.study import Plan


def gained(settings: Settings, agent: AgentName, given: argparse.Namespace) -> dict[str, Any]:
    kind, begun = AGENT_KINDS[agent], time.process_time()
    budget = Budget(given.episodes, 5, given.fleets, given.trainings)
    space = space_of(kind, "standard", first_defaults(kind), free=True)
    chosen = selection_of(given.finalists, given.finalist_trainings)
    plan = Plan(agent, space, None, default_parameters(), budget, seed=given.seed, selection=chosen)
    with transaction(settings) as connection:
        study = studies.begin(connection, f"gain-{agent}", plan)
    found = run(settings, study, given.trials, progress=told)
    assert found.best is not None, "no trial is complete"
    finals = decide(settings, study, progress=chose)
    winner = winner_of(study, finals)
    arms = [winner.params, first_defaults(kind), todays(kind)]
    names = ("tuned", "first defaults", "today")
    values = returns(plan, arms, seeds=given.seeds, progress=lambda done, _: say(f"{agent}: {done} fresh seeds"))
    return {
        "agent": agent,
        "returns": dict(zip(names, values.mean(axis=1).tolist(), strict=True)),
        "by seed": dict(zip(names, values.tolist(), strict=True)),
        "over first defaults": as_json(difference(values[0], values[1])),
        "over today": as_json(difference(values[0], values[2])),
        "trial": winner.number,
        "best score": found.best.number,
        "failed": found.count("failed"),
        "finalists": [each.document() for each in finals.finalists],
        "params": {name: winner.params[name] for name in space.names},
        "cpu_s": time.process_time() - begun,
    }


def as_json(found: Difference) -> dict[str, Any]:
    reached = found.low > 0 and found.mean >= MARGIN
    return {"mean": found.mean, "low": found.low, "high": found.high, "reached": reached, "verdict": found.verdict}


def told(now: Progress) -> None:
    values = now.trial.values
    say(f"{now.ended} of {now.total}: {now.trial.error if values is None else f'{values[0]:.4f}'}")


def chose(now: Told) -> None:
    came = now.error if now.value is None else f"{now.value:.4f}"
    say(f"finalists {now.done} of {now.total}: trial {now.trial} {came}")


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", default=",".join(AGENT_KINDS))
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--fleets", type=int, default=16)
    parser.add_argument("--trainings", type=int, default=1, help="of a trial, each with a seed of its own")
    parser.add_argument("--finalists", type=int, default=5, help="beside the first defaults; 0: the best score wins")
    parser.add_argument("--finalist-trainings", type=int, default=4, help="of a finalist on average")
    parser.add_argument("--seeds", type=int, default=10, help="fresh ones, for the confirmation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--home", type=Path, help="kept, so that the same command goes on after an interruption")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    home = given.home or Path(tempfile.mkdtemp(prefix="cogorch-tuning-"))
    settings = Settings(home=home, _env_file=None)
    try:
        migrate.prepare(settings)
        found = [gained(settings, cast(AgentName, agent), given) for agent in given.agents.split(",")]
    finally:
        database.dispose()
        postgres.stop(settings, mode="immediate")
        if given.home is None:
            shutil.rmtree(home, ignore_errors=True)
    if given.json:
        print(json.dumps(found))
        return
    print(
        f"normalised returns on {given.seeds} fresh seeds; {given.trials} trials of {given.trainings} training of "
        f"{given.episodes} episodes, {given.finalists} finalists\n"
    )
    print(
        f"{'agent':<11}{'tuned':>8}{'first':>8}{'today':>8}   over first defaults        over today"
        "                 CPU s"
    )
    for row in found:
        means = "".join(f"{value:>8.3f}" for value in row["returns"].values())
        parts = [row[name] for name in ("over first defaults", "over today")]
        shown = "".join(f"   {each['mean']:+.3f} [{each['low']:+.3f}, {each['high']:+.3f}]" for each in parts)
        print(f"{row['agent']:<11}{means}{shown}   {row['cpu_s']:.0f}")
    for row in found:
        over = row["over first defaults"]
        word = "beats the first defaults by the bar" if over["reached"] else "the first defaults stand"
        who = "the first defaults" if row["trial"] == 0 else f"trial {row['trial']}"
        print(
            f"{row['agent']}: {word}; {who} won, best score {row['best score']}, {row['failed']} failed: "
            f"{json.dumps(row['params'])}"
        )


if __name__ == "__main__":
    main()
