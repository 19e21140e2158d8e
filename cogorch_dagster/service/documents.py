"""The active version of a policy as it goes over the wire, serialised once however many clients wait for it."""

import json
from dataclasses import dataclass
from functools import cached_property

from cogorch_dagster.errors import Refused
from cogorch_dagster.platform import database
from cogorch_dagster.policies import store
from cogorch_dagster.policies.store import PolicyVersion
from cogorch_dagster.settings import Settings


@dataclass(frozen=True)
class ActiveDocument:
    """A version in force, in the three forms that clients ask for."""

    version: PolicyVersion

    @cached_property
    def etag(self) -> str:
        """Changes with every activation, also with one that returns to an earlier version."""
        activated = self.version.activated_at
        moment = int(activated.timestamp() * 1_000_000) if activated else 0
        return f'"{self.version.version}-{self.version.digest.removeprefix("sha256:")}-{moment:x}"'

    @cached_property
    def body(self) -> bytes:
        """The JSON document."""
        of = self.version
        fields = {
            "policy_id": of.policy_id,
            "kind": of.kind,
            "version": of.version,
            "digest": of.digest,
            "params": of.params,
            "activated_at": of.activated_at.isoformat() if of.activated_at else None,
        }
        # The standard library writes integers of any size, which a document may hold after a round trip.
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()

    @cached_property
    def event(self) -> bytes:
        """The server-sent event."""
        return b"event: policy\nid: %s\ndata: %s\n\n" % (self.version.version.encode(), self.body)


def read_active(settings: Settings, policy_id: str) -> ActiveDocument | None:
    """The version in force, None when none was ever activated.

    Raises:
        Refused: `unknown_policy`, or `digest_mismatch` when the stored params are not those that were approved.
        Unavailable: PostgreSQL cannot be reached.
    """
    with database.transaction(settings) as connection:
        active = store.active(connection, policy_id)
        if active is None:
            store.policy(connection, policy_id)
            return None
    if not active.digest_matches:
        raise Refused("digest_mismatch", f"the params of {active.ref} were edited after approval; roll back")
    return ActiveDocument(active)
