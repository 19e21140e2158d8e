"""The architectures that a search may try: layers, widths, activation, dropout, alone or with the hyperparameters.

Bounds and largest steps are those of the policy's level of strictness (`policies/architecture.py`); how one number
varies is `tuning/dimension.py`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies import ranges
from cogorch_dagster.policies.architecture import DROPOUT, LAYER_STEP, LAYERS, UNITS_STEP, WIDTHS, Activation
from cogorch_dagster.policies.parameter import Level
from cogorch_dagster.tuning.dimension import Choice, Dimension
from cogorch_dagster.tuning.space import Space, searched, space_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

# Beyond them the fleet's small states are learned from no better, only slower.
WIDTH_SEARCH = (16, 256)


@dataclass(frozen=True)
class ArchitectureSpace:
    """A space whose trials have `layers`, of the widths `width1` to `width4` as far as there are layers.

    Attributes:
        space: the dimensions, and the complete params that the others are taken from.
    """

    space: Space

    def distributions(self) -> "dict[str, BaseDistribution]":
        """For Optuna, by name."""
        return self.space.distributions()

    def params(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The complete params of what was sampled."""
        found = self.space.of_internal(values)
        widths = [found.pop(name) for name in [name for name in found if name.startswith("width")]]
        return found | {"hidden": widths[: found.pop("layers")]}

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return self.space.document()

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "ArchitectureSpace":
        """What `document` was called on."""
        return cls(Space.from_document(document))


def architecture_space(
    kind: str, level: Level, current: Mapping[str, Any], *, joint: bool = False, free: bool = False
) -> ArchitectureSpace:
    """The architectures of a kind that may be proposed after `current` at a level.

    Args:
        kind: dqn, a2c, ppo or ddpg.
        level: of strictness.
        current: complete params of the version in force; what is not searched stays as in them.
        joint: search the hyperparameters too, as of `space_of`.
        free: whether steps of any size count, for a search whose result is not proposed as the next version.

    Raises:
        InvalidInput: an unknown kind or level, or `current` is not valid.
    """
    if problems := ranges.invalid(kind, current):
        raise InvalidInput(f"the {kind} params to search around are not valid: {'; '.join(problems)}")
    if level not in LAYERS:
        raise InvalidInput(f"level {level!r} is unknown; the levels are {', '.join(LAYERS)}")
    layers = _layers(level, None if free else len(current["hidden"]))
    narrow, wide = _widths(level, layers, None if free else sum(current["hidden"]))
    numeric = space_of(kind, level, current, free=free).dimensions if joint else ()
    dimensions = (
        Dimension("layers", *layers, whole=True),
        *(Dimension(f"width{layer}", narrow, wide, "log", whole=True) for layer in range(1, layers[1] + 1)),
        *([Choice("activation", get_args(Activation))] if free or level != "strict" else []),
        Dimension("dropout", *searched(DROPOUT, level, None if free else current["dropout"])),
        *numeric,
    )
    return ArchitectureSpace(Space(dimensions, dict(current)))


def _layers(level: Level, before: int | None) -> tuple[int, int]:
    """Fewest and most layers: two different numbers, as 1 to 3 or 4 layers and a step of at least one allow."""
    fewest, most = LAYERS[level]
    if before is None:
        return fewest, most
    return max(fewest, before - LAYER_STEP[level]), min(most, before + LAYER_STEP[level])


def _widths(level: Level, layers: tuple[int, int], before: int | None) -> tuple[int, int]:
    """The ends of every width, such that any number of layers keeps to the largest step of the units of them all."""
    (least, largest), (fewest, most) = WIDTHS[level], layers
    narrow, wide = max(least, WIDTH_SEARCH[0]), min(largest, WIDTH_SEARCH[1])
    if before is None:
        return narrow, wide
    low, high = math.ceil(before / UNITS_STEP[level] / fewest), math.floor(before * UNITS_STEP[level] / most)
    # Where nothing is left, the result says that its best is too far.
    low, high = max(narrow, low), min(wide, high)
    return (low, high) if low < high else (narrow, wide)
