"""How what a search came to looks in the web interface: trials, finalists, pictures, and earlier winners in use."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.presentation import moment, picture, shown

if TYPE_CHECKING:
    from cogorch_dagster.settings import Settings
    from cogorch_dagster.tuning.finalists import Finals
    from cogorch_dagster.tuning.search import Outcome
    from cogorch_dagster.tuning.study import Study

TRIAL_COLUMNS = {
    "trial": "in the order in which they began; 0 is what was in force",
    "state": "complete, failed, running or waiting",
    "score": "lower bound of the mean normalised return over the training seeds",
    "mean": "normalised return: 0 acts at random, 1 is the best possible",
    "conflicts": "declared, per step",
    "inference_ms": "CPU time of a decision",
    "steps": "of single fleets, trained",
    "seconds": "of training and evaluation",
    "params": "what differs from those in force",
    "error": "of a training that failed",
}
FINALIST_COLUMNS = {
    "trial": "0 is what was in force; the winner comes first",
    "trainings": "after the search, on seeds of their own, the same ones for all",
    "mean": "normalised return of these trainings; scores of the search do not count here",
    "low": "of its 95 % interval",
    "high": "of its 95 % interval",
    "state": "won, dropped, trained or failed",
}
UPDATE_COLUMNS = {
    "update": "policy and version",
    "action": "approve or rollback",
    "by": "who decided",
    "activated": "UTC",
    "taken_over": "running processes that acknowledged it",
    "refused": "running processes that refused it, with the reason",
    "latency_ms": "from the activation to the slowest acknowledgement",
    "before": "mean reward per step of running agents before it",
    "after": "and since",
}


def trial_row(trial: Any, current: dict[str, Any]) -> dict[str, object]:
    """Of TRIAL_COLUMNS; `current` is what was in force."""
    changed = {name: value for name, value in trial.params.items() if value != current.get(name)}
    return {
        "trial": trial.number,
        "state": trial.state,
        "score": shown(trial.values[0]) if trial.values else None,
        "mean": shown(trial.mean),
        "conflicts": shown(trial.conflicts, 3),
        "inference_ms": shown(trial.inference_ms, 3),
        "steps": trial.steps,
        "seconds": shown(trial.seconds, 3),
        "params": ", ".join(f"{name} {value}" for name, value in changed.items()),
        "error": (trial.error or "")[:200],
    }


def finalist_rows(finals: "Finals") -> list[dict[str, object]]:
    """Of FINALIST_COLUMNS."""
    rows: list[dict[str, object]] = []
    for each in finals.finalists:
        low, high = each.interval or (None, None)
        state = "dropped" if each.dropped is not None else "trained" if finals.winner is None else "won"
        rows.append(
            {
                "trial": each.trial.number,
                "trainings": len(each.returns),
                "mean": shown(each.mean),
                "low": shown(low),
                "high": shown(high),
                "state": f"failed: {each.error[:150]}" if each.error else state,
            }
        )
    return rows


def pictures_of(settings: "Settings", study: "Study", outcome: "Outcome") -> dict[str, dg.MetadataValue]:
    """What the study has enough trials for: history, importance, Pareto front."""
    from cogorch_dagster.tuning import pictures
    from cogorch_dagster.tuning.importance import importances
    from cogorch_dagster.tuning.trials import Trials

    found: dict[str, dg.MetadataValue] = {}
    if any(each.state in ("complete", "failed") for each in outcome.trials):
        found["history"] = picture(pictures.history(outcome.trials), "score by trial")
    trials = Trials(settings, study)
    try:
        shares = importances(trials)
    finally:
        trials.close()
    if shares:
        found["importance"] = picture(pictures.importance_figure(shares), "what mattered")
    if len(study.plan.objectives) > 1 and outcome.pareto:
        front = pictures.pareto_figure(outcome.trials, outcome.pareto, study.plan.objectives)
        found["pareto_front"] = picture(front, "what no other trial surpasses in everything")
    return found


def update_rows(settings: "Settings", agent: str) -> list[dict[str, object]]:
    """Of UPDATE_COLUMNS: the agent's activations so far, and what running processes made of them."""
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.serving import updates
    from cogorch_dagster.serving.update import refusals

    with transaction(settings) as connection:
        found = updates.history(connection, agent, limit=20)
    rows = []
    for each in found:
        latencies = [answer.latency_ms for answer in each.acknowledgements if answer.accepted and answer.latency_ms]
        refused = [f"{why} x {count}" for why, count in refusals(each.acknowledgements).items()]
        rows.append(
            {
                "update": each.ref,
                "action": each.action,
                "by": each.decided_by or "",
                "activated": moment(each.activated_at),
                "taken_over": each.taken_over,
                "refused": "; ".join(refused[:3]),
                "latency_ms": shown(max(latencies, default=None), 3),
                "before": shown(each.before.mean),
                "after": shown(each.after.mean),
            }
        )
    return rows
