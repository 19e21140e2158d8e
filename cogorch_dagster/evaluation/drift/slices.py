# ruff: noqa: S608  SQL is composed of relations, column names and numbers of our own; texts go through `quote`.
"""What explains a finding: the change of its metric along tenant, action, error type, provider and policy version."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from cogorch_dagster.evaluation.drift.attribution import Explanation, Slice, explain, ranked
from cogorch_dagster.evaluation.drift.panel import DAY, MIX, VALUE_SQL
from cogorch_dagster.lake import catalogue, query
from cogorch_dagster.observations.schema import OBSERVATION_SCHEMA
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.rewards.schema import REWARD_SCHEMA
from cogorch_dagster.settings import Settings

DIMENSIONS = {
    "tenant": "coalesce(o.tenant, 'none')",
    "action": "coalesce(o.action, 'none')",
    "error_type": "CASE WHEN r.outcome = 'success' THEN 'none' ELSE coalesce(o.error_type, r.outcome) END",
    "provider": "coalesce(o.provider_name, 'none')",
    "version": "coalesce(o.policy_id || '@' || o.policy_version, 'none')",
}
# What a metric is itself made of explains nothing about it.
_CIRCULAR = {"failures": {"error_type"}}
_DAYS_BEFORE = 7
_LONGEST_AFTER = 7 * DAY
# The tail of rare values (there may be a thousand tenants) is one slice.
_MOST_VALUES = 50


@dataclass(frozen=True)
class Comparison:
    """A metric before and since, and what explains the difference, the dimension that is most concentrated first.

    For a change of spread the difference is that of the mean squared distance from the mean before.
    """

    before: float | None
    after: float | None
    explanations: tuple[Explanation, ...]

    def document(self, most: int = 3) -> list[dict[str, Any]]:
        """The first dimensions as JSON, with the slices that are worth naming."""
        return [
            {
                "dimension": each.dimension,
                "change": each.change,
                "explained": each.explained,
                "concentration": each.concentration,
                "slices": [{**asdict(one), "total": one.total} for one in each.slices[: max(each.named, 1)]],
            }
            for each in self.explanations[:most]
        ]


def compare(
    settings: Settings, component: str, metric: str, began: datetime, until: datetime, *, spread: bool = False
) -> Comparison:
    """Explain the change of a metric since `began` against the week before.

    Of a stretch shorter than a day the same hours of the week before are compared, of a longer one whole days.

    Args:
        until: end of the stretch; at most a week of it is read.
        spread: explain the squared distance from the mean before instead of the mean.
    """
    until = min(until, began + _LONGEST_AFTER)
    first = began - _DAYS_BEFORE * DAY
    with transaction(settings) as connection:
        rewards = catalogue.entries(connection, "rewards", first, until)
        observations = catalogue.entries(connection, "observations", first, until)
    names = [name for name in DIMENSIONS if name not in _excluded(metric)]
    sql = _sql(
        query.scan(settings, rewards, REWARD_SCHEMA),
        query.scan(settings, observations, OBSERVATION_SCHEMA),
        component,
        _value(metric),
        {name: DIMENSIONS[name] for name in names},
        first,
        began,
        until,
    )
    sums: dict[str, dict[bool, dict[str, tuple[float, float, float]]]] = {name: {True: {}, False: {}} for name in names}
    with query.connected(settings) as duck:
        for dimension, is_after, value, w, wy, wyy in duck.execute(sql).fetchall():
            sums[dimension][is_after][value] = (w, wy, wyy)
    before, after = (_mean(sums[names[0]][side]) for side in (False, True))
    found = []
    for name in names:
        centre = before if spread else None
        old, new = (_slices(sums[name][side], centre) for side in (False, True))
        found.append(explain(name, old, new))
    return Comparison(before, after, tuple(ranked(found)))


def _sql(
    rewards: str,
    observations: str,
    component: str,
    value: str,
    dimensions: Mapping[str, str],
    first: datetime,
    began: datetime,
    until: datetime,
) -> str:
    listed = ", ".join(f"{expression} AS {name}" for name, expression in dimensions.items())
    times = [f"TIMESTAMPTZ {query.quote(moment.isoformat())}" for moment in (first, began, until)]
    same_hours = "true"
    if until - began < DAY:
        hours = {
            (began + timedelta(minutes=10 * i)).hour for i in range(int((until - began) / timedelta(minutes=10)) + 1)
        }
        same_hours = f"(r.occurred_at >= {times[1]} OR hour(r.occurred_at) IN ({', '.join(map(str, sorted(hours)))}))"
    parts = " UNION ALL ".join(
        f"""(SELECT '{name}', is_after, {name}, sum(w), sum(w * y), sum(w * y * y) FROM
             (SELECT * REPLACE (CASE WHEN {name} IN (SELECT {name} FROM joined GROUP BY {name} ORDER BY sum(w) DESC,
                                {name} LIMIT {_MOST_VALUES}) THEN {name} ELSE 'others' END AS {name}) FROM joined)
             GROUP BY ALL)"""
        for name in dimensions
    )
    return f"""
        WITH joined AS MATERIALIZED (
            SELECT r.occurred_at >= {times[1]} AS is_after, r.sample_weight AS w, {value} AS y, {listed}
            FROM {rewards} AS r JOIN {observations} AS o ON o.observation_id = r.observation_id
            WHERE r.component = {query.quote(component)} AND r.occurred_at >= {times[0]} AND r.occurred_at < {times[2]}
              AND {same_hours} AND {value} IS NOT NULL
        )
        {parts}"""


def _value(metric: str) -> str:
    if metric.startswith(MIX):
        return f"(o.action IS NOT DISTINCT FROM {query.quote(metric.removeprefix(MIX))})::DOUBLE"
    return VALUE_SQL[metric]


def _excluded(metric: str) -> set[str]:
    return {"action", "error_type", "provider"} if metric.startswith(MIX) else _CIRCULAR.get(metric, set())


def _mean(sums: Mapping[str, tuple[float, float, float]]) -> float | None:
    weight = sum(w for w, _, _ in sums.values())
    return sum(wy for _, wy, _ in sums.values()) / weight if weight else None


def _slices(sums: Mapping[str, tuple[float, float, float]], centre: float | None) -> dict[str, Slice]:
    if centre is None:
        return {value: Slice(w, wy / w) for value, (w, wy, _) in sums.items()}
    # E(y − c)² from E y² and E y.
    return {v: Slice(w, wyy / w - 2 * centre * wy / w + centre**2) for v, (w, wy, wyy) in sums.items()}
