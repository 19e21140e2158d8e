"""One request with rows, and what the service made of each: taken, known already, refused for good, or not now."""

from dataclasses import dataclass

import httpx

from cogorch_dagster.client.http import describe, retry_after_s

_DENIED = (401, 403)
# The service understood the request and refuses what is in it: sending it again as it is cannot help.
_SPLIT = (400, 413, 422)


class Retry(Exception):
    """The service is away or answers something else; the same rows may go well in `wait_s` seconds or later."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class Denied(Exception):
    """The service refuses the token."""


class Indigestible(Exception):
    """The service refuses the request for what is in it."""


@dataclass(frozen=True)
class Refused:
    """A row that the service will never take, the first field that is wrong, and all that is."""

    row: bytes
    field: str | None
    message: str


@dataclass(frozen=True)
class Receipt:
    """How many rows are stored, how many were there already, and which are refused."""

    accepted: int
    duplicates: int
    refused: tuple[Refused, ...]


def post(http: httpx.Client, stream: str, rows: list[bytes]) -> Receipt:
    """Send rows.

    Args:
        stream: `observations` or `feedback`.
        rows: encoded.

    Raises:
        Retry, Denied, Indigestible.
    """
    body = b'{"%s":[%s]}' % (stream.encode(), b",".join(rows))
    try:
        response = http.post(f"/api/v1/{stream}", content=body, headers={"Content-Type": "application/json"})
    except httpx.TransportError as error:
        raise Retry(f"{type(error).__name__}: {error}") from error
    if response.status_code in _DENIED:
        raise Denied(describe(response))
    if response.status_code in _SPLIT:
        raise Indigestible(describe(response))
    if response.status_code not in (200, 207):
        raise Retry(describe(response), retry_after_s(response))
    return _receipt(response, rows)


def _receipt(response: httpx.Response, rows: list[bytes]) -> Receipt:
    try:
        answer = response.json()
        # A row may have several problems; the first field names it, the messages are joined.
        problems: dict[int, tuple[str | None, list[str]]] = {}
        for entry in answer["rejected"]:
            problems.setdefault(entry["index"], (entry.get("field"), []))[1].append(str(entry["message"]))
        refused = tuple(Refused(rows[index], field, "; ".join(told)) for index, (field, told) in problems.items())
        return Receipt(int(answer["accepted"]), int(answer["duplicates"]), refused)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Retry(f"the answer is not the service's: {error!r}") from error
