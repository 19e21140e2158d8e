"""Checkpoints: one file with everything that further training or acting needs, and what it was trained as and on.

A file in the safetensors format whose metadata hold the description and a sha256 over every byte. Reading executes
nothing. How parts become tensors is `parts.py`; where checkpoints are kept is `store.py`.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cogorch_dagster.agents import parts as nested
from cogorch_dagster.agents import tensor_file
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.lake import blobs
from cogorch_dagster.platform.code_version import code_version
from cogorch_dagster.policies.document import canonical_json

FORMAT = 1
_FORMAT_NAME = "cogorch checkpoint"
_BLANK = b"0" * 64
_DIGEST = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """An agent at one moment of its training.

    Attributes:
        agent: which of the fleet's agents, or what else it is the name of; 1 to 100 of `a-z 0-9 _ -`.
        algorithm: dqn, a2c, ppo or ddpg.
        configuration: of the algorithm, as a JSON object.
        calibration: digest of the parameters of the environment (`FleetParameters.digest`), or its name.
        states: dimensions of a state.
        actions: number of discrete actions, or dimensions of a continuous one.
        steps: of single environments, trained so far.
        seed: of the training.
        metrics: finite figures of the training by name.
        parts: what `Learner.parts()` gave, and more beside it under other keys if the trainer wants.
        code_version: of the code that trained.
        created_at: UTC.
    """

    agent: str
    algorithm: str
    configuration: Mapping[str, Any]
    calibration: str
    states: int
    actions: int
    steps: int
    seed: int
    metrics: Mapping[str, float]
    parts: dict[str, Any]
    code_version: str = field(default_factory=code_version)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        for name in ("agent", "algorithm"):
            if _NAME.fullmatch(getattr(self, name)) is None:
                raise InvalidInput(f"{name} is {getattr(self, name)!r}; it must be 1 to 100 characters of a-z 0-9 _ -")
        for name, least in (("states", 1), ("actions", 1), ("steps", 0)):
            if getattr(self, name) < least:
                raise InvalidInput(f"{name} is {getattr(self, name)}; it must be at least {least}")
        if self.created_at.tzinfo is None:
            raise InvalidInput(f"created_at is {self.created_at}, without a time zone; give it in UTC")
        for name, value in self.metrics.items():
            if not math.isfinite(value):
                raise InvalidInput(f"metric {name} is {value}; a checkpoint of a training gone wrong is not written")


def write(path: str | Path, checkpoint: Checkpoint) -> str:
    """Write a checkpoint, atomically, to a local path or fsspec URL; returns its digest.

    Raises:
        InvalidInput: its parts or configuration hold what a checkpoint cannot.
    """
    content = pack(checkpoint)
    blobs.write(str(path), content)
    return digest(content)


def read(path: str | Path) -> Checkpoint:
    """The checkpoint in a file, whole and unchanged since it was written.

    Raises:
        InvalidInput: no such file, not a checkpoint, damaged, or of another format version.
    """
    try:
        content = blobs.read(str(path))
    except FileNotFoundError as error:
        raise InvalidInput(f"there is no checkpoint {path}") from error
    try:
        return unpack(content)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error


def pack(checkpoint: Checkpoint) -> bytes:
    """The bytes of a checkpoint's file; the same for the same checkpoint.

    Raises:
        InvalidInput: its parts or configuration hold what a checkpoint cannot.
    """
    canonical_json(checkpoint.configuration)  # Refuses, with its path, what is not JSON; here 1.0 is to stay a float.
    structure, tensors = nested.encode(checkpoint.parts)
    document = {
        "agent": checkpoint.agent,
        "algorithm": checkpoint.algorithm,
        "configuration": checkpoint.configuration,
        "calibration": checkpoint.calibration,
        "states": checkpoint.states,
        "actions": checkpoint.actions,
        "steps": checkpoint.steps,
        "seed": checkpoint.seed,
        "metrics": {name: float(value) for name, value in checkpoint.metrics.items()},
        "code_version": checkpoint.code_version,
        "created_at": checkpoint.created_at.astimezone(UTC).isoformat(),
        "parts": structure,
    }
    metadata = {
        "format": f"{_FORMAT_NAME} {FORMAT}",
        "document": json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False, default=dict),
        "sha256": _BLANK.decode(),
    }
    content = tensor_file.pack(metadata, tensors)
    start = _digest_span(content)[0]
    return b"".join([content[:start], _hash(content).encode(), content[start + len(_BLANK) :]])


def unpack(content: bytes) -> Checkpoint:
    """The checkpoint of which these are the bytes.

    Raises:
        InvalidInput: not a checkpoint, damaged, or of another format version.
    """
    digest(content)
    metadata, tensors = tensor_file.unpack(content)
    name, _, version = metadata.get("format", "").rpartition(" ")
    if name != _FORMAT_NAME:
        raise InvalidInput(f"it is a {metadata.get('format', 'file without a format')!r}, not a {_FORMAT_NAME}")
    if version != str(FORMAT):
        raise InvalidInput(
            f"it has format version {version}; this version of cogorch ({code_version()}) reads {FORMAT}. "
            "Read it with the version that wrote it, or train anew."
        )
    try:
        document = json.loads(metadata["document"])
        document["parts"] = nested.decode(document["parts"], tensors)
        document["created_at"] = datetime.fromisoformat(document["created_at"])
        return Checkpoint(**document)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(f"its description cannot be read ({type(error).__name__}: {error})") from error


def digest(content: bytes) -> str:
    """`sha256:` and the hash over all bytes of a checkpoint's file, which are checked against it.

    The file holds its own hash, so it is taken with zeros in that place.

    Raises:
        InvalidInput: there is no hash, or it is not that of these bytes.
    """
    start, end = _digest_span(content)
    stated, found = content[start:end].decode(), _hash(content)
    if stated != found:
        raise InvalidInput(
            f"it is damaged or cut off: its {len(content)} bytes have sha256 {found}, they should have {stated}. "
            "Use another checkpoint, or restore this one from a backup."
        )
    return f"sha256:{stated}"


def require_compatible(
    checkpoint: Checkpoint,
    *,
    agent: str,
    algorithm: str,
    configuration: Mapping[str, Any],
    states: int,
    actions: int,
    calibration: str | None = None,
) -> None:
    """Make sure that a checkpoint is of exactly this agent, so that resuming from it continues its training.

    Args:
        calibration: the digest of the environment's parameters; None where another environment is meant to follow.

    Raises:
        Refused: `incompatible_checkpoint`, with every difference and both values.
    """
    wanted: list[tuple[str, object, object]] = [
        ("agent", checkpoint.agent, agent),
        ("algorithm", checkpoint.algorithm, algorithm),
        ("states", checkpoint.states, states),
        ("actions", checkpoint.actions, actions),
    ]
    if calibration is not None:
        wanted.append(("calibration", checkpoint.calibration, calibration))
    differences = [f"{name} is {found!r}, not {asked!r}" for name, found, asked in wanted if found != asked]
    differences += _differences(checkpoint.configuration, configuration, "configuration")
    if differences:
        raise Refused(
            "incompatible_checkpoint",
            f"the checkpoint of {checkpoint.created_at:%Y-%m-%d %H:%M:%S} UTC does not fit: {'; '.join(differences)}. "
            "Train with its values, or begin a training without it.",
        )


def _differences(found: object, asked: object, path: str) -> Iterator[str]:
    if isinstance(found, Mapping) and isinstance(asked, Mapping):
        for key in sorted({*found, *asked}):
            if key not in found or key not in asked:
                side, value = ("only asked for", asked[key]) if key not in found else ("no longer there", found[key])
                yield f"{path}.{key} ({value!r}) is {side}"
            else:
                yield from _differences(found[key], asked[key], f"{path}.{key}")
    elif canonical_json(found) != canonical_json(asked):
        yield f"{path} is {found!r}, not {asked!r}"


def _digest_span(content: bytes) -> tuple[int, int]:
    # Texts within the header's texts have their quotes escaped, so this finds the metadata's own entry or none.
    match = _DIGEST.search(tensor_file.header_of(content))
    if match is None:
        raise InvalidInput("it is not a checkpoint of cogorch, or its header is damaged: there is no sha256 in it")
    return match.start(1) + tensor_file.LENGTH.size, match.end(1) + tensor_file.LENGTH.size


def _hash(content: bytes) -> str:
    start, end = _digest_span(content)
    view = memoryview(content)
    found = hashlib.sha256(view[:start])
    found.update(_BLANK)
    found.update(view[end:])
    return found.hexdigest()
