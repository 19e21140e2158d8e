"""Which version answers a unit while two are served: a draw for each request, or one for each unit that sticks."""

import hashlib
import random
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CanaryDocument:
    """A version that is being tried on a share of the traffic, in (0, 1), beside the active one."""

    version: str
    digest: str
    params: dict[str, Any]
    share: float


@dataclass(frozen=True)
class Assignment:
    """The version by which to treat one request.

    Attributes:
        share: the canary's share of the traffic when this was drawn; 0 without a canary. Log it with the observation.
        canary: the canary's version, None when there is none; `is_canary` says whether this request got it.
    """

    policy_id: str
    version: str
    digest: str
    params: dict[str, Any]
    is_canary: bool
    canary: str | None
    share: float

    @property
    def tags(self) -> dict[str, Any]:
        """What an observation must be tagged with for the canary to be judged; empty without a canary."""
        return canary_tags(self.canary, self.share) if self.canary else {}


def canary_tags(version: str, share: float) -> dict[str, Any]:
    """The tags of every observation made while a version is tried, whichever version made it."""
    return {"canary": version, "canary_share": share}


def takes_part(
    policy_id: str, canary_version: str, share: float, unit_key: str | None, generator: random.Random
) -> bool:
    """Whether a request goes to the canary.

    With a unit key the answer is the same on every machine, and a unit that took part at a small share still does at a
    larger one; another version draws its units afresh.

    Args:
        unit_key: of the unit that must keep its version, such as a session; None: each request is drawn on its own.
        generator: where requests without a unit key are drawn from.
    """
    if unit_key is None:
        return generator.random() < share
    key = f"{policy_id}@{canary_version}\0{unit_key}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") < share * 2**64
