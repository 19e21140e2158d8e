"""Games from files: YAML and JSON, and Gambit's .nfg (read by `nfg`); every error with the line where it stands.

A document names `players`, `actions` (a list of names for each player, by name or in order) and either

* `payoffs`: for each player, by name or in order, its payoffs as nested lists, the first player's actions outermost; or
* `outcomes`: one entry for each joint action, with its `actions` and what they give, `payoffs`.

With `payoffs`, names may be left out; players and actions are then numbered from 1. A number may be a text such as 1/3.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cogorch_dagster.errors import InvalidInput, reason_of
from cogorch_dagster.games.nfg import number, parse_nfg
from cogorch_dagster.games.payoffs import MOST_ENTRIES, MOST_PLAYERS, Floats, Game, named_game

MAX_BYTES = 32_000_000
_DEEPEST = MOST_PLAYERS + 10
_KEYS = ("players", "actions", "payoffs", "outcomes", "title", "comment")


def game_from_file(path: Path) -> Game:
    """Read a game; a file that ends in .nfg or begins with NFG is Gambit's, any other is YAML or JSON.

    Raises:
        InvalidInput: not readable, larger than 32 MB, or not a game; the message says `file:line: problem`.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(f"{path} is larger than {MAX_BYTES:,} bytes; merge actions to make the game smaller")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {reason_of(error)}") from error
    if path.suffix.lower() == ".nfg" or text.lstrip()[:3] == "NFG":
        return parse_nfg(text, str(path))
    if path.suffix.lower() == ".efg" or text.lstrip()[:3] == "EFG":
        raise InvalidInput(f"{path}:1: games in extensive form are not read; let gambit convert it to .nfg")
    return _Document(str(path)).game(_root(text, path))


def _root(text: str, path: Path) -> yaml.Node:
    """The document as nodes, which know their lines."""
    # JSON is YAML but for tabs between tokens, and inside JSON's strings a tab has to be written \t anyway.
    source = text.replace("\t", " ") if path.suffix.lower() == ".json" else text
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_nesting(source, loader, path)
        node = yaml.compose(source, Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise InvalidInput(f"{path}{line}: not YAML or JSON: {getattr(error, 'problem', None) or error}") from error
    except ValueError as error:
        raise InvalidInput(f"{path}: not YAML or JSON: {error}") from error
    if node is None:
        raise InvalidInput(f"{path} is empty; see `cogorch nash --help` for what a game looks like")
    return node


def _check_nesting(source: str, loader: Any, path: Path) -> None:
    """Refuse what would exhaust the stack or expand without bound when the document is put together."""
    depth = 0
    for event in yaml.parse(source, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        line = event.start_mark.line + 1  # type: ignore[union-attr]  # parsed events have their marks
        if isinstance(event, yaml.AliasEvent):
            raise InvalidInput(f"{path}:{line}: anchors and aliases are not for games; write the values out")
        if depth > _DEEPEST:
            raise InvalidInput(f"{path}:{line}: lists are nested more than {_DEEPEST} deep, a game has fewer players")


class _Document:
    """The nodes of one file as a game; holds the name of the file, for messages."""

    def __init__(self, name: str) -> None:
        self._name = name

    def game(self, root: yaml.Node) -> Game:
        keys = self._mapping(root, "a game", _KEYS)
        players = self._players(keys)
        actions = self._actions(keys["actions"], players) if "actions" in keys else None
        if ("payoffs" in keys) == ("outcomes" in keys):
            raise self._error(root, "a game has either `payoffs` or `outcomes`")
        if "payoffs" in keys:
            node = keys["payoffs"]
            return self._made(node, self._payoffs(node, players, actions), players, actions)
        node = keys["outcomes"]
        if players is None or actions is None:
            raise self._error(node, "with `outcomes`, name the `players` and their `actions`")
        return self._made(node, self._outcomes(node, players, actions), players, actions)

    def _players(self, keys: dict[str, yaml.Node]) -> list[str] | None:
        """Their names, or those that payoffs or actions are listed by; None if nothing names them."""
        if "players" in keys:
            names = self._texts(keys["players"], "players")
            if len(set(names)) != len(names):
                raise self._error(keys["players"], f"the players must have different names, got {', '.join(names)}")
            return names
        for node in (keys.get("payoffs"), keys.get("actions")):
            if isinstance(node, yaml.MappingNode):
                return list(self._mapping(node, "payoffs and actions"))
        return None

    def _made(
        self, node: yaml.Node, payoffs: Floats, players: list[str] | None, actions: list[list[str]] | None
    ) -> Game:
        try:
            return named_game(payoffs, players, actions)
        except InvalidInput as error:
            raise self._error(node, str(error)) from error

    def _payoffs(self, node: yaml.Node, players: list[str] | None, actions: list[list[str]] | None) -> Floats:
        own = self._each(node, players, "payoffs")
        if actions is not None and len(actions) != len(own):
            raise self._error(node, f"payoffs are given for {len(own)} players, actions for {len(actions)}")
        sizes = self._sizes(own[0], len(own)) if actions is None else [len(names) for names in actions]
        self._bounded(node, len(own), sizes)
        flat: list[float] = []
        for each in own:
            self._flatten(each, sizes, flat)
        return np.array(flat).reshape(len(own), *sizes)

    def _bounded(self, node: yaml.Node, players: int, shape: Sequence[int]) -> None:
        entries = players * math.prod(shape)
        if players > MOST_PLAYERS or entries > MOST_ENTRIES:
            raise self._error(
                node,
                f"the game has {players} players and {entries:,} payoffs, "
                f"at most {MOST_PLAYERS} and {MOST_ENTRIES:,} are supported",
            )

    def _sizes(self, node: yaml.Node, depth: int) -> list[int]:
        """How long the lists of each depth are, going by the first ones."""
        sizes = []
        for level in range(depth):
            if not isinstance(node, yaml.SequenceNode) or not node.value:
                raise self._error(node, f"payoffs of {depth} players are lists nested {depth} deep, here at {level}")
            sizes.append(len(node.value))
            node = node.value[0]
        return sizes

    def _flatten(self, node: yaml.Node, sizes: Sequence[int], into: list[float]) -> None:
        if not sizes:
            into.append(self._number(node))
            return
        items = self._list(node, "payoffs")
        if len(items) != sizes[0]:
            raise self._error(
                node, f"this list of payoffs has {len(items)} entries, {sizes[0]} actions ask for as many"
            )
        for item in items:
            self._flatten(item, sizes[1:], into)

    def _outcomes(self, node: yaml.Node, players: list[str], actions: list[list[str]]) -> Floats:
        shape = tuple(len(names) for names in actions)
        self._bounded(node, len(players), shape)
        payoffs = np.zeros((len(players), *shape))
        lines: dict[tuple[int, ...], int] = {}
        for entry in self._list(node, "outcomes"):
            keys = self._mapping(entry, "an outcome")
            if set(keys) - {"title", "comment"} != {"actions", "payoffs"}:
                raise self._error(entry, "an outcome has `actions` and `payoffs`")
            joint = tuple(
                self._index(each, player, names)
                for each, player, names in zip(
                    self._each(keys["actions"], players, "actions"), players, actions, strict=True
                )
            )
            if joint in lines:
                raise self._error(entry, f"this joint action is given twice, first on line {lines[joint]}")
            lines[joint] = _line(entry)
            values = [self._number(each) for each in self._each(keys["payoffs"], players, "payoffs")]
            for player, value in enumerate(values):
                payoffs[(player, *joint)] = value
        for joint in np.ndindex(*shape):
            if joint not in lines:
                named = ", ".join(names[a] for names, a in zip(actions, joint, strict=True))
                cells = math.prod(shape)
                raise self._error(node, f"{cells - len(lines)} of {cells} joint actions lack an outcome: ({named})")
        return payoffs

    def _actions(self, node: yaml.Node, players: list[str] | None) -> list[list[str]]:
        return [self._texts(each, "actions") for each in self._each(node, players, "actions")]

    def _each(self, node: yaml.Node, players: list[str] | None, what: str) -> list[yaml.Node]:
        """One node for each player: from a mapping of their names, or a list in their order."""
        if isinstance(node, yaml.MappingNode) and players is not None:
            keys = self._mapping(node, what)
            for name in [*players, *keys]:
                if name not in keys:
                    raise self._error(node, f"{what} of player {name!r} are missing")
                if name not in players:
                    raise self._error(keys[name], f"{name!r} is none of the players {', '.join(players)}")
            return [keys[name] for name in players]
        items = self._list(node, what)
        if not items or (players is not None and len(items) != len(players)):
            wanted = "at least one player" if players is None else f"{len(players)} players"
            raise self._error(node, f"{what} are given for {len(items)} players, the game has {wanted}")
        return items

    def _index(self, node: yaml.Node, player: str, names: list[str]) -> int:
        text = self._scalar(node, "an action")
        if text not in names:
            raise self._error(node, f"{text!r} is none of the actions of {player!r}: {', '.join(names)}")
        return names.index(text)

    def _mapping(self, node: yaml.Node, what: str, known: Sequence[str] | None = None) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, f"{what} is a mapping of names to values")
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self._scalar(key, "a key")
            if name in found:
                raise self._error(key, f"{name!r} is given twice")
            if known is not None and name not in known:
                raise self._error(key, f"{name!r} is none of {', '.join(known)}")
            found[name] = value
        return found

    def _list(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(node, f"{what} must be a list here")
        return list(node.value)

    def _texts(self, node: yaml.Node, what: str) -> list[str]:
        return [self._scalar(each, f"each of the {what}") for each in self._list(node, what)]

    def _scalar(self, node: yaml.Node, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            raise self._error(node, f"{what} must be a text or a number")
        return str(node.value)

    def _number(self, node: yaml.Node) -> float:
        text = self._scalar(node, "a payoff")
        try:
            return number(text)
        except ValueError as error:
            raise self._error(node, f"{text!r} is no payoff: {error}") from error

    def _error(self, node: yaml.Node, problem: str) -> InvalidInput:
        return InvalidInput(f"{self._name}:{_line(node)}: {problem}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
