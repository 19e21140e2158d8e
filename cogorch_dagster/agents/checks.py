"""Bounds of the agents' settings, the device they ask for, and what a saved part must look like.

A rule that only one algorithm has belongs in that algorithm's file.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cogorch_dagster.errors import InvalidInput


def whole(name: str, value: int, low: int, high: int) -> None:
    """Raise InvalidInput unless `value` is an integer in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput(f"{name} must be a whole number from {low} to {high}, got {value!r}")


def number(name: str, value: float, low: float, high: float, *, above: bool = False) -> None:
    """Raise InvalidInput unless `value` is a finite number in [low, high], or in (low, high] with `above`."""
    fits = isinstance(value, int | float) and math.isfinite(value) and low <= value <= high
    if not fits or (above and value == low):
        raise InvalidInput(f"{name} must lie {'above' if above else 'from'} {low:g} to {high:g}, got {value!r}")


def widths(name: str, value: tuple[int, ...]) -> None:
    """Raise InvalidInput unless `value` names 1 to 8 hidden layers of 1 to 65536 units."""
    if not 1 <= len(value) <= 8:
        raise InvalidInput(f"{name} must name 1 to 8 layers, got {len(value)}")
    for width in value:
        whole(f"each layer of {name}", width, 1, 65_536)


def chosen_device(name: str) -> torch.device:
    """The device of that name; `auto` is the GPU where there is one, else the CPU.

    Raises:
        InvalidInput: torch knows no such device, or has none here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InvalidInput(f"device {name!r} cannot be used here: {error}; use auto or cpu") from error
    return device


def part(parts: Mapping[str, Any], name: str) -> Any:
    """The part of that name.

    Raises:
        InvalidInput: there is none.
    """
    if name not in parts:
        raise InvalidInput(f"the saved agent has no part {name!r}; it was saved by another algorithm or version")
    return parts[name]


def copy_into(target: Tensor, parts: Mapping[str, Any], name: str) -> None:
    """Overwrite `target` with the saved tensor of that name.

    Raises:
        InvalidInput: it is missing, no tensor, or of another shape or type.
    """
    saved = part(parts, name)
    if not isinstance(saved, Tensor) or saved.shape != target.shape or saved.dtype != target.dtype:
        found = f"{saved.dtype} {list(saved.shape)}" if isinstance(saved, Tensor) else type(saved).__name__
        raise InvalidInput(
            f"part {name!r} of the saved agent is {found}, this configuration needs {target.dtype} "
            f"{list(target.shape)}; restore it with the configuration it was saved with"
        )
    with torch.no_grad():
        target.copy_(saved)
