import os
import subprocess
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from cogorch_dagster.lake import files, query
from cogorch_dagster.settings import Settings

SCHEMA = pa.schema(
    [
        pa.field("at", pa.timestamp("us", "UTC")),
        pa.field("name", pa.string()),
        pa.field("arms", pa.list_(pa.string())),
        pa.field("buckets", pa.map_(pa.int32(), pa.float64())),
        pa.field("attempt", pa.int16()),
        pa.field("hit", pa.bool_()),
        pa.field("parts", pa.struct([("x", pa.float64())])),
    ]
)


def test_an_empty_relation_has_the_types_of_its_schema(settings: Settings) -> None:
    written = files.write(settings, "rewards", datetime(2026, 1, 1, tzinfo=UTC), SCHEMA.empty_table())
    with query.connected(settings) as duckdb:
        nothing, stored = (
            duckdb.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
            for relation in (query.scan(settings, [], SCHEMA), query.scan(settings, [written]))
        )
        assert nothing == stored
        assert [row[0] for row in stored] == SCHEMA.names
        assert duckdb.execute(f"SELECT * FROM {query.scan(settings, [], SCHEMA)}").fetchall() == []


def test_an_empty_scan_without_a_schema_names_the_remedy(settings: Settings) -> None:
    with pytest.raises(ValueError, match="pass the schema"):
        query.scan(settings, [])


def test_limits_and_zone_come_from_the_settings(settings: Settings) -> None:
    small = settings.model_copy(update={"duckdb_memory_limit": "100MiB", "duckdb_threads": 1})
    with query.connected(small) as duckdb:
        row = duckdb.execute(
            "SELECT current_setting('memory_limit'), current_setting('threads'), current_setting('TimeZone')"
        ).fetchone()
    assert row == ("100.0 MiB", 1, "UTC")


def test_more_rows_than_memory_spill_and_leave_nothing(settings: Settings) -> None:
    small = settings.model_copy(update={"duckdb_memory_limit": "60MB", "duckdb_threads": 1})
    with query.connected(small) as duckdb:
        rows = duckdb.execute(
            "SELECT count(*), max(t) FROM (SELECT i::VARCHAR AS t FROM range(3000000) r(i) ORDER BY hash(i), t)"
        )
        assert rows.fetchone() == (3_000_000, "999999")
    assert list((settings.home / "spill").iterdir()) == []


def test_the_spill_of_a_dead_process_is_cleared(settings: Settings) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    dead, living = (settings.home / "spill" / f"{pid}-abc" for pid in (child.pid, os.getpid()))
    for folder in (dead, living):
        folder.mkdir(parents=True)
    query.connect(settings).close()
    assert not dead.exists()
    assert living.exists()
