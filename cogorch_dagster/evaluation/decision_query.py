"""SQL that turns the attempts in the lake into decisions: one row each, scored as a whole.

A decision is what its caller experienced: the outcome of its last attempt, the time and money of all its attempts, and
the quality of its answer, scored by the reward formula of single observations (`rewards.scoring`).
"""

# ruff: noqa: S608  SQL is composed of relations and column names of our own; texts go through `quote`.

from collections.abc import Collection, Mapping

from cogorch_dagster.lake.query import quote
from cogorch_dagster.rewards.configuration import RewardConfig
from cogorch_dagster.rewards.scoring import configuration_values, is_scored, latest_quality, score_columns

FOLDS = 5
MOST_LABELS = 20
"""Tenants modelled on their own, and values of a context key told apart: the busiest ones."""
OTHERS = "(others)"
"""The label of the rest."""


def create_decisions(observations: str, feedback: str, policy_id: str, seed: int, context_key: str | None) -> str:
    """Statement that creates the table `decisions` from relations of observations and feedback.

    `half` splits the decisions into two by a hash of their id, `fold` into five by other bits of it: the same ones
    on every machine, and whatever else is logged. `problem` says why a decision cannot be used, null when it can.
    """
    number = f"md5_number_lower({quote(f'{seed}:')} || decision_id)"
    path = quote(f'$."{context_key}"')
    context = "''" if context_key is None else f"coalesce(json_extract_string(arg_min(context, attempt), {path}), '')"
    return f"""
        CREATE TEMP TABLE decisions AS
        WITH judged AS ({latest_quality(feedback)}),
        judged_at AS (
            SELECT observation_id, max(occurred_at) AS quality_at
            FROM {feedback} WHERE metric = 'quality' GROUP BY observation_id
        ),
        attempts AS (
            SELECT decision_id, coalesce(attempt, 1) AS attempt, action, propensity, component, component_kind,
                   list_sort(list_distinct(action_set)) AS action_set, tenant, policy_version, occurred_at, source,
                   outcome, duration_ms, coalesce(sample_weight, 1) AS sample_weight, quality, quality_at, context,
                   CASE WHEN coalesce(cost_currency, 'USD') = 'USD' THEN cost_amount END AS cost_usd
            FROM {observations}
            LEFT JOIN judged USING (observation_id) LEFT JOIN judged_at USING (observation_id)
            WHERE policy_id = {quote(policy_id)} AND decision_id IS NOT NULL
        )
        SELECT decision_id, min(occurred_at) AS started_at, count(*) AS attempts,
               arg_min(policy_version, attempt) AS version, arg_min(component, attempt) AS component,
               arg_min(component_kind, attempt) AS component_kind, arg_min(source, attempt) AS source,
               coalesce(arg_min(tenant, attempt), '') AS tenant, {context} AS label,
               list(action ORDER BY attempt) AS actions, list(propensity ORDER BY attempt) AS propensities,
               list(action_set ORDER BY attempt) AS action_sets,
               arg_max(outcome, attempt) AS outcome, sum(duration_ms) AS duration_ms, sum(cost_usd) AS cost_usd,
               arg_max(quality, quality_at) AS quality, max(quality_at) AS quality_at,
               -- Only the success of a first attempt is ever sampled, so at most one attempt has a weight above 1.
               max(sample_weight) AS sample_weight,
               ({number} % 2)::INTEGER AS half, ({number} // 2 % {FOLDS})::INTEGER AS fold,
               CASE
                   WHEN bool_or(outcome = 'pending') THEN 'pending'
                   WHEN max(attempt) <> count(*) OR count(DISTINCT attempt) <> count(*) THEN 'incomplete'
                   WHEN NOT {is_scored("arg_max(outcome, attempt)")} THEN 'cancelled'
                   WHEN bool_or(propensity IS NULL OR propensity <= 0 OR propensity > 1 OR action IS NULL
                                OR NOT coalesce(list_contains(action_set, action), false)) THEN 'no_propensity'
               END AS problem
        FROM attempts GROUP BY decision_id"""


def mark_awaiting(since: str, until: str, settled_until: str | None) -> list[str]:
    """Statements that restrict `decisions` to a period and mark those whose feedback may still be under way.

    Args:
        since, until: timestamps as SQL; the decision's first attempt lies in [since, until).
        settled_until: timestamp as SQL; later decisions, judged or not, await feedback. None: none do.
    """
    statements = [f"DELETE FROM decisions WHERE NOT (started_at >= {since} AND started_at < {until})"]
    if settled_until is not None:
        # Judged ones are left out too: keeping only what was judged fast would select by the outcome.
        statements.append(
            f"UPDATE decisions SET problem = 'awaiting_feedback' WHERE problem IS NULL AND started_at > {settled_until}"
        )
    return statements


def create_scored(configs: Mapping[tuple[str, str], RewardConfig], tenants: Collection[str] = ()) -> str:
    """Statement that creates `scored`: the decisions that have a reward, with the configuration that gave it.

    Args:
        tenants: told apart however few decisions they have.
    """
    columns = score_columns(
        outcome="d.outcome", quality="d.quality", duration_ms="d.duration_ms", cost_usd="d.cost_usd"
    )
    return f"""
        CREATE TEMP TABLE scored AS
        WITH busiest_tenants AS ({_busiest("tenant")}), busiest_labels AS ({_busiest("label")})
        SELECT * EXCLUDE (tenant, label), score AS reward,
               CASE WHEN tenant IN (FROM busiest_tenants) OR tenant IN ({", ".join(map(quote, ["", *tenants]))})
                    THEN tenant ELSE {quote(OTHERS)} END AS tenant,
               CASE WHEN label IN (FROM busiest_labels) THEN label ELSE {quote(OTHERS)} END AS label
        FROM (
            SELECT d.*, config.reward_policy_id, config.reward_version, {columns}
            FROM decisions AS d JOIN {configuration_values(configs)} USING (component, component_kind)
            WHERE problem IS NULL OR problem = 'no_propensity'
        )"""


def _busiest(column: str) -> str:
    return f"SELECT {column} FROM decisions GROUP BY {column} ORDER BY count(*) DESC, {column} LIMIT {MOST_LABELS}"


_S, _Y = "sample_weight", "reward"
SUMS = ", ".join(
    ["count(*)", *(f"sum({term})" for term in (_S, f"{_S} * {_Y}", f"{_S} * {_Y} * {_Y}"))]
    + [f"sum({_S} * {_S}{term})" for term in ("", f" * {_Y}", f" * {_Y} * {_Y}")]
)
"""Select list of the sums of `patterns.Sums`, in its order."""

PATTERNS = f"""
    SELECT half, fold, tenant, actions, propensities, action_sets, {SUMS}, label
    FROM scored WHERE problem IS NULL
    GROUP BY half, fold, tenant, actions, propensities, action_sets, label
    ORDER BY half, fold, tenant, actions, propensities, action_sets, label"""

VERSIONS = (
    f"SELECT version, count(*) FILTER (problem IS NULL) AS usable, {SUMS} FROM scored GROUP BY version ORDER BY version"
)
