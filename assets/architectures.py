"""What the search of each agent's network came to, rung by rung, and whether the best is better than what there is."""

import time
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from assets.agent_partitions import BY_AGENT
from assets.fleet_calibration import fleet_calibration
from assets.presentation import picture, shown, table
from resources.installation import CogorchResource

if TYPE_CHECKING:
    from cogorch_dagster.settings import Settings
    from cogorch_dagster.tuning.halving.architectures import Outcome
    from cogorch_dagster.tuning.halving.study import Study

RUNG_COLUMNS = {
    "rung": "from the shortest training to the full one",
    "steps": "of single fleets, that a trial has been trained for there",
    "reached": "trials that came there and were paused",
    "promoted": "of those, gone on with from where they were paused",
    "failed": "trainings that diverged on the way",
    "best": "highest score: lower bound of the normalised return",
    "median": "of the scores",
}
TRIAL_COLUMNS = {
    "trial": "in the order in which they began",
    "status": "paused, training, complete or failed",
    "rung": "the highest that it reached",
    "score": "there",
    "architecture": "hidden layers, activation, dropout",
    "error": "of a training that failed",
}


class ArchitectureConfig(dg.Config):
    """How much to search."""

    budget: str = Field(default="quick", description="Of a full training: quick (10 episodes) or full (50).")
    full_trainings: float = Field(
        default=12, ge=1, le=10_000, description="The study's steps, as so many trainings to the end."
    )
    rungs: int = Field(default=4, ge=1, le=10, description="At which trials are paused.")
    eta: int = Field(default=3, ge=2, le=16, description="One of so many is promoted.")
    joint: bool = Field(default=False, description="Search the hyperparameters together with the network.")
    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="Of everything random.")
    episodes: int | None = Field(default=None, ge=1, le=100_000, description="Of a training, instead of the budget's.")
    fleets: int | None = Field(default=None, ge=1, le=100_000, description="Trained in at once, instead.")
    trainings: int | None = Field(default=None, ge=1, le=100, description="Of a trial, each with a seed, instead.")
    fresh_seeds: int = Field(default=10, ge=3, le=1000, description="On which the winner is confirmed.")
    minutes: float = Field(
        default=20, gt=0, le=25, description="Ends there at the latest; the next run of the same plan goes on."
    )
    propose: bool = Field(default=False, description="Store a confirmed winner as a draft.")


@dg.asset(
    partitions_def=BY_AGENT,
    deps=[fleet_calibration],
    group_name="tuning",
    kinds={"optuna", "pytorch", "postgres"},
    owners=["team:learning"],
)
def architectures(
    context: dg.AssetExecutionContext, config: ArchitectureConfig, cogorch: CogorchResource
) -> dg.MaterializeResult[None]:
    """The best network that successive halving found for an agent, and whether it is better on fresh seeds.

    Many networks are trained for a little; each is paused with its whole state, and the best third of a rung goes on
    from there for three times as long. A network takes effect with the next training, so a draft of it is stored only
    where the configuration asks for that. A run that was stopped is gone on with by the next one of the same plan.
    """
    from cogorch_dagster.errors import CogorchError, Refused
    from cogorch_dagster.tuning.halving.architectures import conclude, search
    from cogorch_dagster.tuning.objective import Interrupted

    settings, begun = cogorch.settings, time.monotonic()

    def stop() -> bool:
        return time.monotonic() - begun > 60 * config.minutes

    try:
        study, calibration = _study(settings, context.partition_key, config, context.run_id)
        outcome = search(settings, study, progress=lambda now: context.log.info(_said(now)), stop=stop)
        if outcome.ended and outcome.best is not None:
            study = conclude(
                settings,
                outcome,
                seeds=config.fresh_seeds,
                progress=lambda done, total: context.log.info(f"confirmed on {done} of {total} fresh seeds"),
                stop=stop,
            )
    except Interrupted:
        context.log.info("stopped by the clock")
    except CogorchError as error:
        reason = error.reason if isinstance(error, Refused) else "invalid_input"
        raise dg.Failure(description=f"{reason}: {error}", allow_retries=False) from error
    verdict, draft = _judged(context, settings, study, outcome, propose=config.propose)
    result = study.result or {}
    return dg.MaterializeResult(
        metadata={
            "outcome": dg.MetadataValue.text(
                f"{len(outcome.records)} trials, {outcome.spent} of {outcome.budget} steps; {verdict}"
            ),
            **({"next": dg.MetadataValue.md(f"    cogorch policy approve {draft} --reason '...'")} if draft else {}),
            **({"architecture": dg.MetadataValue.json(_architecture(result["params"]))} if result else {}),
            "study": study.name,
            "in_force": study.plan.version or "none",
            "rungs": table([_rung_row(each) for each in outcome.rows], RUNG_COLUMNS),
            "trials": table(_trial_rows(outcome), TRIAL_COLUMNS),
            "learning_curves": picture(outcome.picture(), "scores by steps; the darker, the further"),
            "calibration": calibration,
            "seed": study.plan.seed,
            "seconds": round(time.monotonic() - begun, 1),
            "plan": dg.MetadataValue.json(study.plan.document()),
        }
    )


def _study(settings: "Settings", agent: str, config: ArchitectureConfig, run_id: str) -> "tuple[Study, str]":
    from typing import cast

    from cogorch_dagster.fleet.calibration import store as calibrations
    from cogorch_dagster.fleet.parameters import default_parameters
    from cogorch_dagster.fleet.signals import AgentName
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.tuning.budget import budget_of
    from cogorch_dagster.tuning.halving import study as studies

    budget = budget_of(config.budget, episodes=config.episodes, fleets=config.fleets, seeds=config.trainings)
    with transaction(settings) as connection:
        latest = calibrations.latest(connection)
        plan = studies.planned(
            connection,
            cast(AgentName, agent),
            latest.parameters if latest else default_parameters(),
            budget,
            joint=config.joint,
            trainings=config.full_trainings,
            rungs=config.rungs,
            eta=config.eta,
            seed=config.seed,
        )
        found = studies.begin(connection, studies.name_of(plan), plan, run_id)
    return found, latest.digest if latest else "none: documented defaults"


def _judged(
    context: dg.AssetExecutionContext, settings: "Settings", study: "Study", outcome: "Outcome", *, propose: bool
) -> tuple[str, str | None]:
    """What is to be said of the best network, and the draft that waits for a decision, if one does."""
    from cogorch_dagster.errors import CogorchError, Refused
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.tuning.confirmation import Confirmation
    from cogorch_dagster.tuning.halving import architectures
    from cogorch_dagster.tuning.registration import register_confirmed

    if study.result is None and outcome.ended and outcome.in_force_is_best:
        return "nothing found that beats what is in force", None
    if study.result is None:
        return "not judged yet, the next run of the same plan goes on", None
    confirmation = Confirmation.from_document(study.result)
    found = confirmation.found
    said = (
        f"{found.verdict} on {len(confirmation.seeds)} fresh seeds: "
        f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f})"
    )
    if found.verdict == "better":
        try:
            register_confirmed(settings, study, confirmation)
        except CogorchError as error:
            context.log.warning(f"The winner is not registered: {error}")
    if found.verdict != "better" or not propose:
        return f"{said}; nothing was proposed", None
    try:
        with transaction(settings) as connection:
            version, decision = architectures.propose(connection, study, actor="dagster:architectures")
    except Refused as refusal:
        return f"{said}; not proposed, {refusal.reason}: {refusal}", None
    if decision is not None:
        return f"{said}; {version.ref} was approved by {decision.actor}", None
    return f"{said}; {version.ref} waits for a decision", version.ref


def _said(now: Any) -> str:
    came = f"score {now.score:.4f}" if now.score is not None else f"failed: {now.error}"
    return f"trial {now.trial} at rung {now.rung}: {came}; {now.spent} of {now.budget} steps, {now.trials} trials"


def _architecture(params: dict[str, Any]) -> dict[str, Any]:
    return {name: params[name] for name in ("hidden", "activation", "dropout")}


def _rung_row(row: Any) -> dict[str, object]:
    return {
        "rung": row.rung,
        "steps": row.steps,
        "reached": row.reached,
        "promoted": row.promoted,
        "failed": row.failed,
        "best": shown(row.best),
        "median": shown(row.middle),
    }


def _trial_rows(outcome: "Outcome") -> list[dict[str, object]]:
    space = outcome.study.plan.space
    best = sorted(outcome.records, key=lambda each: (len(each.scores), each.scores[-1:]), reverse=True)
    return [
        {
            "trial": each.number,
            "status": each.status,
            "rung": len(each.scores) - 1 if each.scores else None,
            "score": shown(each.scores[-1]) if each.scores else None,
            "architecture": ", ".join(f"{k} {v}" for k, v in _architecture(space.params(each.values)).items()),
            "error": (each.error or "")[:200],
        }
        for each in best[:30]
    ]
