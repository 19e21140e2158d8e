"""Documents as values: canonical JSON, digests, semantic versions and references such as `router-core@1.0.1`."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from cogorch_dagster.errors import InvalidInput

FIRST_VERSION = "1.0.0"
Bump = Literal["patch", "minor", "major"]

_VERSION = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})")
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")
_POLICY_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def canonical_json(value: object) -> str:
    """The one text of a JSON value: sorted keys, no spaces, UTF-8; a number is written by its value, so 1.0 is `1`.

    PostgreSQL's `jsonb` keeps numbers as decimals (1e20 comes back as an integer), hence the rule for numbers: the
    text is the same before and after a round trip.

    Raises:
        InvalidInput: NaN, infinity, a key that is not text, a NUL character, or a type that JSON has not.
    """
    return json.dumps(_normalised(value, "$"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object) -> str:
    """`sha256:<hex>` of the canonical JSON."""
    return "sha256:" + hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _normalised(value: object, path: str) -> object:
    match value:
        case None | bool() | int():
            return value
        case float():
            if not math.isfinite(value):
                raise InvalidInput(f"{path} is {value}; JSON has only finite numbers")
            return int(value) if value.is_integer() else value
        case str():
            return _checked_text(value, path)
        case Mapping():
            return {_key(key, path): _normalised(item, f"{path}.{key}") for key, item in value.items()}
        case list() | tuple():
            return [_normalised(item, f"{path}[{index}]") for index, item in enumerate(value)]
        case _:
            raise InvalidInput(f"{path} is of type {type(value).__name__}, which a JSON document cannot hold")


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise InvalidInput(f"key {key!r} in {path} is of type {type(key).__name__}; put it in quotes")
    return _checked_text(key, path)


def _checked_text(text: str, path: str) -> str:
    if _NOT_STORABLE.search(text):
        raise InvalidInput(f"text in {path} holds a NUL character or half of a surrogate pair")
    return text


def version_key(version: str) -> tuple[int, int, int]:
    """Sort key of a semantic version `major.minor.patch`.

    Raises:
        InvalidInput: anything else, pre-releases included.
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        raise InvalidInput(f"version {version!r} is not of the form MAJOR.MINOR.PATCH, such as 1.0.1")
    major, minor, patch = (int(part) for part in match.groups())
    return major, minor, patch


def next_version(existing: Iterable[str], bump: Bump = "patch") -> str:
    """The version after the highest existing one; `1.0.0` when there is none."""
    keys = [version_key(version) for version in existing]
    if not keys:
        return FIRST_VERSION
    major, minor, patch = max(keys)
    match bump:
        case "major":
            return f"{major + 1}.0.0"
        case "minor":
            return f"{major}.{minor + 1}.0"
        case "patch":
            return f"{major}.{minor}.{patch + 1}"


def parse_ref(text: str) -> tuple[str, str]:
    """`router-core@1.0.1` as (policy id, version).

    Raises:
        InvalidInput: the text is not a reference.
    """
    policy_id, separator, version = text.strip().partition("@")
    if not separator:
        named = policy_id if _POLICY_ID.fullmatch(policy_id) else "router-core"
        raise InvalidInput(f"{text!r} names no version; write POLICY@VERSION, such as {named}@1.0.1")
    check_policy_id(policy_id)
    version_key(version)
    return policy_id, version


def check_policy_id(policy_id: str) -> None:
    """Raises InvalidInput unless the id is 1 to 100 of `a-z 0-9 . _ -`, beginning with a letter or digit."""
    if _POLICY_ID.fullmatch(policy_id) is None:
        raise InvalidInput(f"policy id {policy_id!r} must be 1 to 100 characters of a-z, 0-9, '.', '_' and '-'")


def check_text(name: str, value: str, limit: int = 2000) -> str:
    """A stripped, non-empty text such as an actor or a reason.

    Raises:
        InvalidInput: empty, longer than `limit` characters, or not storable.
    """
    stripped = _checked_text(value, name).strip()
    if not 1 <= len(stripped) <= limit:
        raise InvalidInput(f"{name} must have 1 to {limit} characters, got {len(stripped)}")
    return stripped


def as_document(value: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy with canonical numbers, as it will come back from the database."""
    document: dict[str, Any] = json.loads(canonical_json(value))
    return document
