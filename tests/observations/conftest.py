"""Rows and readings that the tests of observations share."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cogorch_dagster.lake import catalogue, query
from cogorch_dagster.lake.catalogue import Dataset
from cogorch_dagster.observations.parsing import parse_observations
from cogorch_dagster.observations.schema import Observation
from cogorch_dagster.platform import database
from cogorch_dagster.settings import Settings

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
Row = dict[str, Any]


@pytest.fixture
def row() -> Callable[..., Row]:
    """One good row, with whatever a test changes about it."""

    def make(number: int = 0, **changes: object) -> Row:
        return {
            "source": "test",
            "source_id": f"row-{number}",
            "occurred_at": (START + timedelta(minutes=number)).isoformat(),
            "component": "router:core",
            "component_kind": "llm_router",
            "outcome": "success",
            "duration_ms": 12.5,
            **changes,
        }

    return make


@pytest.fixture
def observe(row: Callable[..., Row]) -> Callable[..., list[Observation]]:
    """Observations one minute apart from 10:00 on, numbered from `first`."""

    def make(count: int, first: int = 0, **changes: object) -> list[Observation]:
        parsed = parse_observations([row(number, **changes) for number in range(first, first + count)])
        assert parsed.rejections == []
        return parsed.records

    return make


@pytest.fixture
def stored(settings: Settings) -> Callable[..., list[Row]]:
    """Everything that the lake holds of a dataset, in order of time, after holding it against the catalogue."""

    def read(dataset: Dataset = "observations") -> list[Row]:
        with database.transaction(settings) as connection:
            entries = catalogue.entries(connection, dataset)
        if not entries:
            return []
        with query.connected(settings) as duck:
            rows = duck.sql(f"FROM {query.scan(settings, entries)} ORDER BY occurred_at").to_arrow_table().to_pylist()
        assert sum(entry.rows for entry in entries) == len(rows)
        return rows

    return read
