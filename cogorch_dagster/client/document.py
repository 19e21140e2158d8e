"""A policy document as it comes over the wire: read, checked against its digest, and never half believed."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cogorch_dagster.client.assignment import CanaryDocument


@dataclass(frozen=True)
class PolicyDocument:
    """One version of a policy as it was received.

    Attributes:
        digest: `sha256:` and the hash of the canonical JSON of `params`; checked on receipt.
        activated_at: when the service activated it, UTC.
        received_at: when this process, or an earlier one with the same cache, received it, UTC.
        revised_at: when the service last changed what is served, UTC: the activation, or a step of a canary.
        canary: the version that is tried beside this one; see `PolicyFollower.canary` for whether to believe it still.
    """

    policy_id: str
    version: str
    digest: str
    params: dict[str, Any]
    activated_at: datetime
    received_at: datetime
    revised_at: datetime
    canary: CanaryDocument | None = None

    @property
    def state(self) -> tuple[object, ...]:
        """Everything but when it was received: equal for two answers that say the same."""
        return self.version, self.digest, self.activated_at, self.revised_at, self.canary


def parse_document(text: str, policy_id: str, received_at: datetime) -> PolicyDocument:
    """A policy document from its JSON.

    Raises:
        ValueError: it is not JSON, names another policy, lacks a field, or its digest is not that of its params.
    """
    fields = json.loads(text)
    if not isinstance(fields, dict) or not isinstance(fields.get("params"), dict):
        raise ValueError("not a policy document")
    if fields.get("policy_id") != policy_id:
        raise ValueError(f"it is of policy {fields.get('policy_id')!r}, not of {policy_id!r}")
    version, digest = fields.get("version"), fields.get("digest")
    if not isinstance(version, str) or not isinstance(digest, str):
        raise ValueError("version and digest must be text")
    expected = params_digest(fields["params"])
    if digest != expected:
        raise ValueError(f"version {version} names digest {digest}, but its params have {expected}")
    activated_at = read_time(fields, "activated_at")
    return PolicyDocument(
        policy_id,
        version,
        digest,
        fields["params"],
        activated_at,
        received_at,
        # A service of an earlier release, or a cache that it filled, knows of no canaries.
        read_time(fields, "revised_at") if "revised_at" in fields else activated_at,
        _canary(fields.get("canary")),
    )


def _canary(fields: Any) -> CanaryDocument | None:
    if fields is None:
        return None
    try:
        version, digest, params = fields["version"], fields["digest"], fields["params"]
        share = float(fields["share"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"the canary is not readable: {error!r}") from error
    if not isinstance(version, str) or not isinstance(params, dict) or digest != params_digest(params):
        raise ValueError(f"the params of the canary {version} are not those of its digest")
    if not 0 < share < 1:
        raise ValueError(f"the canary {version} has share {share}; it must lie between 0 and 1")
    return CanaryDocument(version, digest, params, share)


def params_digest(params: dict[str, Any]) -> str:
    """`sha256:` and the hash of the canonical JSON: keys sorted, no spaces, UTF-8, whole numbers without a fraction."""
    canonical = json.dumps(_whole(params), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def _whole(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def read_time(fields: Any, name: str) -> datetime:
    """An aware time of a document; raises ValueError for anything else."""
    value = fields.get(name) if isinstance(fields, dict) else None
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}; it must be a time")
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is None:
        raise ValueError(f"{name} {value} has no time zone")
    return parsed
