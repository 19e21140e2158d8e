"""Successive rejects: which of some arms is the best, by few noisy trials of each, and what is to be tried next.

Audibert, Bubeck and Munos 2010, "Best arm identification in multi-armed bandits", figure 3. Halving (Karnin, Koren and
Somekh 2013) drops half of the arms after the first look; this drops one at a time, which wastes nothing where arms are
few and a look is noisy. Where an arm stands is a function of what was measured, so that nothing else has to be kept.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cogorch_dagster.errors import InvalidInput

_TOPS = {"finalists": 50, "trainings": 100}


@dataclass(frozen=True)
class Selection:
    """How a winner is chosen among the best trials of a search.

    Attributes:
        finalists: trials of the best scores, beside what is in force, 1 to 50.
        trainings: of a finalist on average, at most, 1 to 100; who stays longer has more, who is dropped first fewer.

    Raises:
        InvalidInput: a number is outside of its range.
    """

    finalists: int = 4
    trainings: int = 4

    def __post_init__(self) -> None:
        for name, top in _TOPS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= top:
                raise InvalidInput(f"{name} of a selection must be a whole number from 1 to {top}, got {value!r}")

    def lengths(self, arms: int) -> tuple[int, ...]:
        """For `contest`, with so many arms, what is in force included."""
        return lengths(arms, arms * self.trainings)


DEFAULT = Selection()


def selection_of(finalists: int, trainings: int) -> Selection | None:
    """The selection of two options; None for no finalists: the best score wins. Raises InvalidInput as `Selection`."""
    return None if finalists == 0 else Selection(finalists, trainings)


@dataclass(frozen=True)
class Contest:
    """Where a contest stands.

    Attributes:
        left: arms that are still in it, the best mean first; one of them, or none, at the end.
        dropped: the others, with the looks at each that counted, in the order in which they were dropped.
        open: what has to be measured before anything more can be said, each an arm and the number of a look.
    """

    left: tuple[int, ...]
    dropped: Mapping[int, int]
    open: tuple[tuple[int, int], ...]

    @property
    def winner(self) -> int | None:
        """None while something is open, and where all arms failed."""
        return self.left[0] if len(self.left) == 1 and not self.open else None


def lengths(arms: int, budget: int) -> tuple[int, ...]:
    """Looks at each arm that is left at the end of each of the arms - 1 phases, n_1 <= n_2 and so on.

    Args:
        arms: 1 or more.
        budget: looks at all of them together, as many as arms or more; at most so many are made.

    Raises:
        InvalidInput: a number is too small.
    """
    if arms < 1 or budget < arms:
        raise InvalidInput(f"a contest needs 1 or more arms and a look at each, got {arms} arms and {budget} looks")
    scale = 0.5 + sum(1 / place for place in range(2, arms + 1))
    # With a look at each arm and no more, the formula has none.
    return tuple(max(1, math.ceil((budget - arms) / (scale * (arms + 1 - phase)))) for phase in range(1, arms))


def most_looks(lengths: Sequence[int]) -> int:
    """Looks that a contest of these lengths makes where no arm fails."""
    return sum(lengths) + (lengths[-1] if lengths else 0)


def contest(arms: Sequence[int], lengths: Sequence[int], found: Mapping[int, Mapping[int, float | None]]) -> Contest:
    """Where a contest stands, by what was measured so far, in whatever order it was.

    After each phase the arm of the lowest mean is dropped; of equal ones the latest. An arm that failed is out, in
    place of one that would have been dropped.

    Args:
        arms: distinct; of equal ones the earlier is preferred.
        lengths: as `lengths` has them, one for each arm but one.
        found: by arm and number of the look, from 0, what was seen; None: the arm failed.
    """
    left, dropped = list(arms), dict[int, int]()
    for phase, length in enumerate(lengths, start=1):
        if len(left) < 2:
            break
        for arm in [each for each in left if _failed(found, each, length)]:
            left.remove(arm)
            dropped[arm] = sum(found[arm].get(look) is not None for look in range(length))
        # Looked at even where it is alone by now: it may fail too.
        missing = tuple((arm, look) for look in range(length) for arm in left if look not in found.get(arm, {}))
        left.sort(key=lambda arm: (-_mean(found.get(arm, {}), length), arms.index(arm)))
        if missing:
            return Contest(tuple(left), dropped, missing)
        while len(left) > len(arms) - phase:
            dropped[left.pop()] = length
    return Contest(tuple(left), dropped, ())


def _failed(found: Mapping[int, Mapping[int, float | None]], arm: int, length: int) -> bool:
    return any(look < length and seen is None for look, seen in found.get(arm, {}).items())


def _mean(seen: Mapping[int, float | None], length: int) -> float:
    values = [value for look, value in seen.items() if look < length and value is not None]
    return math.fsum(values) / len(values) if values else -math.inf
