"""What the cells of one column of a file mean: a number, one of a few levels, or nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cogorch_dagster.causal.data.dataset import Floats, Kind
from cogorch_dagster.errors import InvalidInput

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
"""Texts that say that a value is missing, in any case."""

MOST_INTEGER_LEVELS = 10
MOST_LEVELS = 50

_NUMBERS = 0.9


@dataclass(frozen=True, eq=False)
class Parsed:
    """A column: numbers, or the codes of its levels; too many levels make it useless."""

    kind: Kind
    values: Floats
    levels: tuple[str, ...]


def text_of(cell: Any) -> str:
    """A cell of CSV, JSON or Parquet as text: "" when it is missing, `true` and `false` in small letters."""
    if cell is None:
        return ""
    text = str(cell).strip()
    lower = text.lower()
    return "" if lower in MISSING else lower if lower in {"true", "false"} else text


def parsed(name: str, texts: Sequence[str], lines: Sequence[int], kind: Kind | None = None) -> Parsed:
    """Numbers are continuous, except integers with at most 10 different values; these and texts are discrete.

    Levels are in the order of numbers, or of the alphabet.

    Args:
        texts: by row, "" where missing.
        lines: of the file, for messages.
        kind: what the column is, whatever it looks like.

    Raises:
        InvalidInput: a text among numbers, or an infinite number; names line and column.
    """
    numbers, strange = _numbers(texts)
    known = sum(1 for text in texts if text)
    numeric = known > 0 and len(strange) <= (1 - _NUMBERS) * known
    if strange and (kind == "continuous" or (kind is None and numeric)):
        row = strange[0]
        raise InvalidInput(
            f"line {lines[row]}, column {name!r}: {texts[row]!r} is no number as the others are; "
            "correct it or leave it empty"
        )
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite) and not strange:
        row = int(infinite[0])
        raise InvalidInput(f"line {lines[row]}, column {name!r}: {texts[row]} is not finite; leave it empty")
    whole = not strange and bool(np.all((numbers == np.round(numbers)) | np.isnan(numbers)))
    few = whole and len(np.unique(numbers[~np.isnan(numbers)])) <= MOST_INTEGER_LEVELS
    if kind == "continuous" or (kind is None and not strange and not few):
        return Parsed("continuous", numbers, ())
    if strange:
        return _coded(texts)
    # 1, 1.0 and 01 are one level.
    return _coded(["" if math.isnan(x) else f"{x:.15g}" for x in numbers.tolist()])


def _numbers(texts: Sequence[str]) -> tuple[Floats, list[int]]:
    """The numbers, NaN elsewhere, and the rows that hold another text."""
    try:
        return np.array([text or "nan" for text in texts], dtype=np.float64), []
    except ValueError:
        found = np.full(len(texts), np.nan)
        strange = []
        for row, text in enumerate(texts):
            try:
                found[row] = float(text) if text else np.nan
            except ValueError:
                strange.append(row)
        return found, strange


def _coded(texts: Sequence[str]) -> Parsed:
    levels = sorted({text for text in texts if text}, key=_key)
    code = {level: float(place) for place, level in enumerate(levels)} | {"": math.nan}
    return Parsed("discrete", np.array([code[text] for text in texts], dtype=np.float64), tuple(levels))


def _key(level: str) -> tuple[float, str]:
    try:
        return float(level), level
    except ValueError:
        return math.inf, level
