"""`cogorch tune`: search better hyperparameters of an agent, confirm what was found, propose it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli import architectures
from cogorch_dagster.cli.output import ActorOption, JsonOption, Output, acting, examples, load_settings, say, table
from cogorch_dagster.cli.training_options import (
    NOT_CALIBRATED,
    CalibrationOption,
    fleet_of,
    names_of,
    require_folder,
    stopping,
)

if TYPE_CHECKING:
    from cogorch_dagster.settings import Settings
    from cogorch_dagster.tuning.confirmation import Confirmation
    from cogorch_dagster.tuning.study import Study

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Search better hyperparameters of an agent, with real training.",
    epilog=examples("cogorch tune run ethical --trials 24", "cogorch tune show ethical-tpe-0-1f3a9c02"),
)

app.command("architectures", short_help=architectures.SHORT_HELP, epilog=architectures.EPILOG)(
    architectures.architectures
)

AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="policy, consensus, ethical or resource.")]
StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="See `cogorch tune list`.")]
PlotOption = Annotated[Path | None, typer.Option(metavar="DIR", help="Write the pictures of the study there.")]
SeedsOption = Annotated[int, typer.Option(min=3, max=1000, help="Fresh seeds of a confirmation.")]


@app.command(
    short_help="Search, or go on with a search.",
    epilog=examples(
        "cogorch tune run ethical",
        "cogorch tune run policy --budget full --trials 60 --workers 2 --confirm",
        "cogorch tune run ethical --objectives reward,latency --plot pictures",
        "cogorch tune run resource --study night --trials 100 --propose",
    ),
)
def run(
    agent: AgentArgument,
    budget: Annotated[str, typer.Option(metavar="quick|full", help="10 or 50 episodes a training.")] = "quick",
    trials: Annotated[int, typer.Option(min=1, max=100_000, help="Of the study, whoever runs them.")] = 24,
    sampler: Annotated[str, typer.Option(metavar="NAME", help="tpe, cma-es, gp, grid or random.")] = "tpe",
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes on this machine.")] = 1,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of everything random.")] = 0,
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="To begin or go on with; default: of its plan.")
    ] = None,
    objectives: Annotated[str, typer.Option(metavar="NAMES", help="reward, then conflicts, latency.")] = "reward",
    vary: Annotated[str | None, typer.Option(metavar="NAMES", help="Only these hyperparameters.")] = None,
    episodes: Annotated[int | None, typer.Option(min=1, max=100_000, help="Of a training, instead.")] = None,
    fleets: Annotated[int | None, typer.Option(min=1, max=100_000, help="Trained in at once, instead.")] = None,
    trainings: Annotated[int | None, typer.Option(min=1, max=100, help="Of a trial, each with a seed.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop there at the latest.")] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Then try the winner on fresh seeds.")] = False,
    propose: Annotated[bool, typer.Option("--propose", help="Confirm, and propose what is better.")] = False,
    seeds: SeedsOption = 10,
    calibration: CalibrationOption = "latest",
    plot: PlotOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the agent with other hyperparameters, trial by trial, and keep what each of them earns.

    The first trial is what is in force. The same command on another machine joins in; Ctrl-C stops after the present
    step of a training, and the same command goes on. Only what --confirm shows on fresh seeds is evidence. Conflicts
    are those beside the newest checkpoints of the other agents, see `cogorch agents train`.
    """
    require_folder(plot)
    out = Output(as_json)
    from cogorch_dagster.cli.tune_view import outcome_value, plotted, progress_shown, show_outcome
    from cogorch_dagster.tuning import search

    settings = load_settings()
    changes = {"episodes": episodes, "fleets": fleets, "seeds": trainings}
    found = _begun(settings, agent, study, budget, changes, sampler, objectives, seed, vary, calibration)
    with stopping(minutes) as (stop, interrupted), progress_shown(found.name, trials) as show:
        outcome = search.run(settings, found, trials, workers=workers, progress=show, stop=stop)
        confirmation = None
        if (confirm or propose) and outcome.ended and not stop():
            confirmation = _confirmed(settings, found, seeds, stop)
    proposed = _proposed(settings, found, confirmation, actor) if propose and confirmation else None
    pictures = [] if plot is None else plotted(settings, found, plot)
    value = outcome_value(outcome, confirmation) | {"proposed": proposed, "pictures": pictures}
    out.result(value, lambda: show_outcome(outcome, confirmation, proposed))
    if interrupted():
        raise typer.Exit(130)


@app.command("list", short_help="The studies.", epilog=examples("cogorch tune list --agent ethical"))
def list_studies(
    agent: Annotated[str | None, typer.Option(help="policy, consensus, ethical or resource; default: all.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Newest to show.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Studies of hyperparameters and of architectures, the newest first, with the verdict on their winner."""
    out = Output(as_json)
    from cogorch_dagster.cli.tune_view import row_value, show_rows, standing_of
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.policies.hyperparameters import policy_of
    from cogorch_dagster.tuning import studies

    if agent is not None:
        policy_of(agent)
    settings = load_settings()
    with transaction(settings) as connection:
        found = studies.rows(connection, agent, limit=limit)
    stand = [standing_of(settings, each) for each in found]
    values = [row_value(each) | place for each, place in zip(found, stand, strict=True)]
    out.result({"studies": values}, lambda: show_rows(found, stand))


@app.command(
    short_help="Trials, winner, what mattered.",
    epilog=examples("cogorch tune show ethical-tpe-0-1f3a9c02", "cogorch tune show night --plot pictures"),
)
def show(
    study: StudyArgument,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Best trials to show.")] = 10,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """A study's best trials, the importance of its hyperparameters, and the verdict on its winner."""
    out = Output(as_json)
    from cogorch_dagster.cli.tune_view import plotted, show_study, show_trials, study_value
    from cogorch_dagster.tuning.importance import importances
    from cogorch_dagster.tuning.trials import Trials

    settings = load_settings()
    if _is_of_architectures(settings, study):
        _show_architectures(settings, study, plot, out)
        return
    found = _study_of(settings, study)
    trials = Trials(settings, found)
    try:
        every, front, shares = trials.all(), trials.pareto(), importances(trials)
    finally:
        trials.close()
    pictures = [] if plot is None else plotted(settings, found, plot)
    value = study_value(found) | {"trials": every, "pareto": [each.number for each in front], "importance": shares}

    def shown() -> None:
        show_study(found, every)
        show_trials(every, limit, found.plan.objectives)
        if shares:
            print()
            table(("hyperparameter", "importance"), shares.items(), right=("importance",))

    out.result(value | {"pictures": pictures}, shown)


@app.command(
    short_help="The winner on fresh seeds.",
    epilog=examples("cogorch tune confirm ethical-tpe-0-1f3a9c02", "cogorch tune confirm night --seeds 20 --propose"),
)
def confirm(
    study: StudyArgument,
    seeds: SeedsOption = 10,
    propose: Annotated[bool, typer.Option("--propose", help="Propose it where it is better.")] = False,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the winner and what is in force on fresh seeds; the difference with its interval is the study's result."""
    out = Output(as_json)
    from cogorch_dagster.cli.tune_view import show_confirmation

    settings = load_settings()
    found = _study_of(settings, study)
    with stopping(None) as (stop, interrupted):
        confirmation = _confirmed(settings, found, seeds, stop)
    if confirmation is None and interrupted():
        raise typer.Exit(130)
    proposed = _proposed(settings, found, confirmation, actor) if propose and confirmation else None
    value = {"confirmation": confirmation and confirmation.document(), "proposed": proposed}
    out.result(value, lambda: show_confirmation(confirmation, proposed))


def _begun(
    settings: "Settings",
    agent: str,
    name: str | None,
    budget: str,
    changes: dict[str, int | None],
    sampler: str,
    objectives: str,
    seed: int,
    vary: str | None,
    calibration: str,
) -> "Study":
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.tuning import study as studies
    from cogorch_dagster.tuning.budget import budget_of
    from cogorch_dagster.tuning.planning import plan_for

    cost = budget_of(budget, **changes)
    parameters, calibrated = fleet_of(settings, calibration)
    with transaction(settings) as connection:
        plan = plan_for(
            connection,
            agent,
            parameters,
            budget=cost,
            sampler=sampler,
            objectives=names_of(objectives),
            seed=seed,
            names=None if vary is None else names_of(vary),
        )
        found = studies.begin(connection, name or studies.name_of(plan), plan)
    if not calibrated:
        say(NOT_CALIBRATED)
    return found


def _study_of(settings: "Settings", name: str) -> "Study":
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.tuning import study as studies

    with transaction(settings) as connection:
        return studies.get(connection, name)


def _is_of_architectures(settings: "Settings", name: str) -> bool:
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.tuning import studies

    with transaction(settings) as connection:
        return studies.row(connection, name).sort == "architecture"


def _show_architectures(settings: "Settings", name: str, plot: Path | None, out: Output) -> None:
    from cogorch_dagster.cli.training_options import write_picture
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.tuning.halving import study as studies
    from cogorch_dagster.tuning.halving.architectures import standing

    require_folder(plot)
    with transaction(settings) as connection:
        found = studies.get(connection, name)
    outcome = standing(settings, found)
    pictures = []
    if plot is not None:
        path = plot / f"{name}-curves.png"
        write_picture(path, outcome.picture())
        say(f"written: {path}")
        pictures.append(str(path))
    value = architectures.outcome_value(outcome, found, None) | {"pictures": pictures}
    out.result(value, lambda: architectures.show_outcome(outcome, found, None))
    if not outcome.ended:
        say("there are steps left; `cogorch tune architectures` goes on with it")


def _confirmed(settings: "Settings", study: "Study", seeds: int, stop: Callable[[], bool]) -> "Confirmation | None":
    from cogorch_dagster.cli.training_options import confirmed
    from cogorch_dagster.tuning.confirmation import confirm

    return confirmed(lambda told: confirm(settings, study, seeds=seeds, progress=told, stop=stop))


def _proposed(
    settings: "Settings", study: "Study", confirmation: "Confirmation", actor: str | None
) -> dict[str, Any] | None:
    """Propose the winner where it is better; None where it is not, which is no error of a search."""
    from cogorch_dagster.platform.database import transaction
    from cogorch_dagster.tuning.proposing import propose

    if confirmation.found.verdict != "better":
        say("nothing is proposed: the winner was not shown to be better")
        return None
    with transaction(settings) as connection:
        draft, decision = propose(connection, study, confirmation, actor=acting(actor))
    return {"version": draft.ref, "status": draft.status, "decided_by": decision and decision.actor}
