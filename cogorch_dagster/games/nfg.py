"""Gambit's strategic games, .nfg, in both versions: payoffs in order, or outcomes and which joint action has which.

The format is described in Gambit's manual, "Game representation formats". Joint actions are listed with the first
player's action changing fastest. Not here: other forms of files (`files`).
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NoReturn

import numpy as np

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.games.payoffs import MOST_ENTRIES, MOST_PLAYERS, Floats, Game, named_game

_TOKEN = re.compile(r'(?P<space>[\s,]+)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<brace>[{}])|(?P<word>[^\s,"{}]+)', re.DOTALL)
_LONGEST_NUMBER = 100
_LARGEST_EXPONENT = 400


@dataclass(frozen=True)
class _Token:
    kind: str  # text, brace, word or end
    value: str
    line: int


def parse_nfg(text: str, name: str) -> Game:
    """The game in the text of an .nfg file.

    Strategies without a name are numbered, and so are players; outcome 0 gives everybody 0, as in Gambit.

    Args:
        name: of the file, for messages.

    Raises:
        InvalidInput: not in the format, or not a game; the message says `name:line: problem`.
    """
    return _Parser(text, name).game()


def number(text: str) -> float:
    """A payoff as files write it: an integer, a decimal with or without exponent, or a fraction such as 1/3.

    Raises:
        ValueError: none of these, or longer than 100 characters.
    """
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number has at most {_LONGEST_NUMBER} characters")
    exponent = re.search(r"[eE]([+-]?\d+)$", text)
    if exponent and abs(int(exponent[1])) > _LARGEST_EXPONENT:
        raise ValueError(f"an exponent is at most {_LARGEST_EXPONENT}")
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise ValueError("a payoff is a finite number such as 3, -0.5, 1e3 or 1/3") from error


class _Parser:
    """Reads tokens one after the other; every complaint names the line of the one in hand."""

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._tokens = self._split(text)
        self._next = next(self._tokens)

    def game(self) -> Game:
        self._header()
        players = [each or str(k + 1) for k, each in enumerate(self._texts("players"))]
        if len(players) > MOST_PLAYERS:
            self._fail(f"the game has {len(players)} players, at most {MOST_PLAYERS} are supported")
        line = self._next.line
        actions = self._strategies(len(players))
        shape = tuple(len(own) for own in actions)
        cells = math.prod(shape)
        if self._next.kind == "text":  # a comment
            self._take()
        flat = self._outcomes(len(players), cells) if self._is("{") else self._payoffs(len(players), cells)
        if self._next.kind != "end":
            self._fail(f"the game is complete, but {self._next.value!r} follows")
        # The first player's action changes fastest: Fortran's order.
        payoffs = np.stack([own.reshape(shape, order="F") for own in flat.T])
        try:
            return named_game(payoffs, players, actions)
        except InvalidInput as error:
            raise InvalidInput(f"{self._name}:{line}: {error}") from error

    def _header(self) -> None:
        for expected in (("NFG",), ("1",), ("R", "D")):
            if self._next.kind != "word" or self._next.value not in expected:
                self._fail(f"a game of Gambit begins with `NFG 1 R`, got {self._next.value!r}")
            self._take()
        if self._next.kind != "text":
            self._fail(f"after `NFG 1 R` comes the title in quotes, got {self._next.value!r}")
        self._take()

    def _strategies(self, players: int) -> list[list[str]]:
        """Names in braces for each player, or only how many there are."""
        self._expect("{", "the strategies of the players")
        actions: list[list[str]] = []
        entries = players
        while not self._is("}"):
            names = self._texts("strategies") if self._is("{") else None
            count = (
                self._count("strategies are names in braces or a count", 1, MOST_ENTRIES)
                if names is None
                else len(names)
            )
            entries *= count
            if entries > MOST_ENTRIES:
                self._fail(f"the game has {entries:,} payoffs or more, at most {MOST_ENTRIES:,} are supported")
            actions.append([each or str(k + 1) for k, each in enumerate(names or [""] * count)])
        if len(actions) != players:
            self._fail(f"strategies of {len(actions)} players are given, the game has {players}")
        self._take()
        return actions

    def _payoffs(self, players: int, cells: int) -> Floats:
        """The payoff version: [cells, players]."""
        values = np.empty(cells * players)
        for k in range(len(values)):
            values[k] = self._number(f"payoff {k + 1} of {len(values)}")
        return values.reshape(cells, players)

    def _outcomes(self, players: int, cells: int) -> Floats:
        """The outcome version: [cells, players]."""
        self._take()
        outcomes = [[0.0] * players]
        while not self._is("}"):
            self._expect("{", "an outcome")
            if self._next.kind == "text":
                self._take()
            outcomes.append([self._number(f"a payoff of outcome {len(outcomes)}") for _ in range(players)])
            self._expect("}", f"the end of outcome {len(outcomes) - 1} after {players} payoffs")
        self._take()
        chosen = np.empty(cells, dtype=np.int64)
        for k in range(cells):
            last = len(outcomes) - 1
            chosen[k] = self._count(f"joint action {k + 1} of {cells} needs an outcome from 0 to {last}", 0, last)
        return np.array(outcomes)[chosen]

    def _texts(self, what: str) -> list[str]:
        self._expect("{", f"the names of the {what}")
        found = []
        while not self._is("}"):
            token = self._take()
            if token.kind != "text":
                self._fail(f"names of {what} stand in quotes, got {_shown(token)}", token.line)
            found.append(re.sub(r"\\(.)", r"\1", token.value[1:-1]))
        self._take()
        if not found:
            self._fail(f"there must be at least one of the {what}")
        return found

    def _number(self, what: str) -> float:
        token = self._take()
        if token.kind != "word":
            self._fail(f"{what} is missing, got {_shown(token)}", token.line)
        try:
            return number(token.value)
        except ValueError as error:
            self._fail(f"{what} is {token.value!r}: {error}", token.line)

    def _count(self, rule: str, least: int, most: int) -> int:
        token = self._take()
        whole = token.kind == "word" and token.value.isdecimal() and len(token.value) <= 9
        if not whole or not least <= int(token.value) <= most:
            self._fail(f"{rule}, got {_shown(token)}", token.line)
        return int(token.value)

    def _expect(self, brace: str, what: str) -> None:
        token = self._take()
        if token.kind != "brace" or token.value != brace:
            self._fail(f"expected {brace!r} for {what}, got {_shown(token)}", token.line)

    def _is(self, brace: str) -> bool:
        return self._next.kind == "brace" and self._next.value == brace

    def _take(self) -> _Token:
        token = self._next
        if token.kind != "end":
            self._next = next(self._tokens)
        return token

    def _fail(self, problem: str, line: int | None = None) -> NoReturn:
        raise InvalidInput(f"{self._name}:{line or self._next.line}: {problem}")

    def _split(self, text: str) -> Iterator[_Token]:
        line, position = 1, 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise InvalidInput(f"{self._name}:{line}: a text in quotes has no end")
            if match.lastgroup != "space":
                yield _Token(str(match.lastgroup), match[0], line)
            line += match[0].count("\n")
            position = match.end()
        yield _Token("end", "", line)


def _shown(token: _Token) -> str:
    return repr(token.value) if token.value else "the end of the file"
