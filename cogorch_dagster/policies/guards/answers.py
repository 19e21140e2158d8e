"""What a rule says, read from the value of its `deny`."""

import json

from cogorch_dagster.policies.guards.engine import EngineFailure

MOST = 20
LONGEST = 500


def messages_of(value: object, description: str) -> tuple[str, ...]:
    """The messages of a value of `deny`; none: the rule has no objection.

    A set or list of messages, the keys of an object (how older Rego writes a set), a single message, or true, for which
    the rule's description stands. At most 20 messages of 500 characters.

    Raises:
        EngineFailure: any other value; what it means nobody knows.
    """
    match value:
        case None | False:
            found: list[object] = []
        case True:
            found = [description or "the rule says no"]
        case str():
            found = [value]
        case list():
            found = value
        case dict():
            found = [key for key, holds in value.items() if holds is not False]
        case _:
            raise EngineFailure(f"deny is {json.dumps(value)}, not a set of messages")
    texts = [each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in found]
    return tuple(text[:LONGEST] for text in sorted(texts)[:MOST])
