"""Which slices explain a change of a mean: how much comes from the mix of traffic, how much from within each slice.

For slices s with shares p and means m the change of the total is split as by Kitagawa (Journal of the American
Statistical Association 50, 1955), p̄ and m̄ being the averages of before and after:

    M' − M = Σ_s (p'_s − p_s)·(m̄_s − M̄)  +  Σ_s p̄_s·(m'_s − m_s)

The two sums are the mix and the within part; they add up to the change exactly, slice by slice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Slices are named until they explain this share of the change, but never more than so many.
MOST_OF_IT = 0.5
MOST_SLICES = 3


@dataclass(frozen=True)
class Slice:
    """Weight of a slice's rows in a period and their mean."""

    weight: float
    mean: float


@dataclass(frozen=True)
class Contribution:
    """What one slice adds to the change, in the units of the mean. `share_*` are its shares of the traffic."""

    value: str
    mix: float
    within: float
    share_before: float
    share_after: float
    mean_before: float | None
    mean_after: float | None

    @property
    def total(self) -> float:
        return self.mix + self.within


@dataclass(frozen=True)
class Explanation:
    """A change seen along one dimension.

    Attributes:
        change: of the mean, after minus before.
        slices: every slice, the one that explains most first; their totals add up to the change.
        named: how many of the first slices are worth naming.
        explained: share of the change that these explain; beyond 1 where other slices work against it.
        concentration: `explained` less the share of the traffic of the named slices: 0 when all slices changed alike.
    """

    dimension: str
    change: float
    slices: tuple[Contribution, ...]
    named: int
    explained: float
    concentration: float


def decompose(before: Mapping[str, Slice], after: Mapping[str, Slice]) -> list[Contribution]:
    """The contribution of every slice; empty when a period has no weight.

    A slice that only one period has brings its whole effect by the mix.
    """
    weight_before, weight_after = _weight(before), _weight(after)
    if weight_before <= 0 or weight_after <= 0:
        return []
    total = (_mean(before, weight_before) + _mean(after, weight_after)) / 2
    found = []
    for value in sorted({*before, *after}):
        old, new = before.get(value), after.get(value)
        p, q = (old.weight / weight_before if old else 0.0), (new.weight / weight_after if new else 0.0)
        m = old.mean if old else new.mean if new else 0.0
        n = new.mean if new else m
        found.append(
            Contribution(
                value=value,
                mix=(q - p) * ((m + n) / 2 - total),
                within=(p + q) / 2 * (n - m),
                share_before=p,
                share_after=q,
                mean_before=old.mean if old else None,
                mean_after=new.mean if new else None,
            )
        )
    return found


def explain(dimension: str, before: Mapping[str, Slice], after: Mapping[str, Slice]) -> Explanation | None:
    """The change along one dimension; None when it has fewer than two slices or there is no change."""
    slices = decompose(before, after)
    change = sum(each.total for each in slices)
    if len(slices) < 2 or abs(change) < 1e-12:
        return None
    ordered = sorted(slices, key=lambda each: -each.total / change)
    named, explained, traffic = 0, 0.0, 0.0
    for each in ordered[:MOST_SLICES]:
        if explained >= MOST_OF_IT or each.total / change <= 0:
            break
        named += 1
        explained += each.total / change
        traffic += (each.share_before + each.share_after) / 2
    return Explanation(dimension, change, tuple(ordered), named, explained, min(explained, 1.0) - traffic)


def ranked(explanations: Sequence[Explanation | None]) -> list[Explanation]:
    """Those along which the change is most concentrated first."""
    return sorted((each for each in explanations if each is not None), key=lambda each: -each.concentration)


def _weight(slices: Mapping[str, Slice]) -> float:
    return sum(each.weight for each in slices.values())


def _mean(slices: Mapping[str, Slice], weight: float) -> float:
    return sum(each.weight * each.mean for each in slices.values()) / weight
