"""Steps that searches need for random search's best score: TPE, Optuna's TPE, halving, halving with TPE; fleet, digits.

    .venv/bin/python benchmarks/tuning_steps.py [--studies 5] [--only digits|fleet] [--processes 2] [--quick] [--json]

In each study random search trains `--trainings` trials wholly; its best score is the goal, and half of its steps
(`--share`) are the budget of the others, which is enough to say whether the bar is kept. Only scores of whole trainings
count: a trial of halving counts when it is at the top, and all steps of all trials until then are what it took. All
searches of a study judge by the same training and evaluation seeds, draw from the same space, and draw differently;
trials are really paused, as bytes, and go on from them. Steps of evaluations are not counted. The bar: at most half of
random search's steps, in the median of the studies; who has not reached the goal by the end of the budget has needed
more. Optuna's TPE is the peer of ours (`tuning/parzen.py`), with its defaults and eight trials at random first.

In the fleet one agent's hyperparameters are searched, over the whole of their search ranges. A score is what the agent
earns, exploring, in the later half of its training (`--judged learning`), or what it has become at the end, without
exploration, as in `cogorch tune` (`--judged learned`). On digits a step is an epoch, and the score is the held-out
log-likelihood, the mean of three networks: of one network the best of a hundred is mostly luck. Studies do not depend
on one another: `--processes` does as many at once, with the same figures.
"""

import argparse
import json
import math
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from cogorch_dagster.agents.hyperparameters import first_defaults
from cogorch_dagster.agents.training.joint import one_thread
from cogorch_dagster.errors import CogorchError
from cogorch_dagster.fleet.parameters import default_parameters
from cogorch_dagster.policies.hyperparameters import AGENT_KINDS
from cogorch_dagster.tuning import normalised
from cogorch_dagster.tuning.budget import Budget
from cogorch_dagster.tuning.cube import cube_of
from cogorch_dagster.tuning.halving.fleet_training import FleetTraining, FleetTrials
from cogorch_dagster.tuning.halving.resumable import Reached, Resumable
from cogorch_dagster.tuning.halving.rule import Rule
from cogorch_dagster.tuning.halving.rungs import Ladder, Trial, ladder, next_job, spent
from cogorch_dagster.tuning.halving.sampling import Sampler, sample
from cogorch_dagster.tuning.objective import FLEETS_PER_SEED
from cogorch_dagster.tuning.parzen import FIRST_TRIALS, first_place, next_place
from cogorch_dagster.tuning.seeds import evaluation_seeds, seed_of
from cogorch_dagster.tuning.space import space_of
from tests.tuning.halving.digits import SPACE, DigitsTrials

BAR = 0.5
SEARCHES = ("tpe", "Optuna's TPE", "halving", "halving + tpe")
OUR_SEARCHES = ("tpe", "halving", "halving + tpe")
# Of random search in a study.
TRAININGS = {"digits": 100, "fleet": 60}
# As searches of hyperparameters had it before there was a TPE of our own.
OPTUNAS_FIRST = 8
# A score of a whole training, and the steps of the search until it was known; None: the training failed.
Found = Iterator[tuple[float | None, int]]


@dataclass(frozen=True)
class Task:
    """What is searched in one study."""

    trials: Resumable
    distributions: Mapping[str, Any]
    steps: Ladder


def digits(seed: int, epochs: int, networks: int) -> Task:
    return Task(DigitsTrials(epochs, seed, networks), SPACE, ladder(epochs, eta=3, rungs=4))


@dataclass(frozen=True)
class Learning:
    """Trainings in the fleet as a `Resumable` that is judged while it learns, at every rung by the same measure."""

    trials: FleetTrials

    def start(self, params: Mapping[str, Any]) -> "LearningTraining":
        return LearningTraining(self.trials, self.trials.start(params), [])

    def resume(self, params: Mapping[str, Any], content: bytes) -> "LearningTraining":
        own = int.from_bytes(content[:8])
        earned = np.frombuffer(content[8 : 8 + own]).tolist()
        return LearningTraining(self.trials, self.trials.resume(params, content[8 + own :]), earned)


@dataclass(frozen=True)
class LearningTraining:
    """One training; `earned`: mean reward of the fleets in each of its steps so far, with exploration."""

    trials: FleetTrials
    fleet: FleetTraining
    earned: list[float]

    def reach(self, level: int, stop: Callable[[], bool]) -> Reached | None:
        (training,) = self.fleet.trainings
        with one_thread():
            while training.fleet_steps < level:
                if stop():
                    return None
                self.earned.append(training.advance())
        seeds = evaluation_seeds(self.trials.seed, self.trials.budget)
        floor = normalised.floor(self.trials.parameters, self.trials.agent, seeds, FLEETS_PER_SEED)
        ceiling = normalised.ceiling(training.configuration.weights)
        return Reached(normalised.normalised(statistics.fmean(self.earned[len(self.earned) // 2 :]), floor, ceiling))

    def checkpoint(self) -> bytes:
        own = np.array(self.earned).tobytes()
        return len(own).to_bytes(8) + own + self.fleet.checkpoint()


def fleet(seed: int, arguments: argparse.Namespace) -> Task:
    agent, kind = arguments.agent, AGENT_KINDS[arguments.agent]
    parameters = default_parameters().model_copy(update={"horizon": arguments.horizon})
    space = space_of(kind, "wide", first_defaults(kind), free=True)
    budget = Budget(arguments.episodes, 5, arguments.fleets, 1)
    trials = FleetTrials(parameters, agent, budget, seed, space.of_internal)
    found = Learning(trials) if arguments.judged == "learning" else trials
    # With the lowest rung a ninth of all: no trial is to be judged before it has learned anything.
    return Task(found, space.distributions(), ladder(trials.full, eta=3, rungs=3, unit=trials.unit))


def whole(task: Task, values: Mapping[str, Any]) -> float | None:
    """The score of a trial that is trained through."""
    try:
        reached = task.trials.start(values).reach(task.steps.levels[-1], lambda: False)
    except CogorchError:
        return None
    return reached.score if reached is not None else None


def random_search(task: Task, seed: int, trainings: int) -> Found:
    full = task.steps.levels[-1]
    for number in range(trainings):
        values = sample(task.distributions, [], sampler="random", seed=seed, number=number)
        yield whole(task, values), (number + 1) * full


def tpe(task: Task, seed: int, budget: int) -> Found:
    """Ours, as searches of hyperparameters use it."""
    full, cube = task.steps.levels[-1], cube_of(task.distributions)
    tried: list[Mapping[str, Any]] = []
    scores: list[float] = []
    for number in range(budget // full):
        if number < FIRST_TRIALS:
            place = first_place(cube.choices, seed_of(seed, "tpe", 0), number)
        else:
            values = np.array(scores)[:, None]
            place = next_place(cube.choices, cube.places(tried), values, seed_of(seed, "tpe", number))
        tried.append(cube.params(place))
        score = whole(task, tried[-1])
        scores.append(-math.inf if score is None else score)
        yield score, (number + 1) * full


def optunas_tpe(task: Task, seed: int, budget: int) -> Found:
    import optuna

    full = task.steps.levels[-1]
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=OPTUNAS_FIRST)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for number in range(budget // full):
        trial = study.ask(dict(task.distributions))
        score = whole(task, trial.params)
        study.tell(trial, score, state=None if score is not None else optuna.trial.TrialState.FAIL)
        yield score, (number + 1) * full


def halving(task: Task, seed: int, budget: int, sampler: Sampler) -> Found:
    """As one worker of a study does it, with the states of paused trials in memory."""
    rule = Rule(task.steps, budget, task.distributions, sampler, seed)
    trials: list[Trial] = []
    values: dict[int, dict[str, Any]] = {}
    paused: dict[int, bytes] = {}
    while (job := next_job(rule.ladder, trials, budget)) is not None:
        if not job.rung:
            values[job.trial] = rule.values(job.trial, trials, values)
            trials.append(Trial(job.trial, (), "running"))
        before = trials[job.trial]
        try:
            own, state = values[job.trial], paused.pop(job.trial, None)
            training = task.trials.start(own) if state is None else task.trials.resume(own, state)
            reached = training.reach(rule.ladder.levels[job.rung], lambda: False)
        except CogorchError:
            trials[job.trial] = Trial(job.trial, before.scores, "failed")
            continue
        assert reached is not None
        trials[job.trial] = Trial(job.trial, (*before.scores, reached.score), "paused")
        if job.rung == rule.ladder.top:
            yield reached.score, spent(rule.ladder, trials)
        else:
            paused[job.trial] = training.checkpoint()


def needed(found: Found, goal: float) -> int | None:
    """Steps until a score was as good as the goal; None: never."""
    return next((steps for score, steps in found if score is not None and score >= goal), None)


def study(task: Task, seed: int, trainings: int, share: float) -> dict[str, Any]:
    first = list(random_search(task, 1_000_003 * seed + 1, trainings))
    scores = [score for score, _ in first if score is not None]
    goal, whole_budget = max(scores), first[-1][1]
    budget = int(share * whole_budget)
    own = needed(iter(first), goal)
    assert own is not None
    steps = {
        "tpe": needed(tpe(task, 1_000_003 * seed + 2, budget), goal),
        "Optuna's TPE": needed(optunas_tpe(task, 1_000_003 * seed + 2, budget), goal),
        "halving": needed(halving(task, 1_000_003 * seed + 3, budget, "random"), goal),
        "halving + tpe": needed(halving(task, 1_000_003 * seed + 4, budget, "tpe"), goal),
    }
    shares = {name: math.inf if taken is None else taken / whole_budget for name, taken in steps.items()}
    return {
        "goal": goal,
        "median": statistics.median(scores),
        "budget": whole_budget,
        "random": own / whole_budget,
        **shares,
    }


def one(name: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """A study by its seed, and the CPU time that it took."""
    quiet()
    begun = time.process_time()
    task = digits(seed, arguments.epochs, arguments.networks) if name == "digits" else fleet(seed, arguments)
    row = study(task, seed, arguments.trainings or TRAININGS[name], arguments.share)
    row["seconds"] = time.process_time() - begun
    if not arguments.json:
        print(f"{name} study {seed}: {_row(row)}", flush=True)
    return row


def studies(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    seeds = range(arguments.first, arguments.first + arguments.studies)
    with ProcessPoolExecutor(arguments.processes, get_context("spawn")) as pool:
        rows = list(pool.map(partial(one, name, arguments=arguments), seeds))
    medians = {search: statistics.median(row[search] for row in rows) for search in ("random", *SEARCHES)}
    return {
        "studies": rows,
        "median share of random search's steps": medians,
        "bar kept": {search: medians[search] <= BAR for search in OUR_SEARCHES},
        "seconds": sum(row["seconds"] for row in rows),
    }


def _row(row: Mapping[str, Any]) -> str:
    shares = "  ".join(f"{name} {_share(row[name])}" for name in ("random", *SEARCHES))
    return f"goal {row['goal']:.4f} (median {row['median']:.4f}) of {row['budget']} steps: {shares}"


def _share(share: float) -> str:
    return "not reached" if math.isinf(share) else f"{share:.2f}"


def _plain(value: Any) -> Any:
    """Infinite shares as None: JSON has no infinity."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def quiet() -> None:
    import optuna
    import torch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    torch.set_num_threads(1)


def fleet_options(parser: argparse.ArgumentParser) -> None:
    """What `fleet` reads."""
    parser.add_argument("--agent", choices=list(AGENT_KINDS), default="consensus", help="that learns in the fleet")
    parser.add_argument("--judged", choices=["learning", "learned"], default="learning")
    parser.add_argument("--episodes", type=int, default=4, help="of a whole training in the fleet")
    parser.add_argument("--fleets", type=int, default=128)
    parser.add_argument("--horizon", type=int, default=240)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="seed of the first study")
    parser.add_argument("--trainings", type=int, help="of random search; without it 100 on digits, 60 in the fleet")
    parser.add_argument("--share", type=float, default=BAR, help="of random search's steps that the others have")
    parser.add_argument("--epochs", type=int, default=27, help="of a whole training on digits")
    parser.add_argument("--networks", type=int, default=3, help="of a trial on digits")
    fleet_options(parser)
    parser.add_argument("--processes", type=int, default=1, help="studies at once")
    parser.add_argument("--only", choices=["digits", "fleet"])
    parser.add_argument("--quick", action="store_true", help="one study of a few small trainings: does it run at all")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        small = {"studies": 1, "trainings": 6, "share": 1.0, "networks": 1, "episodes": 4, "fleets": 4, "horizon": 20}
        vars(arguments).update(small)
    names = [arguments.only] if arguments.only else ["digits", "fleet"]
    found = {name: studies(name, arguments) for name in names}
    if arguments.json:
        print(json.dumps(_plain(found), indent=2))
        return
    for name, result in found.items():
        medians = result["median share of random search's steps"]
        shown = ", ".join(f"{search} {_share(medians[search])}" for search in ("random", *SEARCHES))
        print(f"{name}: median share of random search's steps: {shown}; {result['seconds']:.0f} s of CPU")
        for search, kept in result["bar kept"].items():
            print(f"  {search}: at most {BAR} of the steps: {'yes' if kept else 'NO'}")


if __name__ == "__main__":
    main()
