"""Games from files: every form gives the same game, and every mistake is named with its line."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.games import files
from cogorch_dagster.games.files import game_from_file
from cogorch_dagster.games.nfg import number, parse_nfg
from cogorch_dagster.games.payoffs import Game
from tests.games import named

LAW = settings(max_examples=40, deadline=None)
SHAPES = st.lists(st.integers(1, 3), min_size=1, max_size=4)
SEEDS = st.integers(0, 2**32 - 1)

PAYOFFS = """\
title: battle of the sexes
players: [she, he]
actions:
  she: [opera, football]
  he: [opera, football]
payoffs:
  she: [[3, 0], [0, 2]]
  he: [[2, 0], [0, 1/2]]
"""
OUTCOMES = """\
players: [she, he]
actions: [[opera, football], [opera, football]]
outcomes:
  - {actions: [opera, opera], payoffs: [3, 2]}
  - {actions: {he: football, she: opera}, payoffs: [0, 0]}
  - {actions: [football, opera], payoffs: {he: 0, she: 0}}
  - actions: [football, football]
    payoffs: [2, 1/2]
"""
NFG_PAYOFFS = """\
NFG 1 R "battle of the sexes" { "she" "he" }
{ { "opera" "football" } { "opera" "football" } }
"a comment
over two lines"

3 2  0 0  0 0  2 .5
"""
NFG_OUTCOMES = """\
NFG 1 R "battle of the sexes" { "she" "he" }

{ { "opera" "football" }
{ "opera" "football" }
}
""

{
{ "together" 3, 2 }
{ "" 2, 1/2 }
}
1 0 0 2
"""


def written(tmp_path: Path, text: str, name: str = "game.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def same(one: Game, other: Game) -> bool:
    return (
        one.players == other.players
        and one.actions == other.actions
        and bool(np.array_equal(one.payoffs, other.payoffs))
    )


def as_nfg(game: Game, outcomes: bool) -> str:
    head = 'NFG 1 D "it \\"is\\" {a game" { ' + " ".join(f'"{name}"' for name in game.players) + " }\n{ "
    head += " ".join("{ " + " ".join(f'"{a}"' for a in own) + " }" for own in game.actions) + ' }\n"1 2 {"\n'
    cells = [own.reshape(-1, order="F") for own in game.payoffs]
    rows = [" ".join(repr(float(value)) for value in cell) for cell in zip(*cells, strict=True)]
    if not outcomes:
        return head + "\n".join(rows)
    listed = "{\n" + "\n".join(f'{{ "" {row.replace(" ", ", ")} }}' for row in reversed(rows)) + "\n}\n"
    return head + listed + " ".join(str(len(rows) - k) for k in range(len(rows)))


def test_all_forms_give_the_same_game(tmp_path: Path) -> None:
    wanted = game_from_file(written(tmp_path, PAYOFFS))
    assert wanted.players == ("she", "he")
    assert wanted.actions == (("opera", "football"),) * 2
    assert wanted.payoffs.tolist() == [[[3, 0], [0, 2]], [[2, 0], [0, 0.5]]]
    document = json.dumps(yaml.safe_load(PAYOFFS), indent="\t")
    for name, text in (
        ("outcomes.yaml", OUTCOMES),
        ("payoffs.json", document),
        ("payoffs.nfg", NFG_PAYOFFS),
        ("outcomes.nfg", NFG_OUTCOMES),
        ("told_by_its_beginning.txt", "\n" + NFG_OUTCOMES),
        ("mark.yaml", "\ufeff" + PAYOFFS),
    ):
        assert same(game_from_file(written(tmp_path, text, name)), wanted), name


@LAW
@given(SHAPES, SEEDS, st.booleans())
def test_nfg_gives_back_what_was_written(shape: list[int], seed: int, outcomes: bool) -> None:
    game = named.random_game(np.random.default_rng(seed), *shape)
    assert same(parse_nfg(as_nfg(game, outcomes), "game.nfg"), game)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_documents_give_back_what_was_written(n: int, tmp_path: Path) -> None:
    game = named.random_game(np.random.default_rng(n), *(2, 3, 2)[:n])
    plain = {"payoffs": game.payoffs.tolist()}
    assert same(game_from_file(written(tmp_path, json.dumps(plain), "plain.json")), game)
    keyed = {"payoffs": dict(zip(game.players, game.payoffs.tolist(), strict=True))}
    assert same(game_from_file(written(tmp_path, yaml.safe_dump(keyed, sort_keys=False))), game)


def test_gambits_strategies_may_be_counted_or_nameless() -> None:
    game = parse_nfg('NFG 1 R "" { "" "b" } { 2 { "" "x" } } 1 2 3 4 5 6 7 8', "game.nfg")
    assert (game.players, game.actions) == (("1", "b"), (("1", "2"), ("1", "x")))
    # The first player's strategy changes fastest.
    assert game.payoffs[0].tolist() == [[1, 5], [3, 7]]
    assert game.payoffs[1].tolist() == [[2, 6], [4, 8]]


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), ("-.5", -0.5), ("+1e3", 1000), ("1/3", 1 / 3), ("-7/2", -3.5), ("2.5E-1", 0.25)]
)
def test_numbers(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", ["x", "", "1/0", "nan", "inf", "1e999999999", "1e390", "9" * 200, "0x10", "1/2/3"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|exponent"):
        number(text)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("she: [[3, 0], [0, 2]]", "she: [[3, x], [0, 2]]", "7: 'x' is no payoff"),
        ("she: [[3, 0], [0, 2]]", "she: [[3, .inf], [0, 2]]", "7: '.inf' is no payoff"),
        ("she: [[3, 0], [0, 2]]", "she: [[3, 1e200], [0, 2]]", "7: the payoff of 'she' at .*1e.200"),
        ("she: [[3, 0], [0, 2]]", "she:\n  - [3, 0]\n  - [0, 2, 4]", "9: .*has 3 entries, 2 actions"),
        ("she: [[3, 0], [0, 2]]", "she: [3, 0]", "7: payoffs must be a list here"),
        ("she: [[3, 0], [0, 2]]", "she: [[[3], 0], [0, 2]]", "7: a payoff must be a text or a number"),
        ("she: [[3, 0], [0, 2]]", "it: [[3, 0], [0, 2]]", "7: payoffs of player 'she' are missing"),
        ("  he: [[2", "  it: []\n  he: [[2", "8: 'it' is none of the players she, he"),
        ("  he: [[2", "  she: []\n  he: [[2", "8: 'she' is given twice"),
        ("title", "titel", "1: 'titel' is none of players"),
        ("payoffs:", "payofs:", "6: 'payofs' is none of"),
        ("[she, he]", "[she, she]", "2: the players must have different names, got she, she"),
        ("she: [opera, football]", "she: [opera, opera]", "different names, got opera, opera"),
        ("she: [opera, football]", "she: [opera, [football]]", "4: each of the actions must be a text"),
        ("[she, he]", "she", "2: players must be a list here"),
        ("[she, he]", "&a [she, he]\ncomment: *a", "3: anchors and aliases"),
        ("title: ", "title: [", ": not YAML or JSON"),
    ],
)
def test_mistakes_in_payoffs_are_named_with_their_line(old: str, new: str, problem: str, tmp_path: Path) -> None:
    assert old in PAYOFFS
    with pytest.raises(InvalidInput, match=f"game.yaml:.*(?:{problem})"):
        game_from_file(written(tmp_path, PAYOFFS.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("  - {actions: [football, opera], payoffs: {he: 0, she: 0}}\n", "", r"4: 1 of 4.*\(football, opera\)"),
        ("[football, opera]", "[opera, opera]", "6: this joint action is given twice, first on line 4"),
        ("[football, opera]", "[football, cinema]", "6: 'cinema' is none of the actions of 'he': opera, football"),
        ("[football, opera]", "[football]", "6: actions are given for 1 players, the game has 2 players"),
        ("payoffs: [3, 2]", "payoffs: [3]", "4: payoffs are given for 1 players"),
        ("payoffs: [3, 2]", "gets: [3, 2]", "4: an outcome has `actions` and `payoffs`"),
        ("players: [she, he]\n", "", "3: with `outcomes`, name the `players`"),
        ("outcomes:", "payoffs: []\noutcomes:", "1: a game has either"),
    ],
)
def test_mistakes_in_outcomes_are_named_with_their_line(old: str, new: str, problem: str, tmp_path: Path) -> None:
    assert old in OUTCOMES
    with pytest.raises(InvalidInput, match=f"game.yaml:{problem}"):
        game_from_file(written(tmp_path, OUTCOMES.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("NFG 1", "NFG 2", "1: a game of Gambit begins with"),
        ('"battle of the sexes"', "battle", "1: after `NFG 1 R` comes the title"),
        ('"she"', "she", "1: names of players stand in quotes, got 'she'"),
        ('{ "she" "he" }', "{ }", "there must be at least one of the players"),
        ('{ { "opera" "football" }', "{", "5: strategies of 1 players are given, the game has 2"),
        ('{ { "opera" "football" }', "{ x", "3: strategies are names in braces or a count, got 'x'"),
        ('{ { "opera" "football" }', "{ 0", "3: strategies are names in braces or a count, got '0'"),
        ('{ { "opera" "football" }', "{ 9999999", "3|4: the game has"),
        ("3, 2", "3", "9: a payoff of outcome 1 is missing, got '}'"),
        ("3, 2", "3, 2, 1", "9: expected '}' for the end of outcome 1"),
        ("1/2", "1/x", "10: a payoff of outcome 2 is '1/x'"),
        ("1 0 0 2", "1 0 0 3", "12: joint action 4 of 4 needs an outcome from 0 to 2, got '3'"),
        ("1 0 0 2", "1 0 0", "13: joint action 4 of 4.*got the end of the file"),
        ("1 0 0 2", "1 0 0 2 1", "12: the game is complete, but '1' follows"),
        ("1 0 0 2", '1 0 0 "2', "12: a text in quotes has no end"),
    ],
)
def test_mistakes_in_gambits_files_are_named_with_their_line(old: str, new: str, problem: str, tmp_path: Path) -> None:
    assert old in NFG_OUTCOMES
    with pytest.raises(InvalidInput, match=f"game.nfg:.*(?:{problem})"):
        game_from_file(written(tmp_path, NFG_OUTCOMES.replace(old, new, 1), "game.nfg"))


def test_files_that_are_no_games_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        game_from_file(tmp_path / "none.yaml")
    with pytest.raises(InvalidInput, match="is empty"):
        game_from_file(written(tmp_path, ""))
    with pytest.raises(InvalidInput, match="1: a game is a mapping"):
        game_from_file(written(tmp_path, "[1, 2]"))
    with pytest.raises(InvalidInput, match="extensive form"):
        game_from_file(written(tmp_path, 'EFG 2 R "x" { "a" }', "game.efg"))
    large = {"players": list("abcdefghijkl"), "actions": [list("12345")] * 12, "outcomes": []}
    with pytest.raises(InvalidInput, match=r"12 players and .* at most"):
        game_from_file(written(tmp_path, json.dumps(large)))
    for deep in ("[" * 100_000, "payoffs: " + "[" * 80 + "]" * 80, "- " * 100_000):
        with pytest.raises(InvalidInput, match=r"game\.yaml:1: lists are nested more than 70 deep"):
            game_from_file(written(tmp_path, deep))
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    with pytest.raises(InvalidInput, match="larger than 10 bytes"):
        game_from_file(written(tmp_path, PAYOFFS))
