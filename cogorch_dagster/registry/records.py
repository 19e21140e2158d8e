"""Versions as values: what was registered, where it comes from, and how both are written as MLflow's texts."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies.document import canonical_json, digest

# MLflow's own bounds; beyond the second it would cut a text off.
MOST_PARAMETERS, LONGEST_PARAMETER, LONGEST_TAG = 1000, 6000, 8000
DIGEST, FILES = "cogorch.digest", "cogorch.files"
_LINEAGE = "cogorch.lineage."
_OWN = "cogorch."
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Lineage:
    """Where a version comes from; what does not apply is None.

    Attributes:
        code_version: of cogorch.
        since, until: the hours of data that it was made from, UTC, the end excluded.
        inputs: digest of these data.
        calibration: digest of the fleet's parameters.
        run_id: of the run that made it.
        policy_version: such as `agent-policy@1.0.1`, whose parameters it holds or was trained with.
        study: that found it.
    """

    code_version: str
    since: datetime | None = None
    until: datetime | None = None
    inputs: str | None = None
    calibration: str | None = None
    run_id: str | None = None
    policy_version: str | None = None
    study: str | None = None

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            moment = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                raise InvalidInput(f"{name} is {moment}, without a time zone; give it in UTC")

    def texts(self) -> dict[str, str]:
        """Each known part as text."""
        return {name: _text(value) for name, value in asdict(self).items() if value is not None}

    @classmethod
    def of_texts(cls, texts: Mapping[str, str]) -> "Lineage":
        """What `texts` was called on."""
        moments = {name: datetime.fromisoformat(texts[name]) for name in ("since", "until") if name in texts}
        return cls(**{**texts, **moments})  # type: ignore[arg-type]  # names and texts are those of `texts`


@dataclass(frozen=True)
class Artifact:
    """A file of a version: `sha256:` and the hash of its bytes, and how many these are."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Registered:
    """A version in the registry; nothing of it changes but its tags and aliases.

    Attributes:
        name: of what there are versions, such as `agent-policy`.
        version: 1 and up.
        digest: `sha256:` of files, params, metrics and lineage: what is registered again has the same.
        folder: of its files, relative to the lake's root.
        params: JSON values by name.
        tags: free texts, given when it was registered first.
        aliases: candidate, champion, previous; those that name it.
    """

    name: str
    version: int
    digest: str
    created_at: datetime
    folder: str
    files: Mapping[str, Artifact]
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    lineage: Lineage
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"


def check_name(name: str) -> str:
    """Raises InvalidInput unless the name is 1 to 80 of `a-z 0-9 _ -`, beginning with a letter or digit."""
    if _NAME.fullmatch(name) is None:
        raise InvalidInput(f"name {name!r:.120} must be 1 to 80 characters of a-z 0-9 _ -, such as agent-policy")
    return name


def check_figures(params: Mapping[str, Any], metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
    """Raises InvalidInput for what MLflow would refuse, cut off, or give back as something else."""
    for kind, names in (("parameter", params), ("metric", metrics), ("tag", tags)):
        if len(names) > MOST_PARAMETERS:
            raise InvalidInput(f"there are {len(names)} {kind}s; a version has at most {MOST_PARAMETERS}")
        for key in names:
            if _KEY.fullmatch(key) is None or key.startswith(_OWN):
                raise InvalidInput(
                    f"{kind} {key!r:.120} must be 1 to 100 characters of a-z A-Z 0-9 _ . -, not beginning with {_OWN}"
                )
    for key, value in params.items():
        if len(canonical_json(value)) > LONGEST_PARAMETER:
            raise InvalidInput(f"parameter {key} has more than {LONGEST_PARAMETER} characters; register it as a file")
    for key, figure in metrics.items():
        if not math.isfinite(figure):
            raise InvalidInput(f"metric {key} is {figure}; only finite figures are registered")
    for key, text in tags.items():
        if len(text) > LONGEST_TAG:
            raise InvalidInput(f"tag {key} has {len(text)} characters; at most {LONGEST_TAG} are kept")


def identity(
    name: str,
    files: Mapping[str, Artifact],
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    lineage: Lineage,
) -> str:
    """The digest by which a version is known to be registered already."""
    contents = {file: artifact.sha256 for file, artifact in files.items()}
    figures = {key: float(value) for key, value in metrics.items()}
    return digest({"name": name, "files": contents, "params": params, "metrics": figures, "lineage": lineage.texts()})


def texts_of_params(params: Mapping[str, Any]) -> dict[str, str]:
    """Each parameter as JSON, so that a text stays a text and a number a number."""
    return {key: json.dumps(value, allow_nan=False) for key, value in params.items()}


def params_of_texts(texts: Mapping[str, str]) -> dict[str, Any]:
    """What `texts_of_params` was called on."""
    return {key: json.loads(text) for key, text in texts.items()}


def own_tags(identity: str, files: Mapping[str, Artifact], lineage: Lineage) -> dict[str, str]:
    """What a version is, as tags."""
    described = {name: asdict(artifact) for name, artifact in files.items()}
    return {
        DIGEST: identity,
        FILES: canonical_json(described),
        **{f"{_LINEAGE}{name}": text for name, text in lineage.texts().items()},
    }


def read_tags(tags: Mapping[str, str]) -> tuple[dict[str, Artifact], Lineage, dict[str, str]]:
    """The files, the lineage and the free tags."""
    files = {name: Artifact(**artifact) for name, artifact in json.loads(tags[FILES]).items()}
    own = {key.removeprefix(_LINEAGE): text for key, text in tags.items() if key.startswith(_LINEAGE)}
    free = {key: text for key, text in tags.items() if not key.startswith((_OWN, "mlflow."))}
    return files, Lineage.of_texts(own), free


def _text(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
