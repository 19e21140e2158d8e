"""What is served of a policy as it goes over the wire, serialised once however many clients wait for it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from cogorch_dagster.errors import Refused
from cogorch_dagster.platform import database, pipeline
from cogorch_dagster.policies import ramps, store
from cogorch_dagster.policies.store import PolicyVersion
from cogorch_dagster.settings import Settings


@dataclass(frozen=True)
class Canary:
    """A version that ramps, and its share of the traffic, in (0, 1)."""

    version: PolicyVersion
    share: float


@dataclass(frozen=True)
class ActiveDocument:
    """A version in force, with the canary beside it, in the three forms that clients ask for.

    `revised_at` is when this was last changed by an activation or by a step or the end of a ramp, UTC.
    """

    version: PolicyVersion
    revised_at: datetime | None
    canary: Canary | None = None

    @cached_property
    def etag(self) -> str:
        """Changes with every activation and every move of a ramp, also with one that returns to what was before."""
        moment = int(self.revised_at.timestamp() * 1_000_000) if self.revised_at else 0
        canary = f"-{self.canary.version.version}" if self.canary else ""
        return f'"{self.version.version}{canary}-{self.version.digest.removeprefix("sha256:")}-{moment:x}"'

    @cached_property
    def body(self) -> bytes:
        """The JSON document."""
        of = self.version
        fields: dict[str, Any] = {
            "policy_id": of.policy_id,
            "kind": of.kind,
            "version": of.version,
            "digest": of.digest,
            "params": of.params,
            "activated_at": of.activated_at.isoformat() if of.activated_at else None,
            "revised_at": self.revised_at.isoformat() if self.revised_at else None,
            "canary": None,
        }
        if self.canary:
            trial = self.canary.version
            fields["canary"] = {
                "version": trial.version,
                "digest": trial.digest,
                "params": trial.params,
                "share": self.canary.share,
            }
        # The standard library writes integers of any size, which a document may hold after a round trip.
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()

    @cached_property
    def event(self) -> bytes:
        """The server-sent event."""
        return b"event: policy\nid: %s\ndata: %s\n\n" % (self.version.version.encode(), self.body)


def read_active(settings: Settings, policy_id: str) -> ActiveDocument | None:
    """The version in force and the one that ramps beside it, None when none was ever activated.

    Raises:
        Refused: `unknown_policy`, or `digest_mismatch` when the stored params are not those that were approved.
        Unavailable: PostgreSQL cannot be reached.
    """
    # One snapshot: between two statements a ramp may end with an activation.
    with database.transaction(settings, isolation="REPEATABLE READ") as connection:
        steps = [store.standing(policy_id, ("active", "canary")), ramps.newest(policy_id)]
        versions, newest = pipeline.run(connection, steps)
        standing = store.stood(versions)
        active = next((each for each in standing if each.status == "active"), None)
        if active is None:
            store.policy(connection, policy_id)
            return None
    ramp = ramps.read(newest)
    ramps_now = ramp.version if ramp is not None and ramp.outcome is None else None
    trial = next((each for each in standing if each.version == ramps_now), None)
    if not active.digest_matches:
        raise Refused("digest_mismatch", f"the params of {active.ref} were edited after approval; roll back")
    moments = [active.activated_at, ramp.changed_at if ramp is not None else None]
    canary = None
    if ramp is not None and trial is not None:
        if datetime.now(UTC) > ramp.unjudged_from:
            # Nobody watches it, so nobody could take it back.
            moments.append(ramp.unjudged_from)
        elif trial.digest_matches:
            canary = Canary(trial, ramp.share)
    return ActiveDocument(active, max((each for each in moments if each is not None), default=None), canary)
