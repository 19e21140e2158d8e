"""`cogorch nash`: the answer and its proof, for people and programs, and mistakes as messages."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from cogorch_dagster.cli import app
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.games.payoffs import Game
from tests.cli.conftest import COMMAND, Ran
from tests.games import named


def command(*arguments: object) -> Ran:
    """The command in a process of its own; no platform is needed."""
    done = subprocess.run(
        [*COMMAND, "nash", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def written(tmp_path: Path, game: Game, name: str = "game.yaml") -> Path:
    path = tmp_path / name
    document = {
        "players": list(game.players),
        "actions": [list(own) for own in game.actions],
        "payoffs": game.payoffs.tolist(),
    }
    path.write_text(yaml.safe_dump(document) if path.suffix == ".yaml" else json.dumps(document))
    return path


def test_two_players_for_programs_with_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "game.png"
    ran = command(written(tmp_path, named.battle_of_the_sexes()), "--json", "--all", "--plot", picture)
    assert ran.code == 0, ran.err
    found = ran.json
    assert (found["players"], found["actions"]) == (["player 1", "player 2"], [["1", "2"], ["1", "2"]])
    assert found["equilibrium"]["strategies"] == {"player 1": {"1": 1, "2": 0}, "player 2": {"1": 1, "2": 0}}
    assert found["equilibrium"]["payoffs"] == {"player 1": 3, "player 2": 2}
    assert [each["concept"] for each in found["equilibria"]] == ["pure nash", "mixed nash", "pure nash"]
    assert found["equilibria"][1]["strategies"]["player 1"] == {"1": pytest.approx(0.6), "2": pytest.approx(0.4)}
    assert max(each["relative_nash_conv"] for each in found["equilibria"]) <= 1e-15
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_mix_for_people(tmp_path: Path) -> None:
    ran = command(written(tmp_path, named.matching_pennies(), "game.json"))
    assert ran.code == 0, ran.err
    assert "mixed nash" in ran.out and "lemke-howson" in ran.out and "NashConv  0 (0 of the payoff range)" in ran.out
    rows = [line.split() for line in ran.out.splitlines() if line.startswith("player ")][1:]
    assert rows == [["player", p, action, "0.5", "0"] for p in "12" for action in "12"]


def test_more_players_in_gambits_format(tmp_path: Path) -> None:
    game = tmp_path / "jordan.nfg"
    payoffs = named.jordan().payoffs
    cells = " ".join(
        " ".join(str(payoffs[i, a, b, c]) for i in range(3)) for c in (0, 1) for b in (0, 1) for a in (0, 1)
    )
    game.write_text(f'NFG 1 R "Jordan" {{ "x" "y" "z" }} {{ 2 2 2 }}\n{cells}\n')
    ran = command(game, "--json", "--all")
    assert ran.code == 0, ran.err
    for mix in ran.json["equilibrium"]["strategies"].values():
        assert mix == {"1": pytest.approx(0.5, abs=1e-4), "2": pytest.approx(0.5, abs=1e-4)}
    assert ran.json["equilibrium"]["relative_nash_conv"] <= 1e-5
    assert ran.json["equilibria"] == []  # none is pure

    shown = command(written(tmp_path, named.mckelvey_mclennan()), "--all")
    assert shown.code == 0, shown.err
    assert len([line for line in shown.out.splitlines() if line.strip()[:1] in "1234" and line.strip()]) == 4


def test_mistakes_are_messages_with_exit_code_2(tmp_path: Path) -> None:
    file = tmp_path / "game.yaml"
    file.write_text("payoffs:\n  - [[1, 2], [3, 4]]\n  - [[1, 2], [3, x]]\n")
    ran = command(file)
    assert (ran.code, ran.out) == (2, "")
    assert f"{file}:3: 'x' is no payoff" in ran.err
    assert "Traceback" not in ran.err
    as_json = command(tmp_path / "none.nfg", "--json")
    assert as_json.code == 2
    assert as_json.json["error"]["kind"] == "invalid_input"


@pytest.mark.parametrize(
    ("game", "plot", "problem"),
    [
        (named.jordan(), "x.png", "shows the payoffs of 2 players, .* has 3"),
        (named.matching_pennies(), "x.gif", ".png, .svg, .pdf"),
        (named.matching_pennies(), "none/x.png", "cannot be written"),
    ],
)
def test_pictures_that_cannot_be_drawn_are_refused(game: Game, plot: str, problem: str, tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["nash", str(written(tmp_path, game)), "--plot", str(tmp_path / plot)])
    assert isinstance(ran.exception, InvalidInput)
    assert re.search(problem, str(ran.exception))


def test_the_example_of_the_help_is_a_game(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["nash", "--help"]).output
    lines = shown[shown.index("players: [") :].splitlines()
    indented = len(shown[: shown.index("players: [")].splitlines()[-1])
    example = ["players: [" + lines[0].split("[", 1)[1]] + [line[indented:] for line in lines[1:5]]
    file = tmp_path / "example.yaml"
    file.write_text("\n".join(example))
    ran = CliRunner().invoke(app, ["nash", str(file)])
    assert ran.exit_code == 0, ran.exception
    assert [line.split() for line in ran.stdout.splitlines()[-2:]] == [
        [p, "defect", "1", "1"] for p in ("row", "column")
    ]
