"""What is looked at in everything that tuning found: that it may be proposed at all, and that it is better."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.agent_partitions import AGENTS
from assets.presentation import moment, shown, table
from assets.tuned_hyperparameters import tuned_hyperparameters
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.tuning.study import Study

BOUND_COLUMNS = {
    "agent": "whose",
    "study": "that found them",
    "level": "of strictness of the agent's policy",
    "violations": "parameter, value, bound and remedy; none where they may follow what is in force",
}
GAIN_COLUMNS = {
    "agent": "whose",
    "study": "that found them",
    "ended": "UTC",
    "verdict": "better, worse or not shown, by the interval on fresh seeds",
    "gain": "of the normalised return over what was in force",
    "low": "of its 95 % interval",
    "high": "of its 95 % interval",
    "seeds": "fresh ones",
}


@dg.asset_check(asset=tuned_hyperparameters)
def within_bounds(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """What the latest study of every agent found lies within the bounds and the largest steps of the agent's policy.

    The gate refuses anything else when it is proposed, approved and activated; here it shows before that.
    """
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies import store
    from cogorch_dagster.policies.hyperparameters import AGENT_KINDS, policy_of
    from cogorch_dagster.policies.ranges import violations

    rows: list[dict[str, object]] = []
    for study in _latest(cogorch):
        agent = study.plan.agent
        with transaction(cogorch.settings) as connection:
            level = store.policy(connection, policy_of(agent)).strictness
        found = violations(AGENT_KINDS[agent], study.plan.current, _result(study)["params"], level)
        rows.append({"agent": agent, "study": study.name, "level": level, "violations": "; ".join(found) or "none"})
    wrong = [f"{row['agent']}: {row['violations']}" for row in rows if row["violations"] != "none"]
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(wrong) or f"What {len(rows)} studies found may follow what is in force.",
        metadata={"studies": table(rows, BOUND_COLUMNS)},
    )


@dg.asset_check(asset=tuned_hyperparameters)
def better_on_fresh_seeds(cogorch: CogorchResource) -> dg.AssetCheckResult:
    """The winner of each agent's latest study earns more than what was in force, on seeds the search has never seen.

    A warning: that what is in force could not be bettered is a result too, and then nothing is proposed.
    """
    rows = [_gain_row(study) for study in _latest(cogorch)]
    short = [f"{row['agent']}: {row['verdict']}" for row in rows if row["verdict"] != "better"]
    said = f"{len(rows)} winners are better." if rows else "No study has a winner that was confirmed."
    return dg.AssetCheckResult(
        passed=not short,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Not shown to be better: {'; '.join(short)}." if short else said,
        metadata={"studies": table(rows, GAIN_COLUMNS)},
    )


tuning_checks = [within_bounds, better_on_fresh_seeds]


def _latest(cogorch: CogorchResource) -> "list[Study]":
    """Each agent's newest study that has a result."""
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.tuning import study as studies

    with transaction(cogorch.settings) as connection:
        every = [studies.listing(connection, agent) for agent in AGENTS]
    found = [next((study for study in of_agent if study.result is not None), None) for of_agent in every]
    return [study for study in found if study is not None]


def _result(study: "Study") -> dict[str, Any]:
    return study.result or {}


def _gain_row(study: "Study") -> dict[str, object]:
    result = _result(study)
    found = result["found"]
    return {
        "agent": study.plan.agent,
        "study": study.name,
        "ended": moment(study.ended_at),
        "verdict": result["verdict"],
        "gain": shown(found["mean"]),
        "low": shown(found["low"]),
        "high": shown(found["high"]),
        "seeds": len(result["seeds"]),
    }
