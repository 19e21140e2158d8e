"""Formulas of probabilities, as a tree and as text; what they are of is decided in `general`.

Text is plain: `sum_{m} P(m | t) sum_{t'} P(y | m, t') P(t')`. A summed variable whose name is already in use gets a
prime.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cogorch_dagster.causal.effects.identification.admg import Set, bits


@dataclass(frozen=True)
class Conditional:
    """P(of | given) of the data."""

    of: int
    given: Set

    @property
    def free(self) -> Set:
        return self.given | 1 << self.of


@dataclass(frozen=True)
class Product:
    parts: "tuple[Formula, ...]"

    @property
    def free(self) -> Set:
        return _free(self.parts)


@dataclass(frozen=True)
class Sum:
    over: Set
    body: "Formula"

    @property
    def free(self) -> Set:
        return self.body.free & ~self.over


@dataclass(frozen=True)
class Ratio:
    top: "Formula"
    bottom: "Formula"

    @property
    def free(self) -> Set:
        return self.top.free | self.bottom.free


Formula = Conditional | Product | Sum | Ratio


def _free(parts: tuple[Formula, ...]) -> Set:
    found = 0
    for each in parts:
        found |= each.free
    return found


def summed(over: Set, parts: list[Formula], heads: Mapping[int, int]) -> Formula:
    """The sum of the product of factors, without what sums to one.

    Args:
        heads: place of a factor to the variable whose distribution it is: summed over that, it is one.
    """
    kept = dict(enumerate(parts))
    while True:
        gone = next((place for place in kept if _is_one(place, over, kept, heads)), None)
        if gone is None:
            break
        over &= ~(1 << heads[gone])
        del kept[gone]
    inside = tuple(each for each in kept.values() if each.free & over)
    outside = tuple(each for each in kept.values() if not each.free & over)
    body = product(inside)
    return product((*outside, Sum(over, body))) if inside else product(outside)


def _is_one(place: int, over: Set, kept: Mapping[int, Formula], heads: Mapping[int, int]) -> bool:
    if place not in heads or not over >> heads[place] & 1:
        return False
    return not any(each.free >> heads[place] & 1 for other, each in kept.items() if other != place)


def product(parts: tuple[Formula, ...]) -> Formula:
    return parts[0] if len(parts) == 1 else Product(parts)


def text(formula: Formula, names: tuple[str, ...]) -> str:
    """The formula in plain text."""
    return _text(formula, {place: names[place] for place in bits(formula.free)}, names)


def _text(formula: Formula, labels: dict[int, str], names: tuple[str, ...]) -> str:
    match formula:
        case Conditional(of, given):
            condition = ", ".join(labels[each] for each in bits(given))
            return f"P({labels[of]} | {condition})" if condition else f"P({labels[of]})"
        case Product(parts):
            # A sum reaches to the end of its product: it comes last, and in brackets where there are two.
            plain = [each for each in parts if not isinstance(each, Sum)]
            sums = [each for each in parts if isinstance(each, Sum)]
            told = [_text(each, labels, names) for each in plain]
            told += [f"[{_text(each, labels, names)}]" for each in sums[:-1]]
            told += [_text(each, labels, names) for each in sums[-1:]]
            return " ".join(told) if told else "1"
        case Sum(over, body):
            inner = dict(labels)
            for each in bits(over):
                inner[each] = _unused(names[each], set(labels.values()))
            return f"sum_{{{', '.join(inner[each] for each in bits(over))}}} {_text(body, inner, names)}"
        case Ratio(top, bottom):
            return f"([{_text(top, labels, names)}] / [{_text(bottom, labels, names)}])"


def _unused(name: str, used: set[str]) -> str:
    while name in used:
        name += "'"
    return name
