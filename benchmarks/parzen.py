"""The tree-structured Parzen estimator beside Optuna's TPE and random trials: what few trials find, and a draw's cost.

    .venv/bin/python benchmarks/parzen.py [--studies 20] [--trials 40] [--functions sphere8,...] [--gp] [--json]

Regret: the median over studies of how far the best of the first 20 and of all trials is from the best that the
function has (or that 20,000 even places have, where that is not known); the studies of one function differ in where
its best lies. Steps: the median share of random's trials after which random's best was reached, 2 where it never was.
Peers: Optuna's TPE with its defaults and with one density per dimension (`multivariate=False`), each with eight random
trials first; `--gp` adds its Gaussian process, which takes far longer. Where a score has noise, its exact value counts.

Cost: the processor time of one draw after 50 and after 200 trials of eight numbers, as a ratio to Optuna's of the same
process; of Optuna's it is the whole of asking for a trial in memory, ours has the conversion from its trials too.
"""

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parent.parent))

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from cogorch_dagster.tuning.cube import cube_of
from cogorch_dagster.tuning.parzen import FIRST_TRIALS, first_place, next_place
from cogorch_dagster.tuning.seeds import seed_of

Floats = npt.NDArray[np.float64]
OPTUNAS_FIRST, NEVER = 8, 2.0
# More is better; a choice of K is the number of it, as Optuna's.
Score = Callable[[Floats], float]


@dataclass(frozen=True)
class Problem:
    """One function: its score, the score without noise, choices of each dimension, its best if known."""

    choices: tuple[int, ...]
    score: Score
    exact: Score
    best: float | None = None


def sphere(count: int, noise: float = 0.0) -> Callable[[np.random.Generator], Problem]:
    def drawn(rng: np.random.Generator) -> Problem:
        centre = rng.uniform(0.1, 0.9, count)

        def exact(x: Floats) -> float:
            return -float(((x - centre) ** 2).sum())

        own = np.random.default_rng(rng.integers(2**32))
        return Problem((0,) * count, lambda x: exact(x) + noise * own.standard_normal(), exact, 0.0)

    return drawn


def rosenbrock(rng: np.random.Generator) -> Problem:
    shift = rng.uniform(0.0, 0.5, 4)

    def score(x: Floats) -> float:
        y = 3 * (x - shift) - 0.25
        return -float(np.log1p((100 * (y[1:] - y[:-1] ** 2) ** 2 + (1 - y[:-1]) ** 2).sum()))

    return Problem((0,) * 4, score, score)


def ackley(rng: np.random.Generator) -> Problem:
    centre = rng.uniform(0.1, 0.9, 5)

    def score(x: Floats) -> float:
        y = 10 * (x - centre)
        return float(20 * np.exp(-0.2 * np.sqrt((y**2).mean())) + np.exp(np.cos(2 * np.pi * y).mean())) - 20 - np.e

    return Problem((0,) * 5, score, score, 0.0)


def two_of_eight(rng: np.random.Generator) -> Problem:
    centre, counts = rng.uniform(0.1, 0.9, 8), np.full(8, 0.01)
    counts[rng.permutation(8)[:2]] = 1.0

    def score(x: Floats) -> float:
        return -float((counts * (x - centre) ** 2).sum())

    return Problem((0,) * 8, score, score, 0.0)


def corner(rng: np.random.Generator) -> Problem:
    slope = rng.choice([-1.0, 1.0], 7) * rng.uniform(0.2, 1.0, 7)

    def score(x: Floats) -> float:
        return float(x @ slope)

    return Problem((0,) * 7, score, score, float(np.maximum(slope, 0).sum()))


def choices(rng: np.random.Generator) -> Problem:
    centres, loss, more = rng.uniform(0.1, 0.9, (3, 5)), rng.uniform(0, 0.5, 3), rng.uniform(0, 0.3, 4)

    def score(x: Floats) -> float:
        kind, other = int(x[5]), int(x[6])
        return -float(((x[:5] - centres[kind]) ** 2).sum() + loss[kind] - loss.min() + more[other] - more.min())

    return Problem((0,) * 5 + (3, 4), score, score, 0.0)


def ridge(rng: np.random.Generator) -> Problem:
    """As of a learning rate: its best depends on others, and beyond it everything diverges."""
    best = rng.uniform(0.4, 0.75)

    def score(x: Floats) -> float:
        away = x[0] - best - 0.15 * (x[1] - 0.5) + 0.1 * (x[2] - 0.5)
        first = -2.3 if away > 0.25 else -(3 if away < 0 else 12) * away**2
        rest = 0.15 * (x[2] - 0.8) ** 2 + 0.1 * abs(x[3] - 0.3) + 0.3 * max(x[4] - 0.6, 0) ** 2
        return float(first - rest - 0.03 * x[5] + 0.05 * (x[6] == 2) - 0.05)

    return Problem((0,) * 6 + (3,), score, score, 0.0)


def failing(rng: np.random.Generator) -> Problem:
    """Trials fail (NaN) beyond a border near the best."""
    centre = rng.uniform(0.1, 0.9, 6)

    def score(x: Floats) -> float:
        return float("nan") if x[0] > centre[0] + 0.1 else -float(((x - centre) ** 2).sum())

    return Problem((0,) * 6, score, score, 0.0)


def waves(rng: np.random.Generator) -> Problem:
    """A draw of a Gaussian process whose dimensions count very differently (Rahimi and Recht 2007)."""
    lengths = np.geomspace(0.3, 3.0, 7)[rng.permutation(7)]
    slopes, at, size = rng.standard_normal((200, 7)) / lengths, rng.uniform(0, 2 * np.pi, 200), rng.standard_normal(200)

    def score(x: Floats) -> float:
        return float(np.cos(slopes @ x + at) @ size / 10)

    return Problem((0,) * 7, score, score)


FUNCTIONS: dict[str, Callable[[np.random.Generator], Problem]] = {
    "sphere3": sphere(3),
    "sphere8": sphere(8),
    "noisy6": sphere(6, 0.05),
    "rosenbrock4": rosenbrock,
    "ackley5": ackley,
    "two of 8": two_of_eight,
    "corner7": corner,
    "choices7": choices,
    "ridge7": ridge,
    "failing6": failing,
    "waves7": waves,
}


def evenly(problem: Problem, count: int, rng: np.random.Generator) -> Floats:
    found = rng.random((count, len(problem.choices)))
    many = np.array(problem.choices)
    return np.where(many > 0, np.floor(found * many), found)


def distributions(problem: Problem) -> dict[str, BaseDistribution]:
    return {
        f"x{n}": CategoricalDistribution(list(range(many))) if many else FloatDistribution(0, 1)
        for n, many in enumerate(problem.choices)
    }


def ours(problem: Problem, trials: int, seed: int) -> list[Floats]:
    cube, tried, scores = cube_of(distributions(problem)), [], []
    found: list[Floats] = []
    for number in range(trials):
        if number < FIRST_TRIALS:
            place = first_place(cube.choices, seed_of(seed, "tpe", 0), number)
        else:
            values = np.array(scores)[:, None]
            place = next_place(cube.choices, cube.places(tried), values, seed_of(seed, "tpe", number))
        tried.append(cube.params(place))
        found.append(np.array(list(tried[-1].values()), dtype=np.float64))
        score = problem.score(found[-1])
        scores.append(-np.inf if np.isnan(score) else score)
    return found


def optunas(make: Callable[[int], Any]) -> Callable[[Problem, int, int], list[Floats]]:
    def search(problem: Problem, trials: int, seed: int) -> list[Floats]:
        study, space = optuna.create_study(direction="maximize", sampler=make(seed)), distributions(problem)
        found: list[Floats] = []
        for _ in range(trials):
            trial = study.ask(space)
            found.append(np.array([trial.params[name] for name in space], dtype=np.float64))
            score = problem.score(found[-1])
            failed = optuna.trial.TrialState.FAIL if np.isnan(score) else None
            study.tell(trial, None if failed else score, state=failed)
        return found

    return search


def random(problem: Problem, trials: int, seed: int) -> list[Floats]:
    return list(evenly(problem, trials, np.random.default_rng([seed, 2])))


SEARCHES: dict[str, Callable[[Problem, int, int], list[Floats]]] = {
    "ours": ours,
    "Optuna's": optunas(lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=OPTUNAS_FIRST)),
    "Optuna's single": optunas(
        lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=OPTUNAS_FIRST, multivariate=False)
    ),
    "random": random,
}
GP = optunas(lambda seed: optuna.samplers.GPSampler(seed=seed, n_startup_trials=OPTUNAS_FIRST))


def compared(name: str, searches: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    rows: dict[str, list[tuple[float, float, float]]] = {search: [] for search in searches}
    for study in range(options.studies):
        seed = options.seed + study
        problem = FUNCTIONS[name](np.random.default_rng([seed, 1]))
        best = problem.best
        if best is None:
            best = max(problem.exact(x) for x in evenly(problem, 20_000, np.random.default_rng(0)))
        goal = np.nanmax([problem.exact(x) for x in random(problem, options.trials, 10_000 + seed)])
        for search, find in searches.items():
            scores = np.fmax.accumulate([problem.exact(x) for x in find(problem, options.trials, seed)])
            reached = np.flatnonzero(scores >= goal)
            share = (reached[0] + 1) / options.trials if len(reached) else NEVER
            rows[search].append((best - scores[min(20, options.trials) - 1], best - scores[-1], float(share)))
    return {
        search: dict(
            zip(("regret_20", "regret", "steps"), map(statistics.median, zip(*found, strict=True)), strict=True)
        )
        for search, found in rows.items()
    }


def costs(trials: int, draws: int = 20) -> dict[str, float]:
    """Milliseconds of processor time of a draw, median, after so many trials of eight numbers."""
    problem = FUNCTIONS["sphere8"](np.random.default_rng(0))
    space, rng = distributions(problem), np.random.default_rng(1)
    told = [
        optuna.trial.create_trial(
            params=dict(zip(space, x.tolist(), strict=True)), distributions=space, value=problem.score(x)
        )
        for x in evenly(problem, trials, rng)
    ]
    cube = cube_of(space)

    def own(number: int) -> None:
        values = np.array([each.values for each in told])
        cube.params(next_place(cube.choices, cube.places([each.params for each in told]), values, number))

    def peer(joint: bool | None) -> Callable[[int], None]:
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=0, multivariate=joint)
        )
        study.add_trials(told)

        def ask(_: int) -> None:
            study.tell(study.ask(space), state=optuna.trial.TrialState.FAIL)

        return ask

    found = {}
    for name, act in (("ours", own), ("Optuna's", peer(None)), ("Optuna's single", peer(False))):
        taken = []
        for number in range(draws + 2):
            start = time.process_time_ns()
            act(number)
            taken.append((time.process_time_ns() - start) / 1e6)
        found[name] = statistics.median(taken[2:])
    return found


def report(found: dict[str, Any]) -> None:
    names = list(next(iter(found["functions"].values())))
    print(f"{'regret after 20 / all, steps':<14}" + "".join(f"{name:>26}" for name in names))
    for function, row in found["functions"].items():
        cells = (f"{row[n]['regret_20']:9.3g} {row[n]['regret']:9.3g} {row[n]['steps']:6.2f}" for n in names)
        print(f"{function:<28}" + "".join(f"{cell:>26}" for cell in cells))
    for trials, row in found["ms a draw"].items():
        ratios = ", ".join(f"{name} {ms:.2f} ms ({row['ours'] / ms:.2f})" for name, ms in row.items())
        print(f"a draw after {trials} trials (ours as a share): {ratios}")
    print(f"functions with less regret than Optuna's after 20 / all trials: {found['less_20']} / {found['less']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--functions", default=",".join(FUNCTIONS))
    parser.add_argument("--gp", action="store_true", help="Optuna's Gaussian process too")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    searches = SEARCHES | ({"Optuna's GP": GP} if options.gp else {})
    functions = {name: compared(name, searches, options) for name in options.functions.split(",")}
    found: dict[str, Any] = {"functions": functions, "ms a draw": {trials: costs(trials) for trials in (50, 200)}}
    for key, column in (("less_20", "regret_20"), ("less", "regret")):
        less = sum(row["ours"][column] < row["Optuna's"][column] for row in functions.values())
        found[key] = f"{less} of {len(functions)}"
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        report(found)


if __name__ == "__main__":
    main()
