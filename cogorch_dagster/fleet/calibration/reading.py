"""What a calibration needs of observations, from the lake or from a table in memory, by the same SQL.

The installation's own runs are left out: they are no requests to a fleet.
Counts by the minute are exact. Of rows at most about 200,000 are kept, chosen by a hash of their ids and evenly over
the hours, so that the memory is bounded and the same data give the same sample.
"""

# ruff: noqa: S608  SQL is composed of relations of our own; texts go through `quote`.

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.calibration.frame import Floats, Frame, Rows
from cogorch_dagster.fleet.calibration.grouping import ModelSummary, group_models, group_tenants
from cogorch_dagster.fleet.parameters import MODELS, TENANTS, FleetParameters
from cogorch_dagster.lake import catalogue, query
from cogorch_dagster.lake.query import quote
from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA
from cogorch_dagster.observations.sources import dagster_runs
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    import duckdb

MOST_ROWS = 200_000
LEAST_PER_HOUR = 50
MOST_MODELS = 500
MOST_INTERVALS = 2_000_000
MOST_DAYS = 400


def read_lake(
    settings: Settings,
    since: datetime,
    until: datetime,
    base: FleetParameters,
    replicas: Mapping[str, int] | None = None,
) -> Frame | None:
    """The observations of the lake in [since, until); None when there are none.

    Raises:
        InvalidInput: the period is empty or longer than 400 days.
    """
    _check(since, until)
    with transaction(settings) as connection:
        entries = catalogue.entries(connection, "observations", since, until)
    if not entries:
        return None
    inputs = hashlib.sha256("\n".join(f"{each.hour:%Y-%m-%dT%H} {each.digest}" for each in entries).encode())
    with query.connected(settings) as duckdb:
        relation = query.scan(settings, entries)
        return _frame(duckdb, relation, since, until, base, replicas or {}, "sha256:" + inputs.hexdigest())


def read_table(
    table: pa.Table,
    since: datetime,
    until: datetime,
    base: FleetParameters,
    replicas: Mapping[str, int] | None = None,
) -> Frame | None:
    """The same from a table with some of the columns of an observation; `occurred_at` is needed.

    Raises:
        InvalidInput: no `occurred_at`, or the period is empty or longer than 400 days.
    """
    import duckdb

    _check(since, until)
    if "occurred_at" not in table.column_names:
        raise InvalidInput(f"the table has the columns {', '.join(table.column_names)}; occurred_at is needed")
    if "observation_id" not in table.column_names:
        table = table.append_column("observation_id", pa.array([str(row) for row in range(table.num_rows)]))
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in OBSERVATION_SCHEMA
    ]
    table = pa.Table.from_arrays(columns, schema=pa.schema([f.with_nullable(True) for f in OBSERVATION_SCHEMA]))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    inputs = "sha256:" + hashlib.sha256(sink.getvalue()).hexdigest()
    connection = duckdb.connect(config={"threads": 1})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("given", table)
        return _frame(connection, "given", since, until, base, replicas or {}, inputs)
    finally:
        connection.close()


def _check(since: datetime, until: datetime) -> None:
    if since >= until:
        raise InvalidInput(f"since {since:%Y-%m-%dT%H:%MZ} is not before until {until:%Y-%m-%dT%H:%MZ}; swap them")
    if (until - since).days > MOST_DAYS:
        raise InvalidInput(f"the period has {(until - since).days} days; at most {MOST_DAYS}: choose a later `since`")


def _frame(
    connection: "duckdb.DuckDBPyConnection",
    relation: str,
    since: datetime,
    until: datetime,
    base: FleetParameters,
    replicas: Mapping[str, int],
    inputs: str,
) -> Frame | None:
    connection.execute(_view(relation, since, until))
    total, first, last = connection.execute("SELECT count(*), min(at_s), max(at_s) FROM seen").fetchall()[0]
    if total == 0:
        return None
    start = int(first) // 60
    minutes = int(last) // 60 - start + 1
    tenants = group_tenants(
        connection.execute(
            "SELECT tenant, sum(w) AS n FROM seen WHERE first GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5"
        ).fetchall(),
        [each.name for each in base.tenants],
    )
    models = group_models(
        [ModelSummary(*row) for row in connection.execute(_MODELS).fetchall()], [each.name for each in base.models]
    )
    rest = next((place for place, each in enumerate(tenants) if each.rest), -1)
    _places(connection, "tenant_place", [each.members for each in tenants])
    _places(connection, "model_place", [each.members for each in models])
    connection.execute(_PLACED.format(rest=rest, start=start))
    requests, squares = np.zeros((TENANTS, minutes)), np.zeros(TENANTS)
    counted = _columns(connection, _REQUESTS)
    place = counted["tenant"].astype(np.int64)
    requests[place, counted["minute"].astype(np.int64)] = counted["n"]
    np.add.at(squares, place, counted["squares"])
    attempts, failures, late = np.zeros((MODELS, minutes)), np.zeros((MODELS, minutes)), np.zeros(MODELS)
    ended = _columns(connection, _ATTEMPTS)
    where = (ended["model"].astype(np.int64), ended["minute"].astype(np.int64))
    attempts[where], failures[where] = ended["n"], ended["failures"]
    np.add.at(late, where[0], ended["timeouts"])
    sums = requests.sum(axis=1)
    return Frame(
        begin=datetime.fromtimestamp(start * 60, UTC),
        tenants=tenants,
        models=models,
        requests=requests,
        thinning=np.maximum(squares / np.maximum(sums, 1e-9) - 1, 0.0),
        attempts=attempts,
        failures=failures,
        timeouts=late / np.maximum(attempts.sum(axis=1), 1e-9),
        rows=_sample(connection, minutes, replicas),
        total=int(total),
        inputs=inputs,
    )


def _view(relation: str, since: datetime, until: datetime) -> str:
    period = " AND ".join(
        f"occurred_at {sign} TIMESTAMPTZ {quote(moment.astimezone(UTC).isoformat())}"
        for sign, moment in ((">=", since), ("<", until))
    )
    return f"""
        CREATE TEMP VIEW seen AS
        SELECT observation_id, coalesce(tenant, '(none)') AS tenant,
               coalesce(request_model, action, component, '(none)') AS model,
               epoch_us(occurred_at) / 1e6 AS at_s, coalesce(attempt, 1) = 1 AS first,
               CASE outcome WHEN 'failure' THEN 1 WHEN 'timeout' THEN 2 WHEN 'pending' THEN 3 WHEN 'cancelled' THEN 3
                            ELSE 0 END AS outcome,
               greatest(duration_ms - coalesce(queue_ms, 0), 0) AS work_ms, coalesce(queue_ms, 0) AS queue_ms,
               input_tokens, output_tokens,
               CASE WHEN coalesce(cost_currency, 'USD') = 'USD' THEN cost_amount END AS cost_usd,
               coalesce(sample_weight, 1)::DOUBLE AS w
        FROM {relation} WHERE {period} AND coalesce(source, '') <> {quote(dagster_runs.SOURCE)}"""


_MODELS = f"""
    SELECT model, sum(w) AS n, sum(w * work_ms) FILTER (outcome = 0 AND work_ms IS NOT NULL)
                               / sum(w) FILTER (outcome = 0 AND work_ms IS NOT NULL)
    FROM seen GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MOST_MODELS}"""
_PLACED = """
    CREATE TEMP VIEW placed AS
    SELECT seen.* EXCLUDE (tenant, model), model AS model_name, coalesce(t.place, {rest})::INTEGER AS tenant,
           coalesce(m.place, -1)::INTEGER AS model, (floor(at_s / 60) - {start})::INTEGER AS minute
    FROM seen LEFT JOIN tenant_place t ON t.name = seen.tenant LEFT JOIN model_place m ON m.name = seen.model"""
_REQUESTS = """
    SELECT tenant, minute, sum(w) AS n, sum(w * w) AS squares FROM placed WHERE first AND tenant >= 0 GROUP BY 1, 2"""
_ATTEMPTS = """
    SELECT model, minute, sum(w) AS n, coalesce(sum(w) FILTER (outcome = 1), 0) AS failures,
           coalesce(sum(w) FILTER (outcome = 2), 0) AS timeouts
    FROM placed WHERE model >= 0 AND outcome < 3 GROUP BY 1, 2"""


def _places(connection: "duckdb.DuckDBPyConnection", name: str, members: Sequence[Sequence[str]]) -> None:
    pairs = [(member, place) for place, group in enumerate(members) for member in group]
    names, places = (
        pa.array([each[0] for each in pairs], pa.string()),
        pa.array([each[1] for each in pairs], pa.int32()),
    )
    connection.register(name, pa.table({"name": names, "place": places}))


def _columns(connection: "duckdb.DuckDBPyConnection", text: str) -> dict[str, Any]:
    """Columns of a result as arrays of floats, NaN for null."""
    return {name: np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)
            for name, column in connection.execute(text).fetchnumpy().items()}  # fmt: skip


def _sample(connection: "duckdb.DuckDBPyConnection", minutes: int, replicas: Mapping[str, int]) -> Rows:
    per_hour = max(LEAST_PER_HOUR, MOST_ROWS * 60 // max(minutes, 60))
    # Bits that the id's own order in time does not decide; the same on every machine.
    kept = f"md5_number_lower(observation_id) % 1000003 < 1000003.0 * {per_hour} / in_hour"
    connection.execute(
        f"""CREATE TEMP TABLE sample AS
        SELECT placed.*, greatest(in_hour / {per_hour}, 1.0) AS times
        FROM placed JOIN (SELECT minute // 60 AS hour, count(*) AS in_hour FROM placed GROUP BY 1)
             ON hour = minute // 60
        WHERE {kept} ORDER BY at_s, observation_id"""
    )
    found = _columns(
        connection,
        """SELECT tenant, model, minute, first::INTEGER AS first, outcome, work_ms, input_tokens, output_tokens,
                  cost_usd, w * times AS weight, at_s + queue_ms / 1000 AS start_s FROM sample""",
    )
    concurrency = np.full(len(found["minute"]), np.nan)
    for name, number in sorted(replicas.items()):
        concurrency = _concurrency(connection, name, number, found, concurrency)
    whole = {name: found[name].astype(np.int64) for name in ("tenant", "model", "minute", "outcome")}
    measured = {name: found[name] for name in ("work_ms", "input_tokens", "output_tokens", "cost_usd", "weight")}
    return Rows(**whole, **measured, first=found["first"] > 0, concurrency=concurrency)


def _concurrency(
    connection: "duckdb.DuckDBPyConnection", name: str, replicas: int, found: Mapping[str, Floats], into: Floats
) -> Floats:
    """Mean number of a model's requests in work on one replica, over the time of each sampled request."""
    if replicas < 1:
        raise InvalidInput(f"model {name} has {replicas} replicas; give at least 1")
    begin, end = (
        each
        for each in _columns(
            connection,
            f"""SELECT at_s + queue_ms / 1000 AS a, at_s + (queue_ms + work_ms) / 1000 AS b FROM seen
            WHERE model = {quote(name)} AND work_ms > 0 ORDER BY at_s DESC LIMIT {MOST_INTERVALS}""",
        ).values()
    )
    mine = np.array(connection.execute(f"SELECT model_name = {quote(name)} FROM sample").fetchnumpy().popitem()[1] > 0)
    if len(begin) == 0 or not mine.any():
        return into
    times = np.concatenate([begin, end])
    order = np.argsort(times, kind="stable")
    times = times[order]
    level = np.cumsum(np.concatenate([np.ones(len(begin)), -np.ones(len(end))])[order])
    area = np.concatenate([[0.0], np.cumsum(level[:-1] * np.diff(times))])
    start, stop = found["start_s"], found["start_s"] + found["work_ms"] / 1000
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (np.interp(stop, times, area) - np.interp(start, times, area)) / (stop - start)
    usable = mine & (start >= times[0]) & np.isfinite(mean)
    return np.where(usable, 1 + np.maximum(mean - 1, 0.0) / replicas, into)
