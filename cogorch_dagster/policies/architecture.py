"""The architecture of an agent's network in a document: layers and widths, activation, dropout.

A running agent cannot take these over: its weights are of the old shape. They take effect with its next training.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from cogorch_dagster.policies.parameter import Level, Parameter, check_level, widen

NAMES = ("hidden", "activation", "dropout")

Activation = Literal["relu", "silu", "tanh"]
Hidden = Annotated[
    list[Annotated[int, Field(ge=4, le=1024)]],
    Field(min_length=1, max_length=4, description="Units of the hidden layers, the first to the last."),
]
DROPOUT = Parameter(
    "dropout",
    "linear",
    wide=(0, 0.5),
    standard=(0, 0.3),
    strict=(0, 0.2),
    steps=(0.05, 0.15, 0.5),
    search=(0, 0.3),
    meaning="Share of the hidden units that are left out of a step of training.",
)

# At strict, standard and wide.
LAYERS: dict[Level, tuple[int, int]] = {"strict": (1, 3), "standard": (1, 4), "wide": (1, 4)}
WIDTHS: dict[Level, tuple[int, int]] = {"strict": (16, 256), "standard": (8, 512), "wide": (4, 1024)}
# Largest steps: layers more or fewer; factor of the units of all hidden layers together.
LAYER_STEP: dict[Level, int] = {"strict": 1, "standard": 2, "wide": 3}
UNITS_STEP: dict[Level, float] = {"strict": 2, "standard": 4, "wide": 16}


def out_of_bounds(candidate: Mapping[str, Any], level: Level, current: Mapping[str, Any] | None = None) -> list[str]:
    """What of a valid architecture a level does not allow, each with value, bound, level and remedy.

    Args:
        current: the valid one in force, if any; see `Parameter.out_of_bounds`.
    """
    hidden: Sequence[int] = candidate["hidden"]
    (fewest, most), (least, largest) = LAYERS[check_level(level)], WIDTHS[level]
    found = []
    if not fewest <= len(hidden) <= most:
        found.append(f"hidden has {len(hidden)} layers; level {level} allows {fewest} to {most}{widen(level)}")
    if wrong := [width for width in hidden if not least <= width <= largest]:
        shown = ", ".join(map(str, wrong))
        found.append(f"hidden has widths {shown}; level {level} allows {least} to {largest}{widen(level)}")
    before = None if current is None else current["dropout"]
    dropout = DROPOUT.out_of_bounds(candidate["dropout"], level, before)
    return [*found, *([dropout] if dropout else [])]


def too_large_steps(current: Mapping[str, Any], candidate: Mapping[str, Any], level: Level) -> list[str]:
    """Which steps from one valid architecture to another a level does not allow, in the same manner.

    At `strict` the activation stays: there is no small step from one to another.
    """
    before, after = current["hidden"], candidate["hidden"]
    layers, factor = LAYER_STEP[check_level(level)], UNITS_STEP[level]
    found = []
    if abs(len(after) - len(before)) > layers:
        found.append(
            f"hidden has {len(after)} layers, {len(before)} in force: the largest step at level {level} is {layers} "
            f"more or fewer{widen(level)}"
        )
    if not sum(before) / factor <= sum(after) <= sum(before) * factor:
        found.append(
            f"hidden has {sum(after)} units in all, {sum(before)} in force: the largest step at level {level} is "
            f"x{factor:g}{widen(level)}"
        )
    if level == "strict" and candidate["activation"] != current["activation"]:
        found.append(
            f"activation {candidate['activation']} is another than the {current['activation']} in force, which level "
            f"strict keeps{widen(level)}"
        )
    dropout = DROPOUT.too_large_step(current["dropout"], candidate["dropout"], level)
    return [*found, *([dropout] if dropout else [])]
