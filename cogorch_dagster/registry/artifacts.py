"""The files of versions, in the lake: where they lie, written once, checked each time they are read."""

import hashlib
from collections.abc import Mapping

from cogorch_dagster.errors import InvalidInput, Refused, Unavailable
from cogorch_dagster.lake import blobs
from cogorch_dagster.registry import formats
from cogorch_dagster.registry.records import Artifact, Registered
from cogorch_dagster.settings import Settings

FOLDER, FILES = "registry", "artifacts"


def folder_of(name: str, run: str) -> str:
    """Where the files of a version lie, relative to the lake's root: below its run, which no other version has."""
    return f"{FOLDER}/{name}/{run}/{FILES}"


def url_of(settings: Settings, path: str) -> str:
    """Where in the lake a path lies."""
    return f"{settings.lake_root}/{path}"


def described(content: bytes) -> Artifact:
    """What is kept about a file."""
    return Artifact(_sha256(content), len(content))


def write(settings: Settings, path: str, content: bytes) -> None:
    """Write a file to the lake.

    Raises:
        Unavailable: the lake cannot be written.
    """
    try:
        blobs.write(url_of(settings, path), content)
    except OSError as error:
        raise Unavailable(f"the registry cannot write to the lake: {error}. Check the lake, then try again.") from error


def read(settings: Settings, registered: Registered, file: str) -> bytes:
    """A file of a version, if it is what was registered and of a format that executes nothing.

    Raises:
        Refused: `missing_artifact` or `damaged_artifact` (its bytes are not those of then, or could be executed).
        Unavailable: the lake cannot be read.
    """
    expected = registered.files[file]
    what = f"{file} of {registered.ref}"
    remedy = "Restore it from a backup, or register the same again, which writes it anew."
    try:
        formats.require_name(file)
        content = blobs.read(f"{url_of(settings, registered.folder)}/{file}")
        if _sha256(content) != expected.sha256:
            raise InvalidInput(f"its {len(content)} bytes are not the {expected.bytes} that were registered")
        formats.require_harmless(file, content)
    except FileNotFoundError:
        raise Refused("missing_artifact", f"{what} is gone. {remedy}") from None
    except OSError as error:
        raise Unavailable(f"{what} cannot be read: {error}. Check the lake, then try again.") from error
    except InvalidInput as error:
        raise Refused("damaged_artifact", f"{what} is not loaded: {error}. {remedy}") from error
    return content


def repair(settings: Settings, registered: Registered, files: Mapping[str, bytes]) -> None:
    """Write files anew that are missing or are no longer what was registered."""
    for file in registered.files:
        try:
            read(settings, registered, file)
        except Refused:
            write(settings, f"{registered.folder}/{file}", files[file])


def _sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
