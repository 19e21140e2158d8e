"""`cogorch nash`: an equilibrium of a game in a file, with the proof that it is one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli.output import JsonOption, Output, examples, fields, table
from cogorch_dagster.cli.pictures import IMAGES, image_of, require_image, write_picture

if TYPE_CHECKING:
    from cogorch_dagster.games.payoffs import Equilibrium, Game

NASH_EPILOG = (
    examples("cogorch nash game.yaml", "cogorch nash game.nfg --json", "cogorch nash game.yaml --all --plot game.png")
    + "\n\n\b\nA game as YAML or JSON; payoffs nest the first player's actions outermost:\n"
    "  players: [row, column]\n"
    "  actions: {row: [cooperate, defect], column: [cooperate, defect]}\n"
    "  payoffs:\n"
    "    row: [[3, 0], [5, 1]]\n"
    "    column: [[3, 5], [0, 1]]\n"
    "\n\b\nOr, instead of payoffs, one entry for each joint action:\n"
    "  outcomes:\n"
    "    - {actions: [cooperate, cooperate], payoffs: [3, 3]}\n"
    "    - ..."
)
_PLAYED = 1e-9


def nash(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A game: YAML, JSON, or Gambit's .nfg.")],
    every: Annotated[
        bool,
        typer.Option("--all", help="Every one: of two players all extreme equilibria, of more all pure ones."),
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw a two-player game's payoffs, .png, .svg or .pdf.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find a Nash equilibrium, choosing by Pareto dominance and then welfare, and print it with its NashConv.

    The NashConv is what all players together could gain if each deviated alone: 0 exactly at a Nash equilibrium.
    """
    out = Output(as_json)
    from cogorch_dagster.errors import InvalidInput
    from cogorch_dagster.games.files import game_from_file

    require_image(plot, IMAGES)
    game = game_from_file(file)
    if plot is not None and game.n_players != 2:
        raise InvalidInput(f"--plot shows the payoffs of 2 players, {file} has {game.n_players}")
    best = _solved(game)
    others = _all(game) if every else None
    if plot is not None:
        _plot(game, best, file.name, plot)
    value = {"file": str(file), "players": game.players, "actions": game.actions, "range": game.range}
    value["equilibrium"] = _document(game, best)
    if others is not None:
        value["equilibria"] = [_document(game, each) for each in others]
    out.result(value, lambda: _show(game, best, others))


def _solved(game: "Game") -> "Equilibrium":
    if game.n_players == 2:
        from cogorch_dagster.games.lemke_howson import solve_two_players

        return solve_two_players(game)
    from cogorch_dagster.games.solving import solve

    return solve(game)


def _all(game: "Game") -> "list[Equilibrium]":
    if game.n_players == 2:
        from cogorch_dagster.games.vertices import all_equilibria

        return all_equilibria(game)
    from cogorch_dagster.games.payoffs import pure_profile, verified
    from cogorch_dagster.games.pure import METHOD, pure_equilibria

    return [verified(game, pure_profile(game, joint), METHOD, 0.0) for joint in pure_equilibria(game)]


def _document(game: "Game", found: "Equilibrium") -> dict[str, Any]:
    from cogorch_dagster.games.payoffs import expected_payoffs

    joint = found.correlated
    if joint is None:
        payoffs = expected_payoffs(game, found.profile)
    else:
        payoffs = (game.payoffs * joint).reshape(game.n_players, -1).sum(axis=1)
    return {
        "concept": found.concept,
        "method": found.method,
        "strategies": {
            player: dict(zip(actions, map(float, mix), strict=True))
            for player, actions, mix in zip(game.players, game.actions, found.profile, strict=True)
        },
        "payoffs": dict(zip(game.players, map(float, payoffs), strict=True)),
        "welfare": found.welfare,
        "nash_conv": found.nash_conv,
        "relative_nash_conv": found.relative,
        "seconds": found.seconds,
        "correlated": None if found.correlated is None else found.correlated.tolist(),
    }


def _plot(game: "Game", found: "Equilibrium", title: str, path: Path) -> None:
    from cogorch_dagster.games.picture import payoff_picture

    write_picture(path, payoff_picture(game, found, f"{title}: {found.concept}", image_of(path)))


def _show(game: "Game", best: "Equilibrium", others: "list[Equilibrium] | None") -> None:
    document = _document(game, best)
    fields(
        [
            ("concept", best.concept),
            ("method", best.method),
            ("NashConv", f"{best.nash_conv:.3g} ({best.relative:.3g} of the payoff range)"),
            ("welfare", best.welfare),
        ]
    )
    print()
    rows = [
        (player, action, share, document["payoffs"][player])
        for player, mix in document["strategies"].items()
        for action, share in mix.items()
        if share > _PLAYED
    ]
    table(("player", "action", "probability", "expected payoff"), rows, right=("probability", "expected payoff"))
    if best.correlated is not None:
        print("The mixes are the marginals; the players draw jointly, see --json.")
    if others is not None:
        print()
        listed = [(k + 1, *_row(game, each)) for k, each in enumerate(others)]
        columns = ("welfare", "NashConv")
        table(("no.", *game.players, *columns), listed, right=("no.", *columns))


def _row(game: "Game", found: "Equilibrium") -> tuple[object, ...]:
    mixes = []
    for actions, mix in zip(game.actions, found.profile, strict=True):
        played = [(name, float(share)) for name, share in zip(actions, mix, strict=True) if share > _PLAYED]
        mixes.append(", ".join(name if len(played) == 1 else f"{name} {share:.4g}" for name, share in played))
    return (*mixes, found.welfare, f"{found.nash_conv:.3g}")
