"""How both halves of the client talk HTTP: one connection pool, the waits between attempts, and what an error says."""

import random
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_DETAIL_CHARACTERS = 300


def connect(url: str, token: str, timeout_s: float) -> httpx.Client:
    """A client for the service at `url`; a proxy from the environment is used unless the service is on this machine."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"the service's url is {url!r}; it must be like http://127.0.0.1:8710")
    return httpx.Client(
        base_url=url.rstrip("/"),
        headers={"Authorization": f"Bearer {token}", "User-Agent": "cogorch-client"},
        timeout=timeout_s,
        trust_env=parts.hostname not in _LOOPBACK,
    )


@dataclass
class Backoff:
    """Waits that double from `first_s` to `most_s` seconds, each shortened by up to a half at random.

    The randomness keeps a fleet that lost its service at one moment from coming back at one moment.
    """

    first_s: float = 0.1
    most_s: float = 5.0
    failures: int = 0

    def next_s(self, at_least_s: float = 0.0) -> float:
        """Seconds to wait after one more failure; never less than the server asked for, up to `most_s`."""
        wait = min(self.most_s, self.first_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return max(wait * random.uniform(0.5, 1.0), min(at_least_s, self.most_s))

    def reset(self) -> None:
        self.failures = 0


def retry_after_s(response: httpx.Response) -> float:
    """The `Retry-After` header in seconds; 0 when absent or given as a date."""
    value = str(response.headers.get("Retry-After", ""))
    return int(value) if value.isdigit() else 0.0


def describe(response: httpx.Response) -> str:
    """Status and the service's own message, for a log line; the body must have been read."""
    try:
        document = response.json()
        message = document["message"] if isinstance(document, dict) else response.text
    except (ValueError, KeyError):
        message = response.text
    return f"{response.status_code} {str(message)[:_DETAIL_CHARACTERS]}".strip()
