"""The reward of an observation, as SQL over columns: the one place where the formula stands.

score = clamp(base + success·[success] + quality·q − latency·min(duration/max_latency, 1) − cost·min(cost/max_cost, 1)
              − error·[failure or timeout], 0, 1)

What is not known costs and earns nothing: a missing duration, cost or quality has part 0, and so has a cost in another
currency than USD. Pending and cancelled observations are not scored.
"""

# ruff: noqa: S608  SQL is composed of relations, column names and numbers of our own; texts go through `quote`.

from collections.abc import Mapping

from cogorch_dagster.lake.query import quote
from cogorch_dagster.rewards.configuration import RewardConfig

# Part of every hour's input digest: raise it when the meaning of a stored reward changes.
FORMULA = "1"
SCORED_OUTCOMES = ("success", "failure", "timeout")

_PARAMETERS = (
    "base",
    "success_weight",
    "quality_weight",
    "latency_weight",
    "cost_weight",
    "error_weight",
    "max_latency_ms",
    "max_cost_usd",
)
MICROSECONDS_PER_HOUR = 3_600_000_000


def is_scored(outcome: str) -> str:
    """SQL condition: an observation with this outcome expression has a reward."""
    return f"{outcome} IN ({', '.join(map(quote, SCORED_OUTCOMES))})"


def score_columns(*, outcome: str, quality: str, duration_ms: str, cost_usd: str, config: str = "config") -> str:
    """SQL select list `base, success_part, ..., error_part, score` from column expressions.

    Args:
        outcome: text as in the observation schema.
        quality: in [0, 1], or null when there is none.
        duration_ms: milliseconds or null.
        cost_usd: USD or null.
        config: alias of a relation with the columns of `configuration_values`.
    """
    parts = {
        "base": f"{config}.base",
        "success_part": f"CASE WHEN {outcome} = 'success' THEN {config}.success_weight ELSE 0::DOUBLE END",
        "quality_part": f"{config}.quality_weight * coalesce({quality}, 0::DOUBLE)",
        "latency_part": f"{config}.latency_weight * least(coalesce({duration_ms}, 0) / {config}.max_latency_ms, 1)",
        "cost_part": f"{config}.cost_weight * least(coalesce({cost_usd}, 0) / {config}.max_cost_usd, 1)",
        "error_part": f"CASE WHEN {outcome} IN ('failure', 'timeout') THEN {config}.error_weight ELSE 0::DOUBLE END",
    }
    listed = ", ".join(f"{expression} AS {name}" for name, expression in parts.items())
    total = " + ".join(f"({parts[name]})" for name in ("base", "success_part", "quality_part"))
    minus = "".join(f" - ({parts[name]})" for name in ("latency_part", "cost_part", "error_part"))
    return f"{listed}, least(greatest({total}{minus}, 0), 1) AS score"


def configuration_values(configs: Mapping[tuple[str, str], RewardConfig], alias: str = "config") -> str:
    """SQL relation with one row of parameters for each (component, component_kind); at least one is needed.

    Its columns: component, component_kind, reward_policy_id, reward_version, then the parameters of the formula.
    """
    if not configs:
        raise ValueError("configs is empty; there is nothing to score.")
    rows = []
    for (component, kind), config in configs.items():
        texts = [quote(text) for text in (component, kind, config.policy_id, config.version)]
        numbers = [f"{float(getattr(config.params, name))!r}::DOUBLE" for name in _PARAMETERS]
        rows.append(f"({', '.join(texts + numbers)})")
    names = ", ".join(("component", "component_kind", "reward_policy_id", "reward_version", *_PARAMETERS))
    return f"(VALUES {', '.join(rows)}) AS {alias}({names})"


def latest_quality(feedback: str) -> str:
    """SQL query `observation_id, quality` from a feedback relation: the judgement that occurred last holds."""
    return f"""
        SELECT observation_id, arg_max(value, (occurred_at, ingested_at, value)) AS quality
        FROM {feedback} WHERE metric = 'quality' GROUP BY observation_id"""


def hour_number(occurred_at: str) -> str:
    """SQL for the number of whole hours since 1970, BIGINT."""
    return f"(epoch_us({occurred_at}) // {MICROSECONDS_PER_HOUR})"


def rewards_query(observations: str, feedback: str | None, configs: Mapping[tuple[str, str], RewardConfig]) -> str:
    """SQL query with the columns of `REWARD_SCHEMA`, one row for each scored observation.

    Args:
        observations: relation of observations.
        feedback: relation of feedback, None when there is none.
        configs: what scores each (component, component_kind) of the observations.
    """
    columns = score_columns(
        outcome="o.outcome", quality="quality", duration_ms="o.duration_ms", cost_usd="cost_usd", config="config"
    )
    join = f"LEFT JOIN ({latest_quality(feedback)}) AS q USING (observation_id)" if feedback else ""
    return f"""
        SELECT o.observation_id, o.occurred_at, o.component, o.component_kind, o.policy_id, o.policy_version,
               score, base, success_part, quality_part, latency_part, cost_part, error_part,
               quality, reward_policy_id, reward_version, sample_weight, o.outcome, o.duration_ms, cost_usd
        FROM (
            SELECT o.*, {"q.quality" if feedback else "NULL::DOUBLE AS quality"},
                   config.reward_policy_id, config.reward_version, {columns}
            FROM (
                SELECT * REPLACE (coalesce(sample_weight, 1) AS sample_weight),
                       CASE WHEN coalesce(cost_currency, 'USD') = 'USD' THEN cost_amount END AS cost_usd
                FROM {observations} WHERE {is_scored("outcome")}
            ) AS o
            JOIN {configuration_values(configs)} USING (component, component_kind)
            {join}
        ) AS o"""
