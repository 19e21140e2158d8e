"""Equilibria of two-player games beside Gambit's, random and degenerate, and the CPU time of both.

    .venv/bin/python benchmarks/two_player_games.py [--games 360] [--largest 6] [--seed 0] [--json]

Needs pygambit. Of each game, our list of all extreme equilibria has to be the one of Gambit's exact `enummixed`; every
answer of Lemke-Howson, from every label, and every one of Gambit's exact `lcp` has to be in that list. The bars: no
game differs, and no NashConv is above 1e-9 of the payoff range. von Stengel's 6x6 game has to give 75 equilibria.
Beside them: large games, where only the NashConv judges, from some labels.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from cogorch_dagster.games.lemke_howson import from_every_label, lemke_howson, solve_two_players
from cogorch_dagster.games.payoffs import Game, Profile, named_game
from cogorch_dagster.games.vertices import all_equilibria
from tests.games.named import von_stengel_6x6

BAR = 1e-9
LARGE = (20, 40, 80, 120)
DIGITS = 7
Floats = NDArray[np.float64]
Family = Callable[[np.random.Generator, int, int], Floats]


def normal(rng: np.random.Generator, m: int, n: int) -> Floats:
    return np.round(rng.normal(size=(2, m, n)), 3)


def small_integers(rng: np.random.Generator, m: int, n: int) -> Floats:
    return rng.integers(0, 3, size=(2, m, n)).astype(float)


def zero_sum(rng: np.random.Generator, m: int, n: int) -> Floats:
    first = rng.integers(-2, 3, size=(m, n)).astype(float)
    return np.stack([first, -first])


def repeated(rng: np.random.Generator, m: int, n: int) -> Floats:
    """Some actions of both players are the same as others."""
    payoffs = rng.integers(0, 10, size=(2, m, n)).astype(float)
    payoffs[:, m - 1], payoffs[:, :, n - 1] = payoffs[:, 0], payoffs[:, :, 0]
    return payoffs


def coordination(rng: np.random.Generator, m: int, n: int) -> Floats:
    """The most equilibria: 2^k - 1 of k actions."""
    k = min(m, n, 5)
    return np.stack([np.diag(rng.integers(1, 5, size=k)), np.diag(rng.integers(1, 5, size=k))]).astype(float)


def ties(rng: np.random.Generator, m: int, n: int) -> Floats:
    """Payoffs of 0 and 1 only."""
    return (rng.random((2, m, n)) < 0.5).astype(float)


FAMILIES: dict[str, Family] = {
    "normal": normal,
    "integers 0..2": small_integers,
    "zero-sum": zero_sum,
    "repeated actions": repeated,
    "coordination": coordination,
    "zeros and ones": ties,
}


def key(profile: Profile) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(abs(float(x)) for x in np.round(mix, DIGITS)) for mix in profile)


def gambit_keys(result: Any) -> set[tuple[tuple[float, ...], ...]]:
    return {
        key(tuple(np.array([float(found[each]) for each in player.strategies]) for player in result.game.players))
        for found in result.equilibria
    }


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    found = call()
    return found, time.process_time() - start


def compare(game: Game) -> dict[str, Any]:
    import pygambit

    other = pygambit.Game.from_arrays(*game.payoffs)
    ours, our_seconds = timed(lambda: all_equilibria(game))
    theirs, their_seconds = timed(lambda: pygambit.nash.enummixed_solve(other))
    paths, path_seconds = timed(lambda: from_every_label(game))
    accessible, lcp_seconds = timed(lambda: pygambit.nash.lcp_solve(other))
    played, solve_seconds = timed(lambda: solve_two_players(game))
    everything, set_of_gambit = {key(each.profile) for each in ours}, gambit_keys(theirs)
    return {
        "equilibria": len(ours),
        "same_set": everything == set_of_gambit,
        "paths_in_set": {key(each.profile) for each in [*paths, played]} <= set_of_gambit,
        "lcp_in_set": gambit_keys(accessible) <= everything,
        "relative": max(each.relative for each in [*ours, *paths, played]),
        "ms": {
            "all": our_seconds * 1e3,
            "gambit enummixed": their_seconds * 1e3,
            "every label": path_seconds * 1e3,
            "gambit lcp": lcp_seconds * 1e3,
            "solve": solve_seconds * 1e3,
        },
    }


def family(draw: Family, games: int, largest: int, rng: np.random.Generator) -> dict[str, Any]:
    rows = [
        compare(named_game(draw(rng, *(int(k) for k in rng.integers(2, largest + 1, size=2))))) for _ in range(games)
    ]
    return {
        "games": games,
        "equilibria": sum(row["equilibria"] for row in rows),
        "different_sets": sum(not row["same_set"] for row in rows),
        "paths_outside": sum(not row["paths_in_set"] for row in rows),
        "lcp_outside": sum(not row["lcp_in_set"] for row in rows),
        "worst_relative": max(row["relative"] for row in rows),
        "median_ms": {name: statistics.median(row["ms"][name] for row in rows) for name in rows[0]["ms"]},
    }


def large(rng: np.random.Generator) -> dict[str, Any]:
    found = {}
    for size in LARGE:
        for name, draw in (("normal", normal), ("integers 0..2", small_integers)):
            game = named_game(draw(rng, size, size))
            runs = [timed(lambda k=k, game=game: lemke_howson(game, k)) for k in range(0, 2 * size, size // 2)]
            found[f"{size}x{size} {name}"] = {
                "ms_a_path": statistics.median(seconds for _, seconds in runs) * 1e3,
                "worst_relative": max(each.relative for each, _ in runs),
            }
    return found


def stengel() -> dict[str, Any]:
    game = von_stengel_6x6()
    runs = [lemke_howson(game, label) for label in range(12)]
    return {**compare(game), "labels": len(runs), "worst_of_labels": max(each.relative for each in runs)}


def report(found: dict[str, Any]) -> None:
    head = ("games", "equilibria", "sets differ", "paths outside", "lcp outside", "worst NashConv")
    print(f"{'family':<18}" + "".join(f"{each:>15}" for each in head) + "   median ms")
    for name, row in found["families"].items():
        cells = (row["games"], row["equilibria"], row["different_sets"], row["paths_outside"], row["lcp_outside"])
        speed = ", ".join(f"{what} {ms:.2f}" for what, ms in row["median_ms"].items())
        print(f"{name:<18}" + "".join(f"{each:>15}" for each in cells) + f"{row['worst_relative']:>15.1e}   {speed}")
    row = found["von_stengel"]
    print(
        f"\nvon Stengel's 6x6: {row['equilibria']} equilibria, same as Gambit's: {row['same_set']}, "
        f"{row['labels']} labels end, worst NashConv {row['worst_of_labels']:.1e}"
    )
    for name, row in found["large"].items():
        print(f"{name:<24} {row['ms_a_path']:8.1f} ms a path, worst NashConv {row['worst_relative']:.1e}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=360, help="in all, the same number of each family")
    parser.add_argument("--largest", type=int, default=6, help="most actions of a player")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    each = max(1, options.games // len(FAMILIES))
    found = {
        "families": {name: family(draw, each, options.largest, rng) for name, draw in FAMILIES.items()},
        "von_stengel": stengel(),
        "large": large(rng),
    }
    if options.json:
        print(json.dumps(found))
    else:
        report(found)
    rows = found["families"].values()
    agree = not any(row["different_sets"] + row["paths_outside"] + row["lcp_outside"] for row in rows)
    proven = max(row["worst_relative"] for row in [*rows, *found["large"].values()]) <= BAR
    known = found["von_stengel"]["equilibria"] == 75 and found["von_stengel"]["same_set"]
    return 0 if agree and proven and known else 1


if __name__ == "__main__":
    sys.exit(main())
