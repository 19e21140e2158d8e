"""`cogorch tune`: search better hyperparameters of an agent, confirm what was found, propose it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogorch_dagster.cli import architectures, tune_show
from cogorch_dagster.cli.output import ActorOption, JsonOption, Output, examples, load_settings, say
from cogorch_dagster.cli.pictures import require_folder
from cogorch_dagster.cli.training_options import (
    NOT_CALIBRATED,
    CalibrationOption,
    fleet_of,
    names_of,
    stopping,
)
from cogorch_dagster.cli.tune_show import PlotOption, StudyArgument, study_of

if TYPE_CHECKING:
    from cogorch_dagster.settings import Settings
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
app.command("show", short_help=tune_show.SHORT_HELP, epilog=tune_show.EPILOG)(tune_show.show)

AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="policy, consensus, ethical or resource.")]
SeedsOption = Annotated[
    int | None, typer.Option(min=3, max=1000, help="Fresh seeds of a confirmation; default: 10, or as many as before.")
]


@app.command(
    short_help="Search, or go on with a search.",
    epilog=examples(
        "cogorch tune run ethical",
        "cogorch tune run policy --budget full --trials 60 --workers 2 --confirm",
        "cogorch tune run ethical --objectives reward,latency --plot pictures",
        "cogorch tune run consensus --trainings 1 --trials 40 --finalists 6 --confirm",
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
    finalists: Annotated[
        int, typer.Option(min=0, max=50, help="Best trials to train anew beside what is in force; 0: best score wins.")
    ] = 4,
    finalist_trainings: Annotated[
        int, typer.Option(min=1, max=100, help="Of a finalist on average; those who stay longest get more.")
    ] = 4,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop there at the latest.")] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Then try the winner on fresh seeds.")] = False,
    propose: Annotated[bool, typer.Option("--propose", help="Confirm, and propose what is better.")] = False,
    seeds: SeedsOption = None,
    calibration: CalibrationOption = "latest",
    plot: PlotOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the agent with other hyperparameters, trial by trial, and keep what each of them earns.

    The first trial is what is in force. As the best of many scores is partly luck, the best trials are trained anew at
    the end, and only that says who wins. The same command on another machine joins in; Ctrl-C stops after the present
    step of a training, and the same command goes on. Only what --confirm shows on fresh seeds is evidence. Conflicts
    are those beside the newest checkpoints of the other agents, see `cogorch agents train`.
    """
    require_folder(plot)
    out = Output(as_json)
    from cogorch_dagster.cli.tune_conclusion import Concluded, chosen, concluded
    from cogorch_dagster.cli.tune_view import outcome_value, plotted, progress_shown, show_outcome
    from cogorch_dagster.tuning import search
    from cogorch_dagster.tuning.finalists import standing
    from cogorch_dagster.tuning.rejection import selection_of

    settings = load_settings()
    changes = {"episodes": episodes, "fleets": fleets, "seeds": trainings}
    selection = selection_of(finalists, finalist_trainings)
    others = {"sampler": sampler, "objectives": names_of(objectives), "seed": seed, "selection": selection}
    found = _begun(settings, agent, study, budget, changes, vary, others, calibration)
    with stopping(minutes) as (stop, interrupted):
        with progress_shown(found.name, trials) as show:
            outcome = search.run(settings, found, trials, workers=workers, progress=show, stop=stop)
        goes_on = outcome.ended and not stop()
        finals = chosen(settings, found, stop, workers) if goes_on else standing(settings, found)
        ended = Concluded()
        if (confirm or propose) and finals.winner is not None and not stop():
            ended = concluded(settings, found, seeds, stop, workers=workers, propose=propose, actor=actor)
    pictures = [] if plot is None else plotted(settings, found, plot)
    value = outcome_value(outcome, finals, ended) | {"pictures": pictures}
    out.result(value, lambda: show_outcome(outcome, finals, ended))
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
    short_help="The winner on fresh seeds.",
    epilog=examples("cogorch tune confirm ethical-tpe-0-1f3a9c02", "cogorch tune confirm night --seeds 20 --propose"),
)
def confirm(
    study: StudyArgument,
    seeds: SeedsOption = None,
    propose: Annotated[bool, typer.Option("--propose", help="Propose it where it is better.")] = False,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the winner and what is in force on fresh seeds; the difference with its interval is the study's result.

    The finalists are trained first, where that is not done yet. A study keeps the number of seeds of its first
    confirmation, as its interval would not hold for what is repeated until it is significant.
    """
    out = Output(as_json)
    from cogorch_dagster.cli.tune_conclusion import Concluded, chosen, concluded, finals_value, show_confirmed

    settings = load_settings()
    found = study_of(settings, study)
    with stopping(None) as (stop, interrupted):
        finals, ended = chosen(settings, found, stop), Concluded()
        if not interrupted():
            ended = concluded(settings, found, seeds, stop, propose=propose, actor=actor)
    if ended.confirmation is None and interrupted():
        raise typer.Exit(130)
    value = {"confirmation": ended.confirmation and ended.confirmation.document()} | ended.value()
    out.result(value | finals_value(finals), lambda: show_confirmed(finals, ended))


def _begun(
    settings: "Settings",
    agent: str,
    name: str | None,
    budget: str,
    changes: dict[str, int | None],
    vary: str | None,
    others: dict[str, Any],
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
            names=None if vary is None else names_of(vary),
            **others,
        )
        found = studies.begin(connection, name or studies.name_of(plan), plan)
    if not calibrated:
        say(NOT_CALIBRATED)
    return found
