"""`cogorch tune show`: a study of either sort, with its trials, its finalists and the verdict on its winner."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cogorch_dagster.cli import architectures
from cogorch_dagster.cli.output import JsonOption, Output, examples, load_settings, say, table
from cogorch_dagster.cli.pictures import require_folder

if TYPE_CHECKING:
    from cogorch_dagster.settings import Settings
    from cogorch_dagster.tuning.study import Study

SHORT_HELP = "Trials, winner, what mattered."
EPILOG = examples("cogorch tune show ethical-tpe-0-1f3a9c02", "cogorch tune show night --plot pictures")

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="See `cogorch tune list`.")]
PlotOption = Annotated[Path | None, typer.Option(metavar="DIR", help="Write the pictures of the study there.")]


def show(
    study: StudyArgument,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Best trials to show.")] = 10,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """A study's best trials, its finalists, the importance of its hyperparameters, and the verdict on its winner."""
    out = Output(as_json)
    from cogorch_dagster.cli.tune_conclusion import finals_value, show_finals
    from cogorch_dagster.cli.tune_view import plotted, show_study, show_trials, study_value
    from cogorch_dagster.tuning.finalists import standing
    from cogorch_dagster.tuning.importance import importances
    from cogorch_dagster.tuning.trials import Trials

    settings = load_settings()
    if _is_of_architectures(settings, study):
        _show_architectures(settings, study, plot, out)
        return
    found = study_of(settings, study)
    trials = Trials(settings, found)
    try:
        every, front, shares = trials.all(), trials.pareto(), importances(trials)
    finally:
        trials.close()
    finals = standing(settings, found)
    pictures = [] if plot is None else plotted(settings, found, plot)
    value = (
        study_value(found)
        | finals_value(finals)
        | {"trials": every, "pareto": [each.number for each in front], "importance": shares}
    )

    def shown() -> None:
        show_study(found, every)
        show_trials(every, limit, found.plan.objectives)
        if finals.finalists:
            print()
            show_finals(finals)
        if shares:
            print()
            table(("hyperparameter", "importance"), shares.items(), right=("importance",))

    out.result(value | {"pictures": pictures}, shown)


def study_of(settings: "Settings", name: str) -> "Study":
    """The study of hyperparameters of a name."""
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
    from cogorch_dagster.cli.pictures import write_picture
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
