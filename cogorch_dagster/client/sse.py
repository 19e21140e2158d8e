"""Server-sent events, the part of the standard that the service uses: event, id, data and comments."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_MAX_DATA_CHARACTERS = 4 << 20


@dataclass(frozen=True)
class Event:
    name: str
    data: str
    id: str | None


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events of a stream of lines; an event that the stream breaks off is not one.

    Raises:
        ValueError: one event has more than 4 MiB of data.
    """
    name, event_id, size = "message", None, 0
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield Event(name, "\n".join(data), event_id)
            name, data, event_id, size = "message", [], None, 0
            continue
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "data":
            size += len(value)
            if size > _MAX_DATA_CHARACTERS:
                raise ValueError(f"an event has more than {_MAX_DATA_CHARACTERS} characters of data")
            data.append(value)
        elif key == "event":
            name = value
        elif key == "id":
            event_id = value
