"""Where the machine code of the kernels is kept, and whether it is there already.

numba asks only whether the file of a function has changed, not those that the function calls into. So all machine code
lies in a folder named by the digest of all kernels: when one of them changes, all are compiled anew.
"""

import hashlib
import shutil
from pathlib import Path

KERNELS = Path(__file__).parent / "kernels"
_PREFIX = "machine-code-"


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


def is_there() -> bool:
    """Whether the kernels as they are have been compiled before, some of them at least."""
    return folder(KERNELS).is_dir()
