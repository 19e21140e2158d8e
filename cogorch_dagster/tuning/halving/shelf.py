"""Where the states of paused trials lie: files of the lake, one for each trial that may still be trained on."""

import re

from cogorch_dagster.lake import blobs
from cogorch_dagster.settings import Settings
from cogorch_dagster.tuning.halving.records import Record
from cogorch_dagster.tuning.halving.rungs import Ladder, hopeless

FOLDER = "halving"
_NAME = re.compile(r"([0-9]{6,})-([0-9]+)\.safetensors")


def folder(settings: Settings, study: str) -> str:
    """A study's folder; its name must be fit for one."""
    return f"{settings.lake_root}/{FOLDER}/{study}"


def path(settings: Settings, study: str, trial: int, rung: int) -> str:
    """The file of a trial that is paused at a rung."""
    return f"{folder(settings, study)}/{_name(trial, rung)}"


def clear(settings: Settings, study: str, ladder: Ladder, records: list[Record], budget: int) -> int:
    """Delete the files of trials that will never be trained on, and those that a trial has left behind; how many.

    What these records make superfluous stays so, whatever others have reported since; other files are left alone.
    """
    gone = hopeless(ladder, [record.trial for record in records], budget)
    # The lowest rung of each trial whose file may still be asked for.
    least = {record.number: len(record.scores) - 1 for record in records}
    least |= {record.number: len(ladder.levels) for record in records if record.status == "failed"}
    least |= dict.fromkeys(gone, len(ladder.levels))
    old = [name for name, (trial, rung) in _files(settings, study).items() if rung < least.get(trial, 0)]
    for name in old:
        blobs.delete(f"{folder(settings, study)}/{name}")
    return len(old)


def delete(settings: Settings, study: str) -> int:
    """Delete all that is left of a study that has ended, half-written files of killed workers included; how many."""
    names = blobs.written(folder(settings, study))
    for name in names:
        blobs.delete(f"{folder(settings, study)}/{name}")
    return len(names)


def studies(settings: Settings) -> list[str]:
    """The studies of which there are files."""
    names = blobs.written(f"{settings.lake_root}/{FOLDER}")
    return sorted({name.split("/")[0] for name in names if "/" in name})


def _name(trial: int, rung: int) -> str:
    return f"{trial:06d}-{rung}.safetensors"


def _files(settings: Settings, study: str) -> dict[str, tuple[int, int]]:
    """Whole files by name, each with its trial and rung; not those that are being written."""
    found = {name: _NAME.fullmatch(name) for name in blobs.written(folder(settings, study))}
    return {name: (int(match[1]), int(match[2])) for name, match in found.items() if match is not None}
