"""Eight days of a small router in the lake, with something that goes wrong at the end."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from cogorch_dagster.lake import catalogue, files
from cogorch_dagster.lake.hours import HOUR, hours_between
from cogorch_dagster.observations.identity import derive
from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.rewards import materialise
from cogorch_dagster.settings import Settings

COMPONENT = "router:core"
PER_HOUR = 120
# What an observation is made of: change in place what goes wrong. `at` is hours since the beginning.
Columns = dict[str, np.ndarray]


def serve(
    settings: Settings,
    start: datetime,
    until: datetime,
    trouble: Callable[[Columns], None],
    policy: str | None = None,
) -> None:
    """Requests of two tenants to two arms, slower by day, one in fifty failing; scored at once.

    Args:
        policy: whose decisions they are, if any's; then each has a length, which makes it slower, and which it says.
    """
    rng = np.random.default_rng(1)
    count = round((until - start) / HOUR * PER_HOUR)
    at = (np.arange(count) + 0.5) / PER_HOUR
    columns: Columns = {
        "at": at,
        "tenant": rng.choice(["acme", "globex"], count, p=[0.3, 0.7]),
        "action": rng.choice(["small", "large"], count, p=[0.6, 0.4]),
        "failed": rng.random(count) < 0.02,
        "error_type": np.full(count, "overloaded"),
        "duration_ms": np.exp(6 + 0.4 * np.cos(2 * np.pi * at / 24) + 0.5 * rng.standard_normal(count)),
    }
    if policy is not None:
        columns["length"] = rng.random(count)
    trouble(columns)
    if policy is not None:
        columns["duration_ms"] *= np.exp(columns["length"])
    moments = [start + timedelta(hours=float(hour)) for hour in at]
    rows = {
        "observation_id": [derive("test", str(i), moment) for i, moment in enumerate(moments)],
        "source": ["test"] * count,
        "source_id": [str(i) for i in range(count)],
        "occurred_at": moments,
        "ingested_at": moments,
        "component": [COMPONENT] * count,
        "component_kind": ["llm_router"] * count,
        "action": columns["action"].tolist(),
        "tenant": columns["tenant"].tolist(),
        "outcome": np.where(columns["failed"], "failure", "success").tolist(),
        "error_type": np.where(columns["failed"], columns["error_type"], None).tolist(),
        "duration_ms": columns["duration_ms"].tolist(),
        "sample_weight": [1.0] * count,
    }
    if policy is not None:
        rows |= {
            "policy_id": [policy] * count,
            "policy_version": ["1.0.0"] * count,
            "decision_id": [f"d{moment.timestamp()}" for moment in moments],
            "action_set": [["large", "small"]] * count,
            "propensity": np.where(columns["action"] == "small", 0.6, 0.4).tolist(),
            "attempt": [1] * count,
            "context": [json.dumps({"length": float(length)}) for length in columns["length"]],
        }
    nothing: list[None] = [None] * count
    table = pa.table(
        {each.name: pa.array(rows.get(each.name, nothing), type=each.type) for each in OBSERVATION_SCHEMA},
        schema=OBSERVATION_SCHEMA,
    )
    hours = hours_between(start, until)
    with transaction(settings) as connection:
        for number, hour in enumerate(hours):
            part = table.slice(number * PER_HOUR, PER_HOUR)
            if len(part):
                path = files.write(settings, "observations", hour, part)
                catalogue.append_files(connection, "observations", hour, [path], len(part))
    materialise.materialise_rewards(settings, hours)
