"""The one decorator of compiled functions: machine code is kept beside the source, and the next process loads it.

numba asks only whether the file of a function has changed, not those that the function calls into. So all machine code
lies in a folder named by the digest of all kernels: when one of them changes, all are compiled anew.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from numba import config, njit

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_PREFIX = "machine-code-"


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The function compiled at its first call, without fast-math: the same input gives the same bytes."""
    found: Callable[Parameters, Result] = njit(cache=True)(function)
    return found


def folder(kernels: Path) -> Path:
    """Where the machine code of these sources lies; that of earlier ones is removed."""
    digest = hashlib.sha256()
    for source in sorted(kernels.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    found = kernels / "__pycache__" / f"{_PREFIX}{digest.hexdigest()[:16]}"
    for old in found.parent.glob(f"{_PREFIX}*"):
        if old != found:
            shutil.rmtree(old, ignore_errors=True)
    return found


# A folder that somebody chose stays; one that cannot be written numba replaces by one of the user's.
if not getattr(config, "CACHE_DIR", ""):
    setattr(config, "CACHE_DIR", str(folder(Path(__file__).parent)))  # noqa: B010  the module has no types
