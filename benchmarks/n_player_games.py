"""Equilibria of games with more than two players: how many are found, how exact, how fast; and gambit beside it.

Random games of 3x3x3x3 and 10x5x8x5 in six families; every second one is drawn again until it has no pure equilibrium.
Three lines for the solver: all games as it is used, those without a pure equilibrium, and all with its search for pure
equilibria switched off. Then the named games, and gambit's ipa and logit (the first equilibrium) on games without a
pure equilibrium, each call in a process of its own that is killed after 15 s; left out where pygambit is not installed.
"Solved" means a NashConv, computed here, of at most 1e-5 of the payoff range. Seconds are CPU time for the solver here,
wall time in gambit's processes. Exit status 0 if all are solved, the median is under 0.1 s and none took over 15 s.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import importlib.util
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.games.payoffs import Equilibrium, Game, named_game, nash_conv
from cogorch_dagster.games.pure import pure_equilibria
from cogorch_dagster.games.solving import solve

Floats = NDArray[np.float64]
Shape = tuple[int, ...]

SHAPES: tuple[Shape, ...] = ((3, 3, 3, 3), (10, 5, 8, 5))
ACCEPTED = 1e-5
MEDIAN_S, LONGEST_S = 0.1, 15.0
REDRAWS = 300


def uniform(rng: np.random.Generator, shape: Shape) -> Floats:
    return rng.random((len(shape), *shape))


def normal(rng: np.random.Generator, shape: Shape) -> Floats:
    return rng.normal(size=(len(shape), *shape))


def conflicting(rng: np.random.Generator, shape: Shape) -> Floats:
    """Normal payoffs with the correlation -0.9 / (n - 1) between any two players."""
    n = len(shape)
    rho = -0.9 / (n - 1)
    mixing = np.linalg.cholesky(np.full((n, n), rho) + (1 - rho) * np.eye(n))
    return np.asarray(np.tensordot(mixing, normal(rng, shape), 1))


def constant_sum(rng: np.random.Generator, shape: Shape) -> Floats:
    payoffs = normal(rng, shape)
    return payoffs - payoffs.mean(axis=0)


def polymatrix(rng: np.random.Generator, shape: Shape) -> Floats:
    """A random two-player game between each pair of players; payoffs add up."""
    payoffs = np.zeros((len(shape), *shape))
    joint = np.indices(shape)
    for i in range(len(shape)):
        for j in range(len(shape)):
            if i != j:
                payoffs[i] += rng.normal(size=(shape[i], shape[j]))[joint[i], joint[j]]
    return payoffs


def crowds(rng: np.random.Generator, shape: Shape) -> Floats:
    """Sites with values of one's own; the others there divide it for some players and multiply it for others."""
    payoffs = np.zeros((len(shape), *shape))
    joint = np.indices(shape)
    for i, size in enumerate(shape):
        weights = rng.exponential(size=len(shape))
        company = sum(weights[j] * (joint[i] == joint[j]) for j in range(len(shape)) if j != i)
        payoffs[i] = (0.5 + rng.random(size))[joint[i]] * (1 + company) ** rng.choice([-1.0, 1.0])
    return payoffs


FAMILIES: dict[str, Callable[[np.random.Generator, Shape], Floats]] = {
    "uniform": uniform,
    "normal": normal,
    "conflicting": conflicting,
    "constant sum": constant_sum,
    "polymatrix": polymatrix,
    "crowds": crowds,
}


def random_games(count: int, seed: int) -> Iterator[tuple[str, Game]]:
    """`count` games, evenly over shapes and families."""
    rng = np.random.default_rng(seed)
    kinds = [(shape, name) for shape in SHAPES for name in FAMILIES]
    for index in range(count):
        shape, name = kinds[index % len(kinds)]
        mixed_only = index // len(kinds) % 2 == 1
        for _ in range(REDRAWS if mixed_only else 1):
            game = named_game(FAMILIES[name](rng, shape))
            if not mixed_only or not pure_equilibria(game):
                break
        yield f"{name} {'x'.join(map(str, shape))}", game


def named_games() -> dict[str, Game]:
    """Games of the literature, see `tests/games/test_solving.py` for what is known of them."""
    a = np.indices((2, 2, 2))
    jordan = np.stack([np.where(a[0] == a[1], 1, -1), np.where(a[1] == a[2], 1, -1), np.where(a[2] != a[0], 1, -1)])
    mclennan = np.zeros((3, 2, 2, 2))  # McKelvey & McLennan 1996, section 4: nine equilibria
    for joint, gains in (
        ((0, 0, 0), (9, 8, 12)),
        ((1, 1, 0), (9, 8, 2)),
        ((1, 0, 1), (3, 4, 6)),
        ((0, 1, 1), (3, 4, 6)),
    ):
        mclennan[(slice(None), *joint)] = gains
    many = np.indices((2,) * 6)
    volunteer = np.stack([np.where(many.any(axis=0), 1.0, 0.0) - 0.4 * many[i] for i in range(6)])
    efforts = np.indices((7,) * 4) + 1
    effort = np.stack([2.0 * efforts.min(axis=0) - efforts[i] for i in range(4)])
    given = np.indices((5,) * 4)
    goods = np.stack([0.4 * given.sum(axis=0) - given[i] for i in range(4)])
    return {
        "Jordan": named_game(jordan),
        "McKelvey-McLennan": named_game(mclennan),
        "volunteer's dilemma": named_game(volunteer),
        "minimum effort": named_game(effort),
        "public goods": named_game(goods),
    }


def timed(games: Iterable[tuple[str, Game]], *, pure_first: bool) -> list[tuple[str, Equilibrium, float]]:
    answers = []
    for name, game in games:
        start = time.process_time()
        found = solve(game, pure_first=pure_first)
        answers.append((name, found, time.process_time() - start))
    return answers


def summary(relative: list[float], seconds: list[float]) -> dict[str, float]:
    return {
        "games": len(relative),
        "solved": float(np.mean([value <= ACCEPTED for value in relative])) if relative else float("nan"),
        "worst_relative": max(relative, default=float("nan")),
        "median_s": float(np.median(seconds)) if seconds else float("nan"),
        "longest_s": max(seconds, default=float("nan")),
    }


def measured(answers: list[tuple[str, Equilibrium, float]]) -> dict[str, Any]:
    line: dict[str, Any] = summary([found.relative for _, found, _ in answers], [took for *_, took in answers])
    line["methods"] = dict(Counter(found.method for _, found, _ in answers))
    return line


def _gambit(method: str, payoffs: Floats, pipe: Connection) -> None:
    import pygambit

    game = pygambit.Game.from_arrays(*payoffs)
    start = time.perf_counter()
    solver = pygambit.nash.ipa_solve if method == "ipa" else pygambit.nash.logit_solve
    found = solver(game).equilibria
    took = time.perf_counter() - start
    mixes = [[float(found[0][s]) for s in player.strategies] for player in game.players] if found else None
    pipe.send((mixes, took))


def gambit(method: str, game: Game) -> tuple[float, float]:
    """Relative NashConv of gambit's first answer (infinite if there is none, it dies or is killed), and seconds."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_gambit, args=(method, game.payoffs, sender))
    start = time.perf_counter()
    process.start()
    sender.close()
    try:
        mixes, took = receiver.recv() if receiver.poll(LONGEST_S) else (None, LONGEST_S)
    except EOFError:
        mixes, took = None, time.perf_counter() - start
    process.kill()
    process.join()
    if mixes is None:
        return float("inf"), took
    profile = tuple(np.maximum(mix, 0.0) / np.maximum(mix, 0.0).sum() for mix in map(np.array, mixes))
    return nash_conv(game, profile) / game.range, took


def compared(games: list[tuple[str, Game]]) -> dict[str, Any]:
    """The solver here and gambit's on the same games, by shape."""
    lines: dict[str, Any] = {}
    for shape in SHAPES:
        some = [(name, game) for name, game in games if game.shape == shape]
        title = "x".join(map(str, shape))
        lines[f"here {title}"] = measured(timed(some, pure_first=True))
        for method in ("ipa", "logit"):
            answers = [gambit(method, game) for _, game in some]
            lines[f"gambit {method} {title}"] = summary([gap for gap, _ in answers], [took for _, took in answers])
    return lines


def report(found: dict[str, Any]) -> None:
    print(f"{'':<28} {'games':>6} {'solved':>8} {'worst NashConv':>15} {'median s':>9} {'longest s':>10}")
    for name, line in {**found["bars"], **found.get("compared", {})}.items():
        print(
            f"{name:<28} {line['games']:>6} {line['solved']:>8.1%} {line['worst_relative']:>15.1e} "
            f"{line['median_s']:>9.4f} {line['longest_s']:>10.3f}"
        )
    for name, line in found["bars"].items():
        print(f"{name}: " + ", ".join(f"{method} {count}" for method, count in line["methods"].items()))
    for name, line in found["named"].items():
        print(f"{name:<38} {line['concept']:<12} {line['method']:<22} {line['relative']:.1e}")
    if "compared" not in found:
        print(found["skipped"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=480, help="random games in all (480)")
    parser.add_argument(
        "--gambit-games", type=int, default=24, help="of those without a pure equilibrium (24; 0: none)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    options = parser.parse_args()
    games = list(random_games(options.games, options.seed))
    mixed = [(name, game) for name, game in games if not pure_equilibria(game)]
    bars = {
        "all": measured(timed(games, pure_first=True)),
        "without a pure equilibrium": measured(timed(mixed, pure_first=True)),
        "all, pure search off": measured(timed(games, pure_first=False)),
    }
    named = {
        f"{name}{'' if pure_first else ', pure search off'}": {
            "concept": answer.concept,
            "method": answer.method,
            "relative": answer.relative,
        }
        for pure_first in (True, False)
        for name, answer, _ in timed(named_games().items(), pure_first=pure_first)
    }
    found: dict[str, Any] = {"games": options.games, "seed": options.seed, "bars": bars, "named": named}
    if options.gambit_games and importlib.util.find_spec("pygambit") is not None:
        found["compared"] = compared(mixed[: options.gambit_games])
    else:
        found["skipped"] = "gambit left out: pygambit is not installed, or --gambit-games 0"
    print(json.dumps(found)) if options.json else report(found)
    passed = all(
        line["solved"] == 1 and line["median_s"] < MEDIAN_S and line["longest_s"] <= LONGEST_S for line in bars.values()
    ) and all(line["relative"] <= ACCEPTED for line in named.values())
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
