import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.lake import catalogue, files, query
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TABLE = pa.table({"number": pa.array([1, 2, 3]), "name": pa.array(["a", "b", None])})


def on_disk(settings: Settings) -> set[str]:
    root = Path(settings.lake_root)
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def age(settings: Settings, path: str, by: timedelta) -> None:
    moment = (datetime.now(UTC) - by).timestamp()
    os.utime(Path(settings.lake_root, path), (moment, moment))


def test_a_written_file_reads_back_and_its_name_is_new_each_time(settings: Settings) -> None:
    first = files.write(settings, "rewards", NOON, TABLE)
    second = files.write(settings, "rewards", NOON, TABLE)
    assert first != second
    assert first.startswith("rewards/hour=2026-03-01T12/")
    assert on_disk(settings) == {first, second}
    with query.connected(settings) as duckdb:
        rows = duckdb.execute(f"SELECT number, name FROM {query.scan(settings, [first])} ORDER BY 1").fetchall()
    assert rows == [(1, "a"), (2, "b"), (3, None)]


def test_clean_up_keeps_what_is_named_and_what_is_young(settings: Settings) -> None:
    named, young, orphan = (files.write(settings, "observations", NOON, TABLE) for _ in range(3))
    for path in (named, orphan):
        age(settings, path, timedelta(days=400))
    with transaction(settings) as connection:
        catalogue.append_files(connection, "observations", NOON, [named], 3)
    assert files.delete_unreferenced(settings, timedelta(hours=24)) == 1
    assert on_disk(settings) == {named, young}


def test_clean_up_spares_a_write_that_commits_later(settings: Settings) -> None:
    with transaction(settings) as connection:
        path = files.write(settings, "observations", NOON, TABLE)
        catalogue.append_files(connection, "observations", NOON, [path], 3)
        assert files.delete_unreferenced(settings, timedelta(minutes=5)) == 0
    age(settings, path, timedelta(days=1))
    assert files.delete_unreferenced(settings, timedelta(minutes=5)) == 0
    assert on_disk(settings) == {path}


def test_clean_up_clears_partial_files_and_empty_folders_of_old(settings: Settings) -> None:
    path = files.write(settings, "rollups", NOON, TABLE)
    partial = Path(settings.lake_root, path).with_suffix(".partial")
    Path(settings.lake_root, path).rename(partial)
    age(settings, str(partial.relative_to(settings.lake_root)), timedelta(days=2))
    assert files.delete_unreferenced(settings, timedelta(hours=1)) == 1
    assert partial.parent.is_dir()
    age(settings, str(partial.parent.relative_to(settings.lake_root)), timedelta(days=2))
    assert files.delete_unreferenced(settings, timedelta(hours=1)) == 0
    assert not partial.parent.exists()


def test_a_negative_age_is_refused(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="negative"):
        files.delete_unreferenced(settings, timedelta(hours=-1))


def test_a_lake_on_another_file_system(settings: Settings, tmp_path: Path) -> None:
    remote = settings.model_copy(update={"lake": f"memory://{tmp_path.name}"})
    kept = files.write(remote, "feedback", NOON, TABLE)
    files.write(remote, "feedback", NOON, TABLE)
    with transaction(remote) as connection:
        catalogue.append_files(connection, "feedback", NOON, [kept], 3)
        entries = catalogue.entries(connection, "feedback")
    streamed = files.reserve(remote, "feedback", NOON)
    with query.connected(remote) as duckdb:
        assert duckdb.execute(f"SELECT sum(number) FROM {query.scan(remote, entries)}").fetchone() == (6,)
        duckdb.execute(f"COPY (SELECT 7 AS number) TO '{files.urls(remote, [streamed])[0]}' (FORMAT parquet)")
        files.settle(remote, streamed)
        assert duckdb.execute(f"SELECT number FROM {query.scan(remote, [streamed])}").fetchone() == (7,)
    assert files.delete_unreferenced(remote, timedelta(hours=1)) == 0
    assert files.delete_unreferenced(remote, timedelta(0)) == 2
    with query.connected(remote) as duckdb:
        assert duckdb.execute(f"SELECT count(*) FROM {query.scan(remote, entries)}").fetchone() == (3,)
