"""The errors that cross a border of the engine, each with the exit code that the command line gives it.

A message names the value, the bound and the remedy. Anything else that escapes is a defect and keeps its traceback.
"""


class CogorchError(Exception):
    """Base of every error that a user is meant to read."""

    exit_code = 1


class InvalidInput(CogorchError):
    """A value, file or document that the caller can correct."""

    exit_code = 2


class Refused(CogorchError):
    """A well-formed request that a rule of the policy life cycle or of evidence turns down.

    `reason` is a stable snake_case code (`not_approved`, `digest_mismatch`, `small_sample`, ...).
    """

    exit_code = 3

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Unavailable(CogorchError):
    """A part of the platform (PostgreSQL, the service, the lake) cannot be reached."""

    exit_code = 4


def reason_of(error: OSError | UnicodeDecodeError) -> str:
    """Why a file cannot be read or written, in words."""
    match error:
        case FileNotFoundError():
            return "there is no such file"
        case IsADirectoryError():
            return "it is a folder; name a file"
        case OSError():
            return (error.strerror or str(error)).lower()
    return "it is not text in UTF-8"
