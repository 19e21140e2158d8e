"""What `cogorch tune` prints of a study: progress, trials, what it came to; and its pictures as files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogorch_dagster.cli.output import fields, say, table
from cogorch_dagster.cli.pictures import require_folder, write_picture
from cogorch_dagster.cli.training_options import first_line
from cogorch_dagster.cli.tune_conclusion import NOTHING_FOUND, Concluded, finals_value, show_concluded, show_finals

if TYPE_CHECKING:
    from cogorch_dagster.settings import Settings
    from cogorch_dagster.tuning.finalists import Finals
    from cogorch_dagster.tuning.search import Outcome, Progress
    from cogorch_dagster.tuning.studies import Row
    from cogorch_dagster.tuning.study import Objective, Study
    from cogorch_dagster.tuning.trials import Trial


@contextmanager
def progress_shown(name: str, total: int) -> "Iterator[Callable[[Progress], None]]":
    """A bar on a terminal, and a line for each trial."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    say(f"study {name}")
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("best -", total=total)

        def show(now: "Progress") -> None:
            best = "-" if now.best is None else f"{(now.best.values or (0.0,))[0]:.4f}"
            bar.update(task, completed=now.ended, description=f"best {best}")
            line = f"{now.ended:>4} of {now.total}  trial {now.trial.number:>4}  {_told(now.trial)}  best {best}"
            bar.console.print(line) if console.is_terminal else say(line)

        yield show


def _told(trial: "Trial") -> str:
    if trial.values is None:
        return f"failed: {first_line(trial.error)}"
    return f"score {trial.values[0]:.4f}  mean {trial.mean:.4f}  {trial.seconds or 0:.1f} s"


def row_value(row: "Row") -> dict[str, Any]:
    return {
        "study": row.name,
        "sort": row.sort,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
        "plan": row.document,
        "result": row.result,
    }


def standing_of(settings: "Settings", row: "Row") -> dict[str, Any]:
    """How far a study is: trials that have ended, share of its steps (architectures) and its state.

    A study without a result is `open`, or `ended` where all its steps are spent. How many trials a study of
    hyperparameters is to have is not stored: whoever runs it says so.
    """
    from cogorch_dagster.tuning.halving import study as networks
    from cogorch_dagster.tuning.halving.architectures import standing
    from cogorch_dagster.tuning.study import STUDIES
    from cogorch_dagster.tuning.trials import Trials

    confirmed = row.result and f"confirmed: {row.result['verdict']}"
    if row.sort == "architecture":
        outcome = standing(settings, networks.STUDIES.of(row))
        spent = min(1.0, outcome.spent / outcome.budget)
        state = confirmed or ("ended" if outcome.ended else "open")
        return {"trials": len(outcome.records), "spent": spent, "state": state}
    trials = Trials(settings, STUDIES.of(row))
    try:
        done = sum(each.state in ("complete", "failed") for each in trials.all())
    finally:
        trials.close()
    return {"trials": done, "spent": None, "state": confirmed or "open"}


def show_rows(rows: "list[Row]", stand: list[dict[str, Any]]) -> None:
    if not rows:
        print("no study yet; run `cogorch tune run AGENT`")
        return
    columns = ("study", "sort", "agent", "sampler", "created", "trials", "steps spent", "state")
    found = [(each.name, each.sort, each.agent, each.document.get("sampler"), each.created_at) for each in rows]
    places = [(at["trials"], None if at["spent"] is None else f"{at['spent']:.0%}", at["state"]) for at in stand]
    table(columns, [(*each, *at) for each, at in zip(found, places, strict=True)], right=("trials", "steps spent"))


def study_value(study: "Study") -> dict[str, Any]:
    return {
        "study": study.name,
        "created_at": study.created_at,
        "ended_at": study.ended_at,
        "plan": study.plan.document(),
        "result": study.result,
    }


def outcome_value(outcome: "Outcome", finals: "Finals", ended: Concluded) -> dict[str, Any]:
    confirmation = ended.confirmation
    return study_value(outcome.study) | {
        "ended": outcome.ended,
        "trials": outcome.trials,
        "best": outcome.best,
        "pareto": [each.number for each in outcome.pareto],
        "lost_workers": outcome.lost,
        **finals_value(finals),
        "result": None if confirmation is None else confirmation.document(),
        **ended.value(),
    }


def show_outcome(outcome: "Outcome", finals: "Finals", ended: Concluded) -> None:
    from cogorch_dagster.tuning.confirmation import is_in_force

    show_study(outcome.study, outcome.trials)
    if not outcome.ended:
        say("not all trials are done; the same command goes on")
    show_trials(outcome.trials, 5, outcome.study.plan.objectives)
    if len(outcome.study.plan.objectives) > 1:
        print(f"not surpassed in every objective: trials {', '.join(str(each.number) for each in outcome.pareto)}")
    if finals.finalists:
        print()
        show_finals(finals)
    if ended.confirmation is not None:
        print()
        show_concluded(ended)
    elif outcome.ended and finals.winner is not None and is_in_force(outcome.study.plan, finals.winner.params):
        print(NOTHING_FOUND)
    elif outcome.ended and outcome.best is not None:
        say(f"what the winner is worth is shown by `cogorch tune confirm {outcome.study.name}`")


def show_study(study: "Study", trials: "list[Trial]") -> None:
    done = sum(each.state == "complete" for each in trials)
    failed = sum(each.state == "failed" for each in trials)
    plan, result = study.plan, study.result
    fields(
        [
            ("study", study.name),
            ("agent", f"{plan.agent} ({plan.kind}), against version {plan.version or '-'}"),
            ("trials", f"{done} complete, {failed} failed, {len(trials) - done - failed} open"),
            ("objectives", ", ".join(plan.objectives)),
            ("result", None if result is None else result["verdict"]),
        ]
    )
    print()


def show_trials(trials: "list[Trial]", limit: int, objectives: "tuple[Objective, ...]") -> None:
    """The best by score, with the other objectives and the hyperparameters that differ."""
    best = sorted((each for each in trials if each.values), key=lambda each: -(each.values or (0.0,))[0])[:limit]
    if not best:
        print("no trial is complete")
        return
    names = [name for name in best[0].params if any(each.params.get(name) != best[0].params[name] for each in trials)]
    others = ["latency, ms" if each == "latency" else each for each in objectives[1:]]
    rows = []
    for each in best:
        score, *rest = each.values or (0.0,)
        rows.append((each.number, score, each.mean, *(f"{v:.3f}" for v in rest), *(each.params.get(n) for n in names)))
    columns = ("trial", "score", "mean", *others, *names)
    table(columns, rows, right=columns)


def plotted(settings: "Settings", study: "Study", folder: Path) -> list[str]:
    """Write the pictures that the study has enough trials for; their paths."""
    from cogorch_dagster.tuning.importance import importances
    from cogorch_dagster.tuning.pictures import history, importance_figure, pareto_figure
    from cogorch_dagster.tuning.trials import Trials

    trials, objectives = Trials(settings, study), study.plan.objectives
    try:
        every, front, shares = trials.all(), trials.pareto(), importances(trials)
    finally:
        trials.close()
    drawn: dict[str, Callable[[], bytes]] = {"history": lambda: history(every)}
    if shares:
        drawn["importance"] = lambda: importance_figure(shares)
    if len(objectives) > 1 and front:
        drawn["pareto"] = lambda: pareto_figure(every, front, objectives)
    require_folder(folder)
    paths = [folder / f"{study.name}-{name}.png" for name in drawn]
    for path, draw in zip(paths, drawn.values(), strict=True):
        write_picture(path, draw())
        say(f"written: {path}")
    return [str(path) for path in paths]
