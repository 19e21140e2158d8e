"""A component in the lake as a data set: buckets of time as rows, and the variables of `lake.variables` as columns.

DuckDB does the sums; no row of the lake is loaded. What the columns mean and how they are computed is in `lake`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from cogorch_dagster.causal.data.constants import constants
from cogorch_dagster.causal.data.dataset import CausalDataset, SetAside
from cogorch_dagster.causal.data.lags import with_lags
from cogorch_dagster.causal.data.lake import context_keys, measures, mix, parameters, seen, width
from cogorch_dagster.causal.data.lake.variables import Buckets, Column
from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.lake import catalogue, query
from cogorch_dagster.lake.catalogue import HourEntry
from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.rewards.schema import REWARD_SCHEMA
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    import duckdb

MOST_DAYS = 400
LEAST_KNOWN = 0.5
"""A variable that has a value in fewer of the rows is set aside."""

_MEANING = "2"
"""Part of the digest of the inputs: raise it when the meaning of a column changes."""


def read_dataset(
    settings: Settings,
    component: str,
    since: datetime,
    until: datetime,
    *,
    bucket: timedelta | None = None,
    lags: int = 0,
) -> CausalDataset:
    """The data set of one component in [since, until).

    Rows are the buckets within the period that hold at least 5 scored observations; buckets that follow one another
    are one group. Variables that are constant or known in less than half of the rows are set aside.

    Args:
        bucket: width that divides a day; by default the widest of 1 s to 1 h that makes 1,000 rows.
        lags: also columns of so many buckets before (see `lags.with_lags`).

    Raises:
        InvalidInput: an empty period or one of more than 400 days, no observations of the component, a bucket that does
            not divide a day or makes more than 200,000 rows, or fewer than 2 variables or rows.
    """
    _check(since, until)
    given = None if bucket is None else width.checked(bucket)
    with transaction(settings, isolation="REPEATABLE READ") as connection:
        observations = catalogue.entries(connection, "observations", since, until)
        rewards = catalogue.entries(connection, "rewards", since, until)
    with query.connected(settings) as duck:
        observed = query.scan(settings, observations, OBSERVATION_SCHEMA)
        mine, inside = seen.mine(component, since, until), seen.observed(component, since, until)
        total = seen.create(duck, observed, inside)
        if total == 0:
            raise InvalidInput(_nothing(duck, observed, component, since, until))
        refs = parameters.acted(duck)
        with transaction(settings) as connection:
            params = parameters.stored(connection, refs)
        rows = _rows(duck, given or width.chosen(duck), since, until, component)
        asides: list[SetAside] = []
        columns: list[Column] = []
        for made, aside in (
            (measures.from_observations(duck, rows), []),
            mix.tenants(duck, rows),
            context_keys.read(duck, observed, inside, total, rows),
            parameters.read(duck, rows, refs, params),
            mix.arms(duck, rows),
            (measures.from_rewards(duck, query.scan(settings, rewards, REWARD_SCHEMA), mine, rows), []),
        ):
            columns += made
            asides += aside
    inputs = _inputs([*observations, *rewards], params)
    return with_lags(_dataset(component, columns, asides, rows, since, until, inputs), lags)


def components(settings: Settings, since: datetime, until: datetime) -> list[str]:
    """The components that have rewards in the period; the installation's own runs are none."""
    with transaction(settings) as connection:
        rewards = catalogue.entries(connection, "rewards", since, until)
    with query.connected(settings) as duck:
        relation = query.scan(settings, rewards, REWARD_SCHEMA)
        sql = f"SELECT DISTINCT component FROM {relation} ORDER BY ALL"  # noqa: S608
        names = [row[0] for row in duck.execute(sql).fetchall()]
    return [name for name in names if not name.startswith("dagster:")]


def _check(since: datetime, until: datetime) -> None:
    if since >= until:
        raise InvalidInput(f"since {since:%Y-%m-%dT%H:%MZ} is not before until {until:%Y-%m-%dT%H:%MZ}; swap them")
    if (until - since).days > MOST_DAYS:
        raise InvalidInput(f"the period has {(until - since).days} days; at most {MOST_DAYS}: choose a later `since`")


def _nothing(duck: "duckdb.DuckDBPyConnection", observed: str, component: str, since: datetime, until: datetime) -> str:
    sql = f"SELECT DISTINCT component FROM {observed} ORDER BY 1 LIMIT 10"  # noqa: S608
    names = [row[0] for row in duck.execute(sql).fetchall()]
    there = f"there are {', '.join(names)}" if names else "there are none of any component"
    return f"{component!r} has no observations from {since.isoformat()} to {until.isoformat()}; {there}"


def _rows(duck: "duckdb.DuckDBPyConnection", width_s: int, since: datetime, until: datetime, component: str) -> Buckets:
    """Only buckets that lie in the period as a whole."""
    first = -(-round(since.timestamp() * 1e6) // (width_s * 1_000_000))
    last = round(until.timestamp() * 1e6) // (width_s * 1_000_000) - 1
    rows = measures.buckets(duck, width_s, first, last, width.MOST_ROWS)
    if len(rows.numbers) < 2:
        raise InvalidInput(
            f"{component!r} has {len(rows.numbers)} buckets of {width_s} s with {seen.FEWEST} scored observations; "
            "take a longer period, or buckets of another width"
        )
    return rows


def _dataset(
    component: str,
    columns: Sequence[Column],
    asides: list[SetAside],
    rows: Buckets,
    since: datetime,
    until: datetime,
    inputs: str,
) -> CausalDataset:
    """The columns by tier, without those that are rarely known or constant."""
    kept = []
    for column in sorted(columns, key=lambda each: each.variable.tier):
        known = float(np.mean(~np.isnan(column.values)))
        if known >= LEAST_KNOWN:
            kept.append(column)
        elif known > 0:
            asides.append(SetAside(column.variable.name, f"has a value in {known:.1%} of the rows"))
    data = CausalDataset(
        scope=component,
        variables=tuple(column.variable for column in kept),
        values=np.stack([column.values for column in kept], axis=1),
        groups=np.cumsum(np.diff(rows.numbers, prepend=rows.numbers[:1]) > 1),
        times=rows.numbers * rows.width_s,
        since=since.astimezone(UTC),
        until=until.astimezone(UTC),
        inputs=inputs,
        set_aside=tuple(asides),
    )
    still = constants(data)
    gone = {each.name for each in still}
    names = tuple(name for name in data.names if name not in gone)
    if len(names) < 2:
        raise InvalidInput(f"{component!r} has {len(names)} variables that vary in the period; take a longer one")
    return data.only(names, tuple(still))


def _inputs(entries: Sequence[HourEntry], params: Mapping[parameters.Ref, Mapping[str, Any]]) -> str:
    found = hashlib.sha256(_MEANING.encode())
    for each in entries:
        found.update(f"\n{each.dataset} {each.hour:%Y-%m-%dT%H} {each.digest}".encode())
    for (policy, version), document in sorted(params.items()):
        found.update(f"\n{policy}@{version} ".encode() + orjson.dumps(document, option=orjson.OPT_SORT_KEYS))
    return f"sha256:{found.hexdigest()}"
