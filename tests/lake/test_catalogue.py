from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from cogorch_dagster.lake import catalogue
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_appended_files_add_up_and_change_the_digest(settings: Settings) -> None:
    with transaction(settings) as connection:
        assert catalogue.entry(connection, "observations", NOON) is None
        catalogue.append_files(connection, "observations", NOON + timedelta(minutes=7), ["a", "b"], 5)
        first = catalogue.entry(connection, "observations", NOON)
        catalogue.append_files(connection, "observations", NOON, ["c"], 2)
        second = catalogue.entry(connection, "observations", NOON)
    assert first is not None and second is not None
    assert (first.files, first.rows, first.hour) == (("a", "b"), 5, NOON)
    assert (second.files, second.rows, second.input_digest) == (("a", "b", "c"), 7, None)
    assert first.digest != second.digest


def test_replace_sets_exactly_what_it_is_given(settings: Settings) -> None:
    with transaction(settings) as connection:
        catalogue.append_files(connection, "rewards", NOON, ["old"], 9)
        catalogue.replace_hour(connection, "rewards", NOON, ["new"], 3, "digest")
        catalogue.replace_hour(connection, "rewards", NOON + HOUR, [], 0, "other")
        found = catalogue.entries(connection, "rewards")
    assert [(e.files, e.rows, e.input_digest) for e in found] == [(("new",), 3, "digest"), ((), 0, "other")]


def test_a_range_holds_the_hour_of_its_start_and_excludes_its_end(settings: Settings) -> None:
    with transaction(settings) as connection:
        for step in (2, 0, 1, 3):
            catalogue.append_files(connection, "feedback", NOON + step * HOUR, [f"f{step}"], 1)
        catalogue.append_files(connection, "rewards", NOON, ["r"], 1)
        found = catalogue.entries(connection, "feedback", NOON + timedelta(minutes=90), NOON + 3 * HOUR)
        named = catalogue.entries_of(connection, "feedback", [NOON + 3 * HOUR, NOON, NOON - HOUR])
    assert [entry.files for entry in found] == [("f1",), ("f2",)]
    assert [entry.files for entry in named] == [("f0",), ("f3",)]


def test_drop_hours_forgets_one_dataset_before_a_moment(settings: Settings) -> None:
    with transaction(settings) as connection:
        for step in range(3):
            catalogue.append_files(connection, "observations", NOON + step * HOUR, [f"o{step}"], 1)
        catalogue.append_files(connection, "rollups", NOON, ["kept"], 1)
        assert catalogue.drop_hours(connection, "observations", NOON + 2 * HOUR + timedelta(minutes=30)) == 2
        assert [e.files for e in catalogue.entries(connection, "observations")] == [("o2",)]
        assert catalogue.referenced_files(connection) == {"o2", "kept"}


def test_concurrent_appends_lose_nothing(settings: Settings) -> None:
    def append(number: int) -> None:
        with transaction(settings) as connection:
            catalogue.lock_hour(connection, "observations", NOON)
            catalogue.append_files(connection, "observations", NOON, [f"file{number}"], 10)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, range(24)))
    with transaction(settings) as connection:
        entry = catalogue.entry(connection, "observations", NOON)
    assert entry is not None
    assert set(entry.files) == {f"file{number}" for number in range(24)}
    assert entry.rows == 240


def test_a_transaction_that_fails_leaves_the_hour_as_it_was(settings: Settings) -> None:
    with transaction(settings) as connection:
        catalogue.append_files(connection, "observations", NOON, ["a"], 1)
    with pytest.raises(RuntimeError), transaction(settings) as connection:
        catalogue.append_files(connection, "observations", NOON, ["b"], 1)
        raise RuntimeError
    with transaction(settings) as connection:
        entry = catalogue.entry(connection, "observations", NOON)
    assert entry is not None and entry.files == ("a",)
