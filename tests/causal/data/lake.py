"""Requests to one component, made from arrays, as observations and rewards in a lake."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import numpy as np
import pyarrow as pa

from cogorch_dagster.lake import catalogue, files
from cogorch_dagster.lake.hours import HOUR, hours_between
from cogorch_dagster.observations.identity import derive
from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.rewards import materialise
from cogorch_dagster.settings import Settings
from tests.evaluation.traffic import POLICY

COMPONENT = "router:core"
START = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Requests:
    """Columns by name, rows in order of time; `second` counts from `START`."""

    columns: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]


def autoscaled(seed: int, hours: int = 4, per_hour: int = 1800) -> Requests:
    """Replicas follow the load of the minute before, latency grows with load per replica; a new version halfway."""
    rng = np.random.default_rng(seed)
    minutes = hours * 60
    level = np.exp(0.4 * np.sin(np.arange(minutes) / 20) + 0.2 * rng.standard_normal(minutes))
    counts = rng.poisson(per_hour / 60 * level)
    replicas = np.round(1 + 3 * np.roll(level, 1)).astype(int)
    minute = np.repeat(np.arange(minutes), counts)
    n = len(minute)
    late = minute >= minutes // 2
    large = rng.random(n) < np.where(late, 0.5, 0.2)
    queue = rng.gamma(2.0, 5.0, n) * (counts / replicas)[minute]
    work = rng.gamma(4.0, np.where(large, 40.0, 10.0))
    return Requests(
        {
            "second": minute * 60 + rng.integers(0, 60, n),
            "minute": minute,
            "tenant": rng.choice(["acme", "globex", "initech"], n, p=[0.3, 0.6, 0.1]),
            "action": np.where(large, "large", "small"),
            "version": np.where(late, "1.0.1", "1.0.0"),
            "attempt": np.where(rng.random(n) < 0.1, 2, 1),
            "failed": rng.random(n) < 0.05,
            "tokens": rng.integers(10, 1000, n),
            "queue_ms": queue,
            "duration_ms": queue + work,
            "cost": np.where(large, 0.0016, 0.0001),
            "replicas": replicas[minute],
            "surge": level[minute] > 1.2,
            "weight": np.where(rng.random(n) < 0.5, 1.0, 2.0),
        }
    )


def store(
    settings: Settings, requests: Requests, *, context: bool = True, component: str = COMPONENT, source: str = "test"
) -> None:
    """Put the requests into the lake, each in its hour, and score them."""
    order = np.argsort(requests["second"], kind="stable")
    moments = [START + timedelta(seconds=int(second)) for second in requests["second"][order]]
    n = len(moments)
    rows: dict[str, Sequence[Any]] = {
        "observation_id": [derive(source, str(i), moment) for i, moment in enumerate(moments)],
        "source": [source] * n,
        "source_id": [str(i) for i in range(n)],
        "occurred_at": moments,
        "ingested_at": moments,
        "component": [component] * n,
        "component_kind": ["llm_router"] * n,
        "policy_id": [POLICY] * n,
        "policy_version": requests["version"][order].tolist(),
        "action": requests["action"][order].tolist(),
        "tenant": requests["tenant"][order].tolist(),
        "attempt": requests["attempt"][order].tolist(),
        "outcome": np.where(requests["failed"], "failure", "success")[order].tolist(),
        "input_tokens": requests["tokens"][order].tolist(),
        "queue_ms": requests["queue_ms"][order].tolist(),
        "duration_ms": requests["duration_ms"][order].tolist(),
        "cost_amount": requests["cost"][order].tolist(),
        "cost_currency": ["USD"] * n,
        "sample_weight": requests["weight"][order].tolist(),
    }
    if context:
        # Numbers as they are or, as from a file of text, in quotes.
        rows["context"] = [
            f'{{"replicas":{quote}{replicas}{quote},"surge":{"true" if surge else "false"},"topic":"t{replicas}"}}'
            for replicas, surge, quote in zip(
                requests["replicas"][order], requests["surge"][order], cycle(["", '"']), strict=False
            )
        ]
    table = pa.table(
        {each.name: pa.array(rows.get(each.name, [None] * n), type=each.type) for each in OBSERVATION_SCHEMA},
        schema=OBSERVATION_SCHEMA,
    )
    numbers = requests["second"][order] // 3600
    hours = hours_between(START, START + (int(numbers[-1]) + 1) * HOUR)
    with transaction(settings) as connection:
        for number, hour in enumerate(hours):
            begin, end = np.searchsorted(numbers, [number, number + 1])
            if end > begin:
                path = files.write(settings, "observations", hour, table.slice(begin, end - begin))
                catalogue.append_files(connection, "observations", hour, [path], int(end - begin))
    materialise.materialise_rewards(settings, hours)
