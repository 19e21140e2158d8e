"""Where the pictures of a command go: refused before anything long begins, written once there is something to draw."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Image = Literal["png", "svg", "pdf"]
IMAGES: tuple[Image, ...] = ("png", "svg", "pdf")


def require_image(plot: Path | None, images: Sequence[str] = ("png",)) -> None:
    """Refuse another ending, and a place that cannot be written to.

    Raises:
        InvalidInput: either.
    """
    import os

    from cogorch_dagster.errors import InvalidInput, reason_of

    if plot is None:
        return
    if plot.suffix.removeprefix(".") not in images:
        raise InvalidInput(f"{plot} must end in {', '.join('.' + each for each in images)}")
    try:
        taken, there = plot.is_dir(), plot.parent.is_dir()
    except OSError as error:
        raise InvalidInput(f"{plot} cannot be written: {reason_of(error)}") from error
    if taken or not there or not os.access(plot.parent, os.W_OK):
        why = "it is a folder" if taken else f"{plot.parent} is no folder, or not yours to write to"
        raise InvalidInput(f"{plot} cannot be written: {why}")


def image_of(plot: Path) -> Image:
    """The format that the ending names, which `require_image` has checked."""
    return plot.suffix.removeprefix(".")  # type: ignore[return-value]


def require_folder(folder: Path | None) -> None:
    """Refuse a folder that cannot be written to; makes it where it is missing.

    Raises:
        InvalidInput: it cannot be made or written to.
    """
    import os

    from cogorch_dagster.errors import InvalidInput, reason_of

    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"pictures cannot be written to {folder}: {reason_of(error)}; name another folder"
        ) from error
    if not os.access(folder, os.W_OK):
        raise InvalidInput(f"pictures cannot be written to {folder}; name another folder, or allow writing there")


def write_picture(path: Path, picture: bytes) -> None:
    """Write a picture; an error names the path.

    Raises:
        InvalidInput: the file cannot be written.
    """
    from cogorch_dagster.errors import InvalidInput, reason_of

    try:
        path.write_bytes(picture)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {reason_of(error)}") from error
