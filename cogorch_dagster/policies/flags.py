"""Switches of the installation that a person may turn at once, each change audited.

`learning.enabled` is the kill switch: false refuses every proposal, a person's own included, every approval by a
rule, and the activation of approvals. Scoring goes on, people may still decide, and rolling back stays possible.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.tables import flags
from cogorch_dagster.policies import audit
from cogorch_dagster.policies.document import check_text

LEARNING = "learning.enabled"

# Every flag there is, with the value it has until someone sets it.
DEFAULTS: dict[str, bool] = {LEARNING: True}


@dataclass(frozen=True)
class Flag:
    """A flag's value; never set: `updated_at` and `updated_by` are None."""

    name: str
    value: bool
    updated_at: datetime | None
    updated_by: str | None


def list_flags(connection: sa.Connection) -> list[Flag]:
    """Every known flag by name."""
    rows = {row.name: row for row in connection.execute(sa.select(flags).where(flags.c.name.in_(DEFAULTS)))}
    found = []
    for name, default in sorted(DEFAULTS.items()):
        row = rows.get(name)
        # Anything but a plain `true` in the table counts as off: a kill switch fails to the safe side.
        found.append(
            Flag(name, row.value is True, row.updated_at.astimezone(UTC), row.updated_by)
            if row
            else Flag(name, default, None, None)
        )
    return found


def get_flag(connection: sa.Connection, name: str) -> bool:
    """The value of a known flag.

    Raises:
        InvalidInput: no such flag.
    """
    _check_name(name)
    return next(flag.value for flag in list_flags(connection) if flag.name == name)


def set_flag(connection: sa.Connection, name: str, value: bool, *, actor: str, reason: str) -> Flag:
    """Set a flag and record who did it and why; setting the value it has changes nothing.

    Raises:
        InvalidInput: no such flag, a value that is not true or false, or no reason.
    """
    _check_name(name)
    if not isinstance(value, bool):
        raise InvalidInput(f"flag {name} is true or false, got {value!r}")
    actor, reason = check_text("actor", actor), check_text("reason", reason)
    # Taken before reading: an activation that runs now finishes first, the next one sees the new value.
    audit.hold(connection)
    before = get_flag(connection, name)
    if before != value:
        values = {"value": value, "updated_at": sa.func.clock_timestamp(), "updated_by": actor}
        connection.execute(
            insert(flags).values({"name": name, **values}).on_conflict_do_update(index_elements=["name"], set_=values)
        )
        audit.append(connection, actor, "flag.set", f"flag:{name}", {"from": before, "to": value, "reason": reason})
    return next(flag for flag in list_flags(connection) if flag.name == name)


def require_learning(connection: sa.Connection, what: str) -> None:
    """Raises Refused(`learning_disabled`) when the kill switch is set."""
    if not get_flag(connection, LEARNING):
        raise Refused(
            "learning_disabled",
            f"{what} is refused: the kill switch {LEARNING} is off. Turn it on with "
            f"`cogorch flags set {LEARNING} true --reason ...`; rolling back is possible meanwhile.",
        )


def _check_name(name: str) -> None:
    if name not in DEFAULTS:
        raise InvalidInput(f"unknown flag {name!r}; known flags: {', '.join(sorted(DEFAULTS))}")
