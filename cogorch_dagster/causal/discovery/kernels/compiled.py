"""The one decorator of compiled functions: machine code is kept beside the source, and the next process loads it."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import config, njit

from cogorch_dagster.causal.discovery.machine_code import KERNELS, folder

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The function compiled at its first call, without fast-math: the same input gives the same bytes."""
    found: Callable[Parameters, Result] = njit(cache=True)(function)
    return found


# A folder that somebody chose stays; one that cannot be written numba replaces by one of the user's.
if not getattr(config, "CACHE_DIR", ""):
    setattr(config, "CACHE_DIR", str(folder(KERNELS)))  # noqa: B010  the module has no types
