"""The kill switch and its record."""

import pytest
import sqlalchemy as sa

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.platform.tables import flags as flags_table
from cogorch_dagster.policies import audit, flags


def test_learning_is_on_until_someone_turns_it_off(connection: sa.Connection) -> None:
    assert flags.list_flags(connection) == [flags.Flag(flags.LEARNING, True, None, None)]
    off = flags.set_flag(connection, flags.LEARNING, False, actor="ada", reason="incident 7")
    assert (off.value, off.updated_by) == (False, "ada")
    assert flags.get_flag(connection, flags.LEARNING) is False
    record = audit.records(connection)[0]
    assert (record.event, record.subject) == ("flag.set", "flag:learning.enabled")
    assert record.payload == {"from": True, "to": False, "reason": "incident 7"}


def test_setting_the_same_value_leaves_no_record(connection: sa.Connection) -> None:
    flags.set_flag(connection, flags.LEARNING, True, actor="ada", reason="just to be sure")
    assert audit.records(connection) == []


def test_unknown_flags_other_values_and_missing_reasons_are_refused(connection: sa.Connection) -> None:
    with pytest.raises(InvalidInput, match=r"known flags: learning\.enabled"):
        flags.get_flag(connection, "learnin.enabled")
    with pytest.raises(InvalidInput, match="true or false"):
        flags.set_flag(connection, flags.LEARNING, 0, actor="ada", reason="x")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="reason"):
        flags.set_flag(connection, flags.LEARNING, False, actor="ada", reason="")


def test_an_unreadable_kill_switch_counts_as_off(connection: sa.Connection) -> None:
    connection.execute(sa.insert(flags_table).values(name=flags.LEARNING, value="yes", updated_by="eve"))
    assert flags.get_flag(connection, flags.LEARNING) is False
