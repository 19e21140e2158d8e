"""What an observation client has done so far, as one value."""

from dataclasses import dataclass
from typing import Literal

State = Literal["running", "retrying", "denied", "closed"]


@dataclass(frozen=True)
class ClientStats:
    """What became of the rows, since this client was made.

    Attributes:
        sent: rows handed to `send` and `feedback` and written to the spool.
        accepted: rows that the service stored.
        duplicates: rows that the service already had; normal after a crash or a lost answer.
        rejected: rows that cannot be sent or that the service refused for good; see `rejected.jsonl`.
        dropped: undelivered rows that gave way to the bound of the spool, or that the disk refused.
        corrupted: spooled lines that a crash left unreadable.
        retries: requests that failed and were tried again.
        waiting: rows in the spool now.
        spool_bytes: bytes of the spool now.
        state: `running`, `retrying` (the service is away), `denied` (the token is bad; nothing is sent), `closed`.
        error: the last error, None after a success.
    """

    sent: int
    accepted: int
    duplicates: int
    rejected: int
    dropped: int
    corrupted: int
    retries: int
    waiting: int
    spool_bytes: int
    state: State
    error: str | None
