"""What a search found for each agent's hyperparameters: its trials, the verdict on fresh seeds, and a draft of it."""

import time
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from assets.agent_partitions import BY_AGENT
from assets.fleet_calibration import fleet_calibration
from assets.presentation import moment, picture, shown, table
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.fleet.calibration.calibration import Calibration
    from cogorch_dagster.settings import Settings
    from cogorch_dagster.tuning.confirmation import Confirmation
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
SHOWN = 40


class SearchConfig(dg.Config):
    """How long to search, how, and whether to propose what is found."""

    budget: str = Field(default="quick", description="Of a training: quick (10 episodes) or full (50).")
    trials: int = Field(default=24, ge=1, le=10_000, description="Of the study, whoever runs them.")
    sampler: str = Field(default="tpe", description="tpe, cma-es, gp, grid or random.")
    objectives: list[str] = Field(default=["reward"], description="reward first; then conflicts, latency.")
    workers: int = Field(default=1, ge=1, le=64, description="Processes of this machine.")
    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="Of everything random.")
    episodes: int | None = Field(default=None, ge=1, le=100_000, description="Of a training, instead of the budget's.")
    fleets: int | None = Field(default=None, ge=1, le=100_000, description="Trained in at once, instead.")
    trainings: int | None = Field(default=None, ge=1, le=100, description="Of a trial, each with a seed, instead.")
    fresh_seeds: int = Field(default=10, ge=3, le=1000, description="On which the winner is confirmed.")
    minutes: float = Field(
        default=20, gt=0, le=25, description="Ends there at the latest; the next run of the same plan goes on."
    )
    propose: bool = Field(default=True, description="Store a confirmed winner as a draft.")


@dg.asset(
    partitions_def=BY_AGENT,
    deps=[fleet_calibration],
    group_name="tuning",
    kinds={"optuna", "pytorch", "postgres"},
    owners=["team:learning"],
)
def tuned_hyperparameters(
    context: dg.AssetExecutionContext, config: SearchConfig, cogorch: CogorchResource
) -> dg.MaterializeResult[None]:
    """The best hyperparameters that a search with real training found for an agent, and whether they are better.

    Trials train the agent in the calibrated fleet within the bounds and steps that its policy allows. The winner is
    trained anew on fresh seeds beside what is in force: only that difference counts. Where it lies above zero, the
    winner becomes a draft of the agent's policy, which waits in the same gate as any. A run that was stopped is gone
    on with by the next one of the same plan.
    """
    from cogorch_dagster.errors import CogorchError, Refused
    from cogorch_dagster.tuning import confirmation as confirming
    from cogorch_dagster.tuning import search
    from cogorch_dagster.tuning.objective import Interrupted

    settings, begun = cogorch.settings, time.monotonic()

    def stop() -> bool:
        return time.monotonic() - begun > 60 * config.minutes

    try:
        study, calibration = _study(settings, context.partition_key, config, context.run_id)
        outcome = search.run(
            settings,
            study,
            config.trials,
            workers=config.workers,
            progress=lambda now: context.log.info(_said(now)),
            stop=stop,
        )
        confirmation = None
        if outcome.ended and outcome.best is not None:
            confirmation = confirming.confirm(
                settings,
                study,
                seeds=config.fresh_seeds,
                progress=lambda done, total: context.log.info(f"confirmed on {done} of {total} fresh seeds"),
                stop=stop,
            )
    except Interrupted:
        confirmation = None
    except CogorchError as error:
        reason = error.reason if isinstance(error, Refused) else "invalid_input"
        raise dg.Failure(description=f"{reason}: {error}", allow_retries=False) from error
    verdict, draft = (
        _unconfirmed(outcome)
        if confirmation is None
        else _judged(context, settings, study, confirmation, propose=config.propose)
    )
    return dg.MaterializeResult(
        metadata={
            "outcome": dg.MetadataValue.text(f"{_trials_said(outcome)}; {verdict}"),
            **({"next": _next(draft)} if draft else {}),
            **_confirmed_metadata(confirmation),
            "study": study.name,
            "in_force": study.plan.version or "none",
            "trials": table(
                [_trial_row(each, study.plan.current) for each in outcome.trials], TRIAL_COLUMNS, limit=SHOWN
            ),
            **_pictures(settings, study, outcome),
            "updates": table(_updates(settings, context.partition_key), UPDATE_COLUMNS, limit=20),
            "calibration": calibration.digest if calibration else "none: documented defaults",
            "seed": study.plan.seed,
            "seconds": round(time.monotonic() - begun, 1),
            "plan": dg.MetadataValue.json(study.plan.document()),
        }
    )


def _study(settings: "Settings", agent: str, config: SearchConfig, run_id: str) -> "tuple[Study, Calibration | None]":
    from cogorch_dagster.fleet.calibration import store as calibrations
    from cogorch_dagster.fleet.parameters import default_parameters
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.tuning import study as studies
    from cogorch_dagster.tuning.budget import budget_of
    from cogorch_dagster.tuning.planning import plan_for

    budget = budget_of(config.budget, episodes=config.episodes, fleets=config.fleets, seeds=config.trainings)
    with transaction(settings) as connection:
        latest = calibrations.latest(connection)
        plan = plan_for(
            connection,
            agent,
            latest.parameters if latest else default_parameters(),
            budget=budget,
            sampler=config.sampler,
            objectives=config.objectives,
            seed=config.seed,
        )
        return studies.begin(connection, studies.name_of(plan), plan, run_id), latest


def _unconfirmed(outcome: "Outcome") -> tuple[str, None]:
    from cogorch_dagster.tuning.confirmation import is_in_force

    if outcome.ended and outcome.best is None:
        return "no trial is complete", None
    if outcome.ended and outcome.best is not None and is_in_force(outcome.study.plan, outcome.best.params):
        return "nothing found that beats what is in force", None
    return "stopped by the clock, the next run of the same plan goes on", None


def _judged(
    context: dg.AssetExecutionContext,
    settings: "Settings",
    study: "Study",
    confirmation: "Confirmation",
    *,
    propose: bool,
) -> tuple[str, str | None]:
    """What is to be said of the winner, and the draft that waits for a decision, if one does."""
    from cogorch_dagster.errors import CogorchError, Refused
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.tuning import proposing
    from cogorch_dagster.tuning.registration import register_confirmed

    found = confirmation.found
    said = (
        f"{found.verdict} on {len(confirmation.seeds)} fresh seeds: "
        f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f})"
    )
    if found.verdict != "better":
        return f"{said}; what is in force stands", None
    plan = study.plan
    try:
        register_confirmed(settings, study.name, plan.agent, confirmation, plan.parameters, plan.code)
    except CogorchError as error:
        context.log.warning(f"The winner is not registered: {error}")
    if not propose:
        return f"{said}; not proposed, as the configuration has it", None
    try:
        with transaction(settings) as connection:
            version, decision = proposing.propose(
                connection, study, confirmation, actor="dagster:tuned_hyperparameters"
            )
    except Refused as refusal:
        return f"{said}; not proposed, {refusal.reason}: {refusal}", None
    if decision is not None:
        return f"{said}; {version.ref} was approved by {decision.actor}", None
    return f"{said}; {version.ref} waits for a decision", version.ref


def _said(now: Any) -> str:
    trial = now.trial
    came = f"score {trial.values[0]:.4f}" if trial.values else f"failed: {trial.error}"
    best = f", best {now.best.values[0]:.4f} of trial {now.best.number}" if now.best else ""
    return f"trial {trial.number}, {now.ended} of {now.total}: {came}{best}"


def _trials_said(outcome: "Outcome") -> str:
    failed = outcome.count("failed")
    return f"{outcome.count('complete')} of {outcome.total} trials complete" + (f", {failed} failed" if failed else "")


def _next(draft: str) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"    cogorch policy approve {draft} --reason '...'")


def _confirmed_metadata(confirmation: "Confirmation | None") -> dict[str, Any]:
    if confirmation is None:
        return {}
    found = confirmation.found
    return {
        "verdict": found.verdict,
        "gain": shown(found.mean),
        "gain_low": shown(found.low),
        "gain_high": shown(found.high),
        "normalised_return": shown(found.candidate),
        "normalised_return_in_force": shown(found.baseline),
        "hyperparameters": dg.MetadataValue.json(confirmation.params),
    }


def _trial_row(trial: Any, current: dict[str, Any]) -> dict[str, object]:
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


def _pictures(settings: "Settings", study: "Study", outcome: "Outcome") -> dict[str, dg.MetadataValue]:
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


def _updates(settings: "Settings", agent: str) -> list[dict[str, object]]:
    """The agent's activations so far, and what running processes made of them."""
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
