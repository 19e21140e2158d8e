"""The decisions that two versions made side by side while the traffic was split between them, scored.

Here: reading them, from the lake and from what has not reached it yet. Not here: what follows from them (`sequential`,
`canary`).

Only decisions that were tagged with the trial and its share count: those of the active version before its router knew
of the canary are none of the comparison, and so are those of a router that does not split. A decision is read once all
that began with it should be in: later ones are left out by the time they began, which depends on neither version.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from cogorch_dagster.evaluation import decision_query
from cogorch_dagster.lake import query
from cogorch_dagster.observations import recent
from cogorch_dagster.observations.schema import FEEDBACK_SCHEMA, OBSERVATION_SCHEMA
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.rewards.configuration import RewardConfig, active_configurations
from cogorch_dagster.settings import Settings

if TYPE_CHECKING:
    import duckdb

Floats = npt.NDArray[np.float64]

DELIVERY_S = 1.0
"""How long a client gathers observations before it sends them, with some room."""
SETTLED_QUANTILE = 0.99

_TAGGED = """
    CREATE TEMP TABLE tagged AS
    SELECT DISTINCT ON (observation_id) *, CAST(json_extract(tags, '$.canary_share') AS DOUBLE) AS canary_share
    FROM (SELECT * FROM {lake} UNION ALL BY NAME SELECT * FROM waiting)
    WHERE occurred_at >= $since AND policy_id = $policy_id AND json_extract_string(tags, '$.canary') = $canary
"""
_ROWS = """
    SELECT share, epoch(d.started_at) AS began_s, version = $canary AS treated,
           coalesce('u' || unit_key, 'd' || decision_id) AS unit, s.reward, epoch(d.quality_at) AS quality_at_s,
           CAST(CASE WHEN s.reward IS NOT NULL THEN d.outcome <> 'success' END AS DOUBLE) AS failed,
           CASE WHEN s.reward IS NOT NULL THEN d.duration_ms END AS duration_ms,
           CASE WHEN s.reward IS NOT NULL THEN d.cost_usd END AS cost_usd,
           CASE WHEN unit_key IS NULL THEN d.sample_weight ELSE 1 END AS weight
    FROM decisions AS d
    JOIN (SELECT decision_id, any_value(unit_key) AS unit_key, any_value(canary_share) AS share
          FROM tagged GROUP BY decision_id) USING (decision_id)
    LEFT JOIN (SELECT decision_id, reward FROM scored) AS s USING (decision_id)
    WHERE version IN ($canary, $control) AND share > 0 AND share < 1
    ORDER BY began_s
"""


@dataclass(frozen=True, eq=False)
class Trial:
    """Decisions in the order in which they began.

    Attributes:
        rows: share (of the canary then), began_s (epoch), treated, unit, reward (NaN: none, or not judged for good
            yet), failed (0 or 1), duration_ms and cost_usd (at most the scale of the reward; NaN: not known), weight.
        longest_ms, dearest_usd: the scales of the reward, hence the ranges of durations and costs.
    """

    rows: pd.DataFrame
    longest_ms: float
    dearest_usd: float


def read_trial(settings: Settings, policy_id: str, control: str, canary: str, since: datetime) -> Trial:
    """The decisions that both versions made in the trial of `canary` since `since`."""
    with transaction(settings, isolation="REPEATABLE READ") as connection:
        found = recent.read(connection, policy_id, since)
        configs = active_configurations(connection)
    names = {"canary": canary, "control": control}
    with query.connected(settings) as duck:
        duck.register("waiting", found.waiting)
        duck.register("waiting_feedback", found.waiting_feedback)
        lake = query.scan(settings, found.observations, OBSERVATION_SCHEMA)
        judged = query.scan(settings, found.feedback, FEEDBACK_SCHEMA)
        duck.execute(_TAGGED.format(lake=lake), {"since": since, "policy_id": policy_id, "canary": canary})
        feedback = f"(SELECT * FROM {judged} UNION ALL BY NAME SELECT * FROM waiting_feedback)"  # noqa: S608
        duck.execute(decision_query.create_decisions("tagged", feedback, policy_id, seed=0, context_key=None))
        components = duck.execute("SELECT DISTINCT component, component_kind FROM decisions").fetchall()
        by_component = {(name, kind): configs.resolve(name, kind) for name, kind in components}
        rows = _rows(duck, by_component, names)
    scales = [config.params for config in by_component.values()]
    longest = max((each.max_latency_ms for each in scales), default=1.0)
    dearest = max((each.max_cost_usd for each in scales), default=1.0)
    rows["duration_ms"] = rows["duration_ms"].clip(upper=longest)
    rows["cost_usd"] = rows["cost_usd"].clip(upper=dearest)
    return Trial(rows, longest, dearest)


def _rows(
    duck: "duckdb.DuckDBPyConnection",
    by_component: Mapping[tuple[str, str], RewardConfig],
    names: Mapping[str, str],
) -> pd.DataFrame:
    if not by_component:
        columns = ("share", "began_s", "treated", "unit", "reward", "failed", "duration_ms", "cost_usd", "weight")
        return pd.DataFrame({name: np.zeros(0, bool if name == "treated" else float) for name in columns})
    duck.execute(decision_query.create_scored(by_component))
    rows = duck.execute(_ROWS, dict(names)).df()
    counts_quality = any(config.params.quality_weight > 0 for config in by_component.values())
    return _settled(rows, counts_quality=counts_quality)


def _settled(rows: pd.DataFrame, *, counts_quality: bool) -> pd.DataFrame:
    """Without the decisions that may not be in completely; without the reward where a judgement may be under way.

    Failures are never judged, so what they tell of errors, latency and cost does not wait for anybody's feedback.
    """
    duration = rows["duration_ms"].fillna(0.0)
    latest = (rows["began_s"] + duration / 1e3).max()
    lag = float(np.quantile(duration, SETTLED_QUANTILE)) / 1e3 + DELIVERY_S if len(rows) else 0.0
    rows = rows[rows["began_s"] <= latest - lag].copy()
    if counts_quality:
        delay = rows["quality_at_s"] - rows["began_s"]
        known = delay.dropna()
        wait = max(float(np.quantile(known, SETTLED_QUANTILE)), 0.0) if len(known) else 0.0
        rows.loc[rows["began_s"] > latest - wait, "reward"] = np.nan
    return rows.drop(columns="quality_at_s").reset_index(drop=True)


def by_unit(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each unit, the mean of its decisions: what was drawn once is one observation, however busy it is."""
    if rows["unit"].is_unique:
        return rows
    return rows.groupby(["treated", "unit"], sort=False, as_index=False).mean(numeric_only=True)


def values(rows: pd.DataFrame, metric: str) -> Floats:
    """The known values of a metric.

    Where the lake keeps a share of the successes only, each kept one stands for several: the values are then those of
    the weighted mean's linearisation, mean + w (y - mean) / mean(w), whose mean and variance are the weighted mean's.
    """
    known = rows[rows[metric].notna()]
    y = known[metric].to_numpy(np.float64)
    weight = known["weight"].to_numpy(np.float64)
    if not len(y) or np.ptp(weight) == 0:
        return y
    mean = float(np.average(y, weights=weight))
    return np.asarray(mean + weight * (y - mean) / weight.mean())
