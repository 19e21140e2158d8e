"""What a search found for each agent's hyperparameters: its trials, the verdict on fresh seeds, and a draft of it."""

import time
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from assets.agent_partitions import BY_AGENT
from assets.fleet_calibration import fleet_calibration
from assets.presentation import shown, table
from assets.tuning_metadata import (
    FINALIST_COLUMNS,
    TRIAL_COLUMNS,
    UPDATE_COLUMNS,
    finalist_rows,
    pictures_of,
    trial_row,
    update_rows,
)
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.fleet.calibration.calibration import Calibration
    from cogorch_dagster.settings import Settings
    from cogorch_dagster.tuning.confirmation import Confirmation
    from cogorch_dagster.tuning.finalists import Finals
    from cogorch_dagster.tuning.search import Outcome
    from cogorch_dagster.tuning.study import Study

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
    finalists: int = Field(
        default=4, ge=0, le=50, description="Best trials trained anew beside what is in force; 0: the best score wins."
    )
    finalist_trainings: int = Field(default=4, ge=1, le=100, description="Of a finalist on average.")
    fresh_seeds: int | None = Field(
        default=None, ge=3, le=1000, description="On which the winner is confirmed: 10, or as many as before."
    )
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

    Trials train the agent in the calibrated fleet within the bounds and steps that its policy allows. The best of them
    are trained anew, as the best of many scores is partly luck, and the winner again, on fresh seeds beside what is in
    force: only that difference counts. Where it lies above zero, the winner becomes a draft of the agent's policy,
    which waits in the same gate as any. A run that was stopped is gone on with by the next one of the same plan.
    """
    from cogorch_dagster.errors import CogorchError, Refused
    from cogorch_dagster.tuning import confirmation as confirming
    from cogorch_dagster.tuning import finalists, search
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
                workers=config.workers,
                progress=lambda done, total: context.log.info(f"confirmed on {done} of {total} fresh seeds"),
                selected=lambda now: context.log.info(_finalist_said(now)),
                stop=stop,
            )
    except Interrupted:
        confirmation = None
    except CogorchError as error:
        reason = error.reason if isinstance(error, Refused) else "invalid_input"
        raise dg.Failure(description=f"{reason}: {error}", allow_retries=False) from error
    finals = finalists.standing(settings, study)
    verdict, draft = (
        _unconfirmed(outcome, finals)
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
                [trial_row(each, study.plan.current) for each in outcome.trials], TRIAL_COLUMNS, limit=SHOWN
            ),
            **({"finalists": table(finalist_rows(finals), FINALIST_COLUMNS)} if finals.finalists else {}),
            **pictures_of(settings, study, outcome),
            "updates": table(update_rows(settings, context.partition_key), UPDATE_COLUMNS, limit=20),
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
    from cogorch_dagster.tuning.rejection import selection_of

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
            selection=selection_of(config.finalists, config.finalist_trainings),
        )
        return studies.begin(connection, studies.name_of(plan), plan, run_id), latest


def _unconfirmed(outcome: "Outcome", finals: "Finals") -> tuple[str, None]:
    from cogorch_dagster.tuning.confirmation import is_in_force

    if outcome.ended and outcome.best is None:
        return "no trial is complete", None
    if outcome.ended and finals.winner is not None and is_in_force(outcome.study.plan, finals.winner.params):
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
    try:
        register_confirmed(settings, study, confirmation)
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


def _finalist_said(now: Any) -> str:
    came = f"return {now.value:.4f}" if now.value is not None else f"failed: {now.error}"
    return f"finalist trial {now.trial}, training {now.place + 1}: {came}; {now.done} of {now.total}"


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
